"""What must happen to a connection: computed by the code that programs the kernel."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clusterip.objects.core.node.types import Node
from clusterip.objects.discovery.endpointslice.types import Endpoint
from clusterip.proxy import wire
from clusterip.proxy.explain.service import Port, Question, Row, explain
from clusterip.proxy.explain.ways import NodeView, Settings
from clusterip.proxy.nodes import networks, pod_cidrs, primary_addresses
from clusterip.trace.objects import Aim, Objects, as_wire
from clusterip.trace.story import Candidate, join


@dataclass(frozen=True)
class Known:
    """An endpoint as its slice tells."""

    address: str
    pod: str = ""
    node: str = ""
    zone: str = ""
    ready: bool = True


class Expectation:
    """The ways to the target's port by who connects and on which node."""

    def __init__(self, objects: Objects) -> None:
        aim = objects.aim
        self.known = _known(objects) if aim.port is not None else {}
        self._ports: list[Port] = []
        if aim.service is not None and aim.service.spec.clusterIP not in ("", "None"):
            question = Question(
                as_wire(aim.service, wire.Service),
                [as_wire(each, wire.EndpointSlice) for each in objects.slices],
                [as_wire(s, wire.Service) for s in objects.services if s is not aim.service],
            )
            views = [_view(as_wire(node, wire.Node)) for node in objects.nodes]
            self._ports = explain(question, views, _settings(objects.config))
        self._aim = aim

    def row(self, client: str, node: str, address: str, number: int) -> Row | None:
        """The way of a ``pod``, the ``node`` itself or ``outside`` on a node; None if no Service has it."""
        for port in self._ports:
            if port.protocol != self._aim.protocol:
                continue
            for row in port.rows:
                here = row.client == client and node in row.nodes
                if here and row.port == number and row.address in ("", address):
                    return row
        return None

    def candidates(self, row: Row | None, chosen: str) -> tuple[Candidate, ...]:
        """All endpoints of the port: those that may be chosen, and why others are left out."""
        found: dict[str, Candidate] = {}
        for reached in row.endpoints if row else ():
            found[reached.address] = self._candidate(reached.address, reached.probability, "", chosen)
        for left in row.leftOut if row else ():
            found[left.address] = self._candidate(left.address, 0.0, left.reason, chosen)
        for address in self.known:
            if address not in found:
                found[address] = self._candidate(address, 0.0, "the proxy does not know it", chosen)
        if row is None:  # headless: whoever asks chooses
            ready = [known for known in self.known.values() if known.ready]
            for known in self.known.values():
                part = 1 / len(ready) if known.ready else 0.0
                reason = "" if known.ready else "not ready"
                found[known.address] = self._candidate(known.address, part, reason, chosen)
        return tuple(sorted(found.values(), key=lambda each: (not each.probability, _sortable(each.address))))

    def _candidate(self, address: str, probability: float, reason: str, chosen: str) -> Candidate:
        known = self.known.get(address, Known(address))
        return Candidate(
            address=address,
            pod=known.pod,
            node=known.node,
            zone=known.zone,
            probability=probability,
            chosen=address == chosen,
            reason=reason,
        )


def _known(objects: Objects) -> dict[str, Known]:
    """The endpoints of the target's port by ``address:port``."""
    aim: Aim = objects.aim
    assert aim.port is not None
    found = {}
    for slice_ in objects.slices:
        for port in slice_.ports:
            if (
                (port.name or "") != aim.port.name
                or (port.protocol or "TCP") != aim.protocol
                or not port.port
            ):
                continue
            for endpoint in slice_.endpoints:
                if endpoint.addresses:
                    known = _as_known(endpoint, port.port)
                    found[known.address] = known
    return found


def _as_known(endpoint: Endpoint, port: int) -> Known:
    reference = endpoint.targetRef
    return Known(
        address=join(endpoint.addresses[0], port),
        pod=reference.name if reference and reference.kind == "Pod" else "",
        node=endpoint.nodeName or "",
        zone=endpoint.zone or "",
        ready=endpoint.conditions.ready is not False,
    )


def _view(node: wire.Node) -> NodeView:
    addresses = tuple(primary_addresses(node))
    zone = node.metadata.labels.zone if node.metadata.labels is not None else ""
    return NodeView(node.metadata.name, zone, addresses, addresses, networks(pod_cidrs(node)))


def _settings(config: dict[str, Any]) -> Settings:
    if not config:
        return Settings()
    section = config.get("nftables" if config.get("mode") in ("nftables", "ebpf") else "iptables") or {}
    by_cidr = config.get("detectLocalMode") in ("", None, "ClusterCIDR")
    return Settings(
        knows_pods=bool(config.get("clusterCIDR")) or not by_cidr,
        masquerade_all=bool(section.get("masqueradeAll")),
    )


def _sortable(address: str) -> tuple[int, int, int]:
    host, _, port = address.rpartition(":")
    packed = ipaddress.ip_address(host.strip("[]"))
    return packed.version, int(packed), int(port)


def node_of(address: str, nodes: Sequence[Node]) -> str:
    """The node that has an address, by the API."""
    for node in nodes:
        if any(each.address == address for each in node.status.addresses):
            return node.metadata.name
    return ""
