"""Which handler answers which subresource. ``status`` needs none: the verbs know it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from clusterip.apiserver.call import Call
from clusterip.apiserver.kubelet import Kubelets
from clusterip.apiserver.subresources import finalize, pods, scale
from clusterip.apiserver.subresources.log import PodLogs
from clusterip.apiserver.subresources.proxy.handlers import Proxies
from clusterip.apiserver.subresources.streams import PodStreams
from clusterip.apiserver.subresources.token import TokenRequests
from clusterip.objects.registry import Resource

Handler = Callable[[Call, Resource[Any]], Awaitable[web.StreamResponse]]

ANY = "*"
"""Stands for any plural."""


def handlers(kubelets: Kubelets, tokens: TokenRequests) -> Mapping[tuple[str, str], Handler]:
    """The handlers by plural and subresource."""
    streams = PodStreams(kubelets)
    proxies = Proxies(kubelets)
    return {
        (ANY, "scale"): scale.serve,
        ("namespaces", "finalize"): finalize.serve,
        ("pods", "binding"): pods.bind,
        ("pods", "eviction"): pods.evict,
        ("nodes", "proxy"): proxies.nodes,
        ("pods", "log"): PodLogs(kubelets).serve,
        ("pods", "exec"): streams.exec,
        ("pods", "attach"): streams.attach,
        ("pods", "portforward"): streams.port_forward,
        ("pods", "proxy"): proxies.pods,
        ("services", "proxy"): proxies.services,
        ("serviceaccounts", "token"): tokens.serve,
    }
