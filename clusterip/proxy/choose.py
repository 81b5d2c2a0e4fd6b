"""Which endpoints this node uses for a Service port. Upstream: ``pkg/proxy/topology.go``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

from clusterip.proxy.endpoints import Part, one_by_one
from clusterip.proxy.model import NOTHING, Choice, Destination, Endpoint, ServicePort
from clusterip.proxy.packing import SERVING


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


def choose_from(port: ServicePort, parts: Sequence[Part], node: str, zone: str) -> Choice:
    """The same for endpoints as they are in slices: quick where there is nothing to decide."""
    if not parts:
        return NOTHING
    if all(part.packed.is_usual for part in parts):
        everybody = parts[0].destinations
        if len(parts) > 1:
            everybody = tuple(chain.from_iterable(part.destinations for part in parts))
        if len(set(everybody)) == len(everybody):
            here = _local(parts, node)
            cluster = everybody if port.uses_cluster else ()
            local = here if port.uses_local else ()
            used_here = here if port.uses_cluster else local
            on_node = dict.fromkeys(destination[:-4] for destination in used_here)
            return Choice(cluster, local, bool(everybody), tuple(on_node))
    return choose(port, one_by_one(parts, node), node, zone)


def serving(parts: Sequence[Part]) -> frozenset[Destination]:
    """All endpoints that still answer, also those that this node would not choose."""
    return frozenset(
        destination
        for part in parts
        for destination, flags in zip(part.destinations, part.packed.flags, strict=True)
        if flags & SERVING
    )


def _local(parts: Sequence[Part], node: str) -> tuple[Destination, ...]:
    found: list[Destination] = []
    for part in parts:
        names = part.packed.nodes
        if node and node in names:
            found += (part.destinations[index] for index, name in enumerate(names) if name == node)
    return tuple(found)


def _still_serves(endpoint: Endpoint) -> bool:
    return endpoint.serving and endpoint.terminating


def _hint(ready: Sequence[Endpoint], node: str, zone: str) -> Callable[[Endpoint], bool]:
    """Whether an endpoint is for this node, by the hints of all ready ones."""
    if all(endpoint.nodes for endpoint in ready) and any(node in endpoint.nodes for endpoint in ready):
        return lambda endpoint: node in endpoint.nodes
    if all(endpoint.zones for endpoint in ready) and any(zone in endpoint.zones for endpoint in ready):
        return lambda endpoint: zone in endpoint.zones
    return lambda endpoint: True
