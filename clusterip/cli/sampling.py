"""What ``clusterip top`` asks the nodes' proxies and the DNS servers for, through the API server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.rest import Client
from clusterip.objects.core.node import Node
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.service.types import Service
from clusterip.proxy.servicespage import NodeServices

PROXY_PORT = 10249
DNS_PORT = 9153
_SECONDS = 10.0
_FEW_SERVICES = 500
"""Of so many, all are asked for; of more, those that something has happened to."""

_REQUESTS, _RESPONSES = "coredns_dns_requests_total", "coredns_dns_responses_total"
_TIME = "coredns_dns_request_duration_seconds"
_HITS, _MISSES = "coredns_cache_hits_total", "coredns_cache_misses_total"


@dataclass
class DnsFigures:
    """A DNS server's counters, and when (seconds since 1970) they were read."""

    time: float
    questions: float = 0.0
    answers: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    timed: float = 0.0
    hits: float = 0.0
    misses: float = 0.0


@dataclass
class Sample:
    """One round of answers. None: a node's proxy or a DNS server that does not tell."""

    services: list[Service] = field(default_factory=list)
    nodes: dict[str, NodeServices | None] = field(default_factory=dict)
    dns: dict[str, DnsFigures | None] = field(default_factory=dict)


async def sample(client: Client, what: str, namespace: str) -> Sample:
    """Ask for what a view needs. Raises ApiError, Unreachable if the API server does not answer."""
    names = [node.metadata.name for node in (await client.list(Node)).items]
    if what == "dns":
        return Sample(dns=await _dns(client, names))
    services: list[Service] = []
    everything = False
    if what == "services":
        services = (await client.list(Service, namespace)).items
        everything = len(services) <= _FEW_SERVICES
    answers = await asyncio.gather(*(_proxy(client, name, everything) for name in names))
    return Sample(services, dict(zip(names, answers, strict=True)))


async def _proxy(client: Client, node: str, everything: bool) -> NodeServices | None:
    path = f"/api/v1/nodes/{node}:{PROXY_PORT}/proxy/services"
    query = {"all": ""} if everything else {}
    try:
        answer = await client.request("GET", path, query={**query}, accept="*/*", seconds=_SECONDS)
        return msgspec.json.decode(answer, type=NodeServices)
    except (ApiError, Unreachable, msgspec.DecodeError):
        return None


async def _dns(client: Client, nodes: Sequence[str]) -> dict[str, DnsFigures | None]:
    """The figures of the DNS server of each node, and of each Pod that is one."""
    pods = (await client.list(Pod, "kube-system", label_selector="k8s-app=kube-dns")).items
    paths = {name: f"/api/v1/nodes/{name}:{DNS_PORT}/proxy/metrics" for name in nodes}
    for pod in pods:
        name = pod.metadata.name
        paths[name] = f"/api/v1/namespaces/kube-system/pods/{name}:{DNS_PORT}/proxy/metrics"
    answers = await asyncio.gather(*(_dns_server(client, path) for path in paths.values()))
    found = dict(zip(paths, answers, strict=True))
    if any(found.values()):  # a cluster has them on its nodes or as Pods
        return {name: figures for name, figures in found.items() if figures is not None or name not in nodes}
    return found


async def _dns_server(client: Client, path: str) -> DnsFigures | None:
    try:
        text = (await client.request("GET", path, accept="*/*", seconds=_SECONDS)).decode()
    except (ApiError, Unreachable):
        return None
    return read_dns(text)


def read_dns(text: str) -> DnsFigures | None:
    """The counters in a page of metrics; None if it is no DNS server's."""
    from prometheus_client.parser import text_string_to_metric_families

    found = DnsFigures(time.time())
    is_dns = False
    for family in text_string_to_metric_families(text):
        is_dns |= family.name.startswith("coredns_")
        for each in family.samples:
            match each.name:
                case name if name == _REQUESTS:
                    found.questions += each.value
                case name if name == _RESPONSES:
                    code = each.labels.get("rcode", "")
                    found.answers[code] = found.answers.get(code, 0.0) + each.value
                case name if name == f"{_TIME}_sum":
                    found.seconds += each.value
                case name if name == f"{_TIME}_count":
                    found.timed += each.value
                case name if name == _HITS:
                    found.hits += each.value
                case name if name == _MISSES:
                    found.misses += each.value
    return found if is_dns else None
