"""Forgetting UDP flows that end where no endpoint is any more (upstream: ``pkg/proxy/conntrack``)."""

from __future__ import annotations

import socket
import time
from collections.abc import Collection, Iterable, Iterator

from clusterip.kernel.conntrack import Conntrack, Flow
from clusterip.kernel.nftables import Family
from clusterip.proxy import metrics
from clusterip.proxy.model import Destination, PortState, ServicePort, pack_destination

_UDP = socket.IPPROTO_UDP


def forget_stale_flows(conntrack: Conntrack, port: ServicePort, serving: Collection[Destination]) -> int:
    """Forget the flows to a UDP Service port that end elsewhere than at a serving endpoint; how many.

    That includes flows from before the first endpoint: they are tracked untranslated. Without endpoints
    nothing is done: there is nowhere else to go. Raises NetlinkError.
    """
    if port.key.protocol != _UDP or not serving:
        return 0
    started = time.monotonic()
    flows: list[Flow] = []
    for address in {port.cluster_ip, *port.external_ips, *port.load_balancer_ips}:
        flows += conntrack.flows(_UDP, address, port.port)
    if port.node_port:
        every = conntrack.all_flows(_UDP, port.key.family)
        flows += [flow for flow in every if flow.destination_port == port.node_port]
    return _forget(conntrack, port.key.family, (f for f in flows if _is_stale(f, serving)), started)


def forget_all_stale_flows(conntrack: Conntrack, states: Iterable[PortState]) -> int:
    """The same for all Service ports, with one listing: after a time in which nobody looked.

    Raises NetlinkError.
    """
    families: set[Family] = set()
    frontends: dict[tuple[bytes, int], frozenset[Destination]] = {}
    node_ports: dict[tuple[Family, int], frozenset[Destination]] = {}
    for port, _, serving in states:
        if port.key.protocol != _UDP or not serving:
            continue
        families.add(port.key.family)
        for address in (port.cluster_ip, *port.external_ips, *port.load_balancer_ips):
            frontends[address, port.port] = serving
        if port.node_port:
            node_ports[port.key.family, port.node_port] = serving
    if not frontends:
        return 0

    def stale(family: Family) -> Iterator[Flow]:
        for flow in conntrack.all_flows(_UDP, family):
            found = frontends.get((flow.destination, flow.destination_port))
            found = found or node_ports.get((family, flow.destination_port))
            if found is not None and _is_stale(flow, found):
                yield flow

    return sum(_forget(conntrack, family, stale(family), time.monotonic()) for family in families)


def _forget(conntrack: Conntrack, family: Family, flows: Iterable[Flow], started: float) -> int:
    """``started`` is when (monotonic) the search for them began."""
    count = sum(conntrack.delete(flow) for flow in flows)
    label = metrics.label_of(family)
    metrics.forgotten_flows.labels(label).inc(count)
    metrics.forgetting_seconds.labels(label).observe(time.monotonic() - started)
    return count


def _is_stale(flow: Flow, serving: Collection[Destination]) -> bool:
    return pack_destination(flow.answerer, flow.answerer_port) not in serving
