"""Which node announces a load balancer's address. Pure.

The same for an address as long as the same nodes can, and evenly spread over them: the node with the
highest hash of both (rendezvous hashing), so that a node that goes moves only its own addresses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from clusterip.objects.core.node import Node
from clusterip.objects.core.service import Service
from clusterip.objects.discovery.endpointslice import EndpointSlice

ANNOUNCED_BY = "clusterip.local/announced-by"
"""The label of a Service whose addresses a node announces: that node's name."""

EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"


def announcer(
    service: Service, address: str, nodes: Iterable[Node], slices: Iterable[EndpointSlice]
) -> str | None:
    """The node's name, None if none can do it now."""
    names = {node.metadata.name for node in nodes if can_announce(node)}
    if service.spec.externalTrafficPolicy == "Local":
        names &= _serving_nodes(slices)
    return max(names, key=lambda name: hashlib.blake2b(f"{name} {address}".encode()).digest(), default=None)


def can_announce(node: Node) -> bool:
    if EXCLUDED in node.metadata.labels or node.metadata.deletionTimestamp is not None:
        return False
    return any(each.type == "Ready" and each.status == "True" for each in node.status.conditions)


def _serving_nodes(slices: Iterable[EndpointSlice]) -> set[str]:
    return {
        endpoint.nodeName
        for each in slices
        for endpoint in each.endpoints
        if endpoint.nodeName and endpoint.conditions.ready is not False
    }
