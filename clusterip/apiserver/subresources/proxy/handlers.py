"""The handlers of the ``proxy`` subresources."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from clusterip.apiserver import status
from clusterip.apiserver.call import Call
from clusterip.apiserver.kubelet import Kubelets
from clusterip.apiserver.subresources.passing import upgrade
from clusterip.apiserver.subresources.proxy.forward import forward
from clusterip.apiserver.subresources.proxy.paths import clean, escape
from clusterip.apiserver.subresources.proxy.target import Target, Targets
from clusterip.objects.registry import Resource
from clusterip.process.hijack import is_upgrade

_METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))


class Proxies:
    """Serves the three of them."""

    def __init__(self, kubelets: Kubelets) -> None:
        self._targets = Targets(kubelets)

    async def pods(self, call: Call, _resource: Resource[Any]) -> web.StreamResponse:
        return await _serve(
            call, lambda: self._targets.pod(call.server.objects, call.info.namespace, call.info.name)
        )

    async def services(self, call: Call, _resource: Resource[Any]) -> web.StreamResponse:
        return await _serve(
            call, lambda: self._targets.service(call.server.objects, call.info.namespace, call.info.name)
        )

    async def nodes(self, call: Call, _resource: Resource[Any]) -> web.StreamResponse:
        return await _serve(call, lambda: self._targets.node(call.info.name))


async def _serve(call: Call, find: Callable[[], Awaitable[Target]]) -> web.StreamResponse:
    request, info = call.request, call.info
    if request.method not in _METHODS:
        raise status.method_not_allowed()
    if info.dry_run:
        raise status.bad_request("dryRun is not supported")
    target = await find()
    path = f"/{info.rest}" if info.rest else ""
    if info.path.endswith("/") and not path.endswith("/"):
        path += "/"
    path = clean(path)
    if is_upgrade(request):
        # Without the query: upstream does not pass it on either when protocols are switched.
        return await upgrade(call, target.address, escape(path or "/"))
    if not path and request.method in ("GET", "HEAD"):
        # So that relative links on the page lead to what is below it.
        _, mark, query = request.raw_path.partition("?")
        headers = {"Location": f"{escape(info.path)}/{mark}{query}", "Cache-Control": "no-cache, private"}
        return web.Response(status=301, headers=headers)
    return await forward(call, target, path)
