"""The same for a whole Service and all nodes, as data to print."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from clusterip.proxy import wire
from clusterip.proxy.endpoints import SliceIndex, one_by_one
from clusterip.proxy.explain.left_out import left_out
from clusterip.proxy.explain.ways import NodeView, Settings, Way, protocol_name, ways
from clusterip.proxy.model import Destination, PortKey, PortState, ServicePort, show_destination
from clusterip.proxy.services import key_of, service_ports
from clusterip.proxy.tracker import Tracker


class Reached(msgspec.Struct, frozen=True):
    """An endpoint and how probable it is that a new connection goes there (0 to 1)."""

    address: str
    probability: float


class LeftOut(msgspec.Struct, frozen=True):
    address: str
    reason: str


class Row(msgspec.Struct, frozen=True):
    """What connections from a class of clients on some nodes to an address find.

    ``address`` is empty for node ports: it is each node's own.
    ``client``: ``pod``, ``node`` (itself) or ``outside`` (machines that send to the node). ``source`` is
    ``kept`` or ``masqueraded``, with ``why``; both empty unless ``verdict`` is ``reached`` (else ``refused``
    or ``dropped``). ``owner``: another Service has the address.
    """

    client: str
    nodes: tuple[str, ...]
    via: str
    address: str
    port: int
    verdict: str
    policy: str = ""
    source: str = ""
    why: str = ""
    sourceRanges: tuple[str, ...] = ()
    owner: str = ""
    endpoints: tuple[Reached, ...] = ()
    leftOut: tuple[LeftOut, ...] = ()


class Port(msgspec.Struct, frozen=True):
    """A Service port of one family. ``affinitySeconds``: 0 for no session affinity."""

    name: str
    protocol: str
    family: str
    port: int
    nodePort: int
    affinitySeconds: int
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Question:
    """A Service, its slices, and who else may claim its addresses."""

    service: wire.Service
    slices: Sequence[wire.EndpointSlice]
    others: Sequence[wire.Service] = ()


def explain(question: Question, nodes: Sequence[NodeView], settings: Settings) -> list[Port]:
    """The Service's ports with the rows of all nodes; nodes where it is all the same share their rows."""
    rivals = [port for other in question.others for port in service_ports(other)]
    index = SliceIndex()
    for slice_ in question.slices:
        index.change(None, slice_)
    found: dict[PortKey, tuple[ServicePort, dict[Row, list[str]]]] = {}
    for node in nodes:
        for state in _states(question, node):
            _, rows = found.setdefault(state.port.key, (state.port, {}))
            endpoints = one_by_one(index.parts(state.port.key), node.name)
            for way in ways(state, node, settings, rivals):
                reasons = left_out(endpoints, way.endpoints, node.zone, local=way.local)
                rows.setdefault(_row(way, reasons), []).append(node.name)
    return [_port(port, rows) for port, rows in found.values()]


def _states(question: Question, node: NodeView) -> list[PortState]:
    """As that node's proxy has them."""
    tracker = Tracker(node.name)
    tracker.zone = node.zone
    for slice_ in question.slices:
        tracker.slice_changed(None, slice_)
    tracker.service_changed(None, question.service)
    for _ in tracker.take_changes():
        pass
    return list(tracker.states_of(key_of(question.service)))


def _row(way: Way, reasons: dict[Destination, str]) -> Row:
    reached = way.verdict == "reached"
    part = 1 / len(way.endpoints) if way.endpoints else 0.0
    return Row(
        client=way.client,
        nodes=(),
        via=way.via,
        address="" if way.via == "node port" else str(ipaddress.ip_address(way.address)),
        port=way.port,
        verdict=way.verdict,
        policy=("Local" if way.local else "Cluster") if reached else "",
        source=("masqueraded" if way.masqueraded else "kept") if reached else "",
        why=way.reason,
        sourceRanges=tuple(map(str, way.sources)),
        owner=str(way.owner) if way.owner is not None else "",
        endpoints=tuple(Reached(show_destination(each), part) for each in way.endpoints),
        leftOut=tuple(LeftOut(show_destination(each), reason) for each, reason in reasons.items()),
    )


def _port(port: ServicePort, rows: dict[Row, list[str]]) -> Port:
    return Port(
        name=port.key.port,
        protocol=protocol_name(port.key.protocol),
        family="IPv4" if len(port.cluster_ip) == 4 else "IPv6",
        port=port.port,
        nodePort=port.node_port,
        affinitySeconds=port.affinity_seconds,
        rows=tuple(msgspec.structs.replace(row, nodes=tuple(names)) for row, names in _joined(rows)),
    )


def _joined(rows: dict[Row, list[str]]) -> Iterable[tuple[Row, list[str]]]:
    """In the order of addresses and clients."""
    order = {"pod": 0, "node": 1, "outside": 2}
    vias = {"ClusterIP": 0, "external IP": 1, "load balancer": 2, "node port": 3}
    return sorted(
        rows.items(), key=lambda item: (vias[item[0].via], item[0].address, order[item[0].client], item[1])
    )
