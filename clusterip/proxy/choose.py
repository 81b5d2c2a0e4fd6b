"""Which endpoints this node uses for a Service port. Upstream: ``pkg/proxy/topology.go``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clusterip.proxy.model import NOTHING, Choice, Endpoint, ServicePort


def choose(port: ServicePort, endpoints: Sequence[Endpoint], node: str, zone: str) -> Choice:
    """The endpoints for each traffic policy.

    Ready ones count; where there are none, those that terminate but still serve, so that the last Pod of a
    rollout can finish. Topology hints are followed only if every ready endpoint has one and one of them is
    for this node's zone (or this node): a hint must not leave a node without endpoints.
    """
    if not endpoints:
        return NOTHING
    cluster: list[Endpoint] = []
    local: list[Endpoint] = []
    exist = False
    if port.uses_cluster:
        ready = [endpoint for endpoint in endpoints if endpoint.ready]
        cluster = list(filter(_hint(ready, node, zone), ready))
        cluster = cluster or [endpoint for endpoint in endpoints if _still_serves(endpoint)]
        exist = bool(cluster)
    if port.uses_local:
        exist = exist or any(endpoint.ready or _still_serves(endpoint) for endpoint in endpoints)
        local = [endpoint for endpoint in endpoints if endpoint.local and endpoint.ready]
        local = local or [endpoint for endpoint in endpoints if endpoint.local and _still_serves(endpoint)]
    on_node = dict.fromkeys(endpoint.destination[:-4] for endpoint in (*cluster, *local) if endpoint.local)
    return Choice(
        tuple(endpoint.destination for endpoint in cluster),
        tuple(endpoint.destination for endpoint in local),
        exist,
        tuple(on_node),
    )


def _still_serves(endpoint: Endpoint) -> bool:
    return endpoint.serving and endpoint.terminating


def _hint(ready: Sequence[Endpoint], node: str, zone: str) -> Callable[[Endpoint], bool]:
    """Whether an endpoint is for this node, by the hints of all ready ones."""
    if all(endpoint.nodes for endpoint in ready) and any(node in endpoint.nodes for endpoint in ready):
        return lambda endpoint: node in endpoint.nodes
    if all(endpoint.zones for endpoint in ready) and any(zone in endpoint.zones for endpoint in ready):
        return lambda endpoint: zone in endpoint.zones
    return lambda endpoint: True
