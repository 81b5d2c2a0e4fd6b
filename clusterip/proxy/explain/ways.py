"""The ways to a Service port on one node, by who connects and to which address.

Which endpoints, and by which policy, is what :func:`~clusterip.proxy.nftables.elements.port_elements` puts
into the sets of nftables; here these are looked up in the order of the constant rules
(:mod:`clusterip.proxy.nftables.rules`).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from clusterip.proxy.model import Address, Destination, Network, PortKey, PortState, ServicePort
from clusterip.proxy.nftables.elements import port_elements, port_key
from clusterip.proxy.nftables.plane import rank
from clusterip.proxy.nftables.sets import Entry, Sets

Client = Literal["pod", "node", "outside"]
"""A Pod of the node, the node itself (and Pods on its network), or another machine that sends to the node."""
CLIENTS: tuple[Client, ...] = ("pod", "node", "outside")

Via = Literal["ClusterIP", "external IP", "load balancer", "node port"]
Verdict = Literal["reached", "refused", "dropped"]


@dataclass(frozen=True)
class Settings:
    """What of a proxy's configuration decides about source addresses.

    ``knows_pods``: it can tell Pods from others (``detectLocalMode`` has what it needs).
    """

    knows_pods: bool = True
    masquerade_all: bool = False


@dataclass(frozen=True)
class NodeView:
    """The node that is asked about: its primary addresses, those of node ports, and the ranges of its
    Pods."""

    name: str
    zone: str = ""
    addresses: tuple[Address, ...] = ()
    node_ports: tuple[Address, ...] = ()
    pod_ranges: tuple[Network, ...] = ()


@dataclass(frozen=True)
class Way:
    """What becomes of a connection.

    ``endpoints`` are drawn from evenly. ``local``: only those on the node count (a policy ``Local``).
    ``masqueraded``: the endpoint sees the node's address as the client's; ``reason`` says why it is so.
    ``owner``: another Service's port that has this address. ``sources``: only clients of these ranges get so
    far.
    """

    client: Client
    via: Via
    address: Address
    port: int
    verdict: Verdict
    endpoints: tuple[Destination, ...] = ()
    local: bool = False
    masqueraded: bool = False
    reason: str = ""
    sources: tuple[Network, ...] = ()
    owner: PortKey | None = None


class _Target(NamedTuple):
    local: bool
    masquerade: bool


@dataclass
class _Elements:
    """A port's elements by set and key, and what the targets among them stand for."""

    sets: Sets
    held: dict[tuple[str, bytes], _Target | None] = field(default_factory=dict)

    def has(self, name: str, key: bytes) -> bool:
        return (name, key) in self.held

    def target(self, entry: Entry, key: bytes) -> _Target | None:
        return self.held.get((entry.value, key))


def ways(
    state: PortState, node: NodeView, settings: Settings, rivals: Iterable[ServicePort] = ()
) -> Iterator[Way]:
    """The ways to a Service port on a node. ``rivals``: other ports, which may claim the same addresses."""
    port = state.port
    elements = _elements_of(state, node)
    others = list(rivals)
    yield from _each(state, node, settings, elements, "ClusterIP", port.cluster_ip, others)
    for address in port.external_ips:
        yield from _each(state, node, settings, elements, "external IP", address, others)
    for address in port.load_balancer_ips:
        yield from _each(state, node, settings, elements, "load balancer", address, others)
    if port.node_port:
        for address in node.node_ports:
            if len(address) == len(port.cluster_ip):
                yield from _each(state, node, settings, elements, "node port", address, others)


def _elements_of(state: PortState, node: NodeView) -> _Elements:
    sets = Sets(state.port.key.family)
    elements = _Elements(sets)
    targets: dict[bytes, _Target] = {}

    def aim(entry: Entry, local: bool, masquerade: bool) -> bytes:
        name = bytes((local, masquerade))
        targets[name] = _Target(local, masquerade)
        return name

    for set_, key, value in port_elements(sets, state.port, state.choice, aim, node.addresses):
        elements.held.setdefault((set_.name, key), targets.get(value))
    return elements


def _each(
    state: PortState,
    node: NodeView,
    settings: Settings,
    elements: _Elements,
    via: Via,
    address: Address,
    rivals: list[ServicePort],
) -> Iterator[Way]:
    port = state.port
    number = port.node_port if via == "node port" else port.port
    suffix = port_key(port.key.protocol, number)
    key = suffix if via == "node port" else address + suffix
    owner = _owner(port, key, via, address, rivals)
    for client in CLIENTS:
        if owner is not None:
            yield Way(client, via, address, number, "refused", owner=owner)
            continue
        follow = _follow(state, settings, elements, via, client, key)
        way = follow(address, number)
        if elements.has(elements.sets.firewalled.name, key):
            way = _limited(way, port, node)
        yield way


def _follow(
    state: PortState, settings: Settings, elements: _Elements, via: Via, client: Client, key: bytes
) -> Callable[[Address, int], Way]:
    """Look an address up as the chains ``services``, ``external`` and ``node-ports`` do."""
    is_node_port = via == "node port"
    entry, shortcut = (
        (Entry.NODE_PORTS, Entry.NODE_PORT_SHORTCUTS) if is_node_port else (Entry.SERVICES, Entry.SHORTCUTS)
    )
    to_cluster_ip = via == "ClusterIP"
    marked = to_cluster_ip and (settings.masquerade_all or (settings.knows_pods and client != "pod"))
    found: _Target | None = None
    reason = ""
    if client == "node" or (client == "pod" and settings.knows_pods):
        found = elements.target(shortcut, key)
        if found is not None:
            found = _Target(found.local, client == "node")
            reason = "externalTrafficPolicy: Local does not bind Pods"
            if client == "node":
                reason = "externalTrafficPolicy: Local does not bind the node; endpoints answer through it"
    found = found or elements.target(entry, key)
    if found is None:
        sets = elements.sets
        dropped = sets.dropped_node_ports if is_node_port else sets.dropped
        verdict: Verdict = "dropped" if elements.has(dropped.name, key) else "refused"
        bound = verdict == "dropped"
        return lambda address, number: Way(
            client, via, address, number, verdict, local=bound, reason=_why(verdict)
        )
    masqueraded = found.masquerade or marked
    endpoints = state.choice.local if found.local else state.choice.cluster
    reason = reason or _source_reason(settings, via, client, masqueraded=masqueraded)
    local = found.local
    return lambda address, number: Way(
        client, via, address, number, "reached", endpoints, local, masqueraded, reason
    )


def _why(verdict: Verdict) -> str:
    if verdict == "dropped":
        return "there are endpoints, but the traffic policy Local allows none on this node"
    return "there are no endpoints that could take it"


def _source_reason(settings: Settings, via: Via, client: Client, *, masqueraded: bool) -> str:
    if via != "ClusterIP":
        if masqueraded:
            return "externalTrafficPolicy: Cluster; endpoints elsewhere must answer through this node"
        return "externalTrafficPolicy: Local"
    if masqueraded and settings.masquerade_all:
        return "--masquerade-all"
    if masqueraded:
        return "not from a Pod; endpoints must answer through this node"
    return "from a Pod" if settings.knows_pods else "the proxy cannot tell Pods from others"


def _limited(way: Way, port: ServicePort, node: NodeView) -> Way:
    """What ``loadBalancerSourceRanges`` makes of it."""
    ranges = port.source_ranges
    if way.client == "outside":
        return Way(**{**vars(way), "sources": ranges})
    version = 4 if len(port.cluster_ip) == 4 else 6
    if way.client == "node":
        own = [network for network in map(ipaddress.ip_network, node.addresses) if network.version == version]
    else:
        own = [network for network in node.pod_ranges if network.version == version]
    if any(_within(network, ranges) for network in own):
        return way
    if way.client == "pod" and (some := tuple(each for each in ranges if _within(each, own))):
        return Way(**{**vars(way), "sources": some})
    return Way(
        way.client,
        way.via,
        way.address,
        way.port,
        "dropped",
        reason="loadBalancerSourceRanges do not have its address",
        sources=ranges,
    )


def _within(network: Network, ranges: Iterable[Network]) -> bool:
    return any(
        each.version == network.version
        and each.prefixlen <= network.prefixlen
        and network.network_address in each
        for each in ranges
    )


def _owner(
    port: ServicePort, key: bytes, via: Via, address: Address, rivals: list[ServicePort]
) -> PortKey | None:
    """The other port that has this address, if one has."""
    best, best_rank = None, rank(port, key)
    for rival in rivals:
        if rival.key == port.key or rival.key.protocol != port.key.protocol:
            continue
        if via == "node port":
            claims = rival.node_port == port.node_port and rival.key.family == port.key.family
        else:
            own = (rival.cluster_ip, *rival.external_ips, *rival.load_balancer_ips)
            claims = rival.port == port.port and address in own
        if claims and rank(rival, key) < best_rank:
            best, best_rank = rival.key, rank(rival, key)
    return best


def protocol_name(number: int) -> str:
    """``TCP``, ``UDP`` or ``SCTP``."""
    return {socket.IPPROTO_TCP: "TCP", socket.IPPROTO_UDP: "UDP"}.get(number, "SCTP")
