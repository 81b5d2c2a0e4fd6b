"""The elements by which connections reach a Service port: pure functions, no state.

Upstream's rules for the same: ``syncProxyRules`` in ``pkg/proxy/nftables/proxier.go``.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Iterable, Iterator

from clusterip.kernel.nftables import Set
from clusterip.proxy.model import Address, Choice, ServicePort
from clusterip.proxy.nftables.sets import Entry, Sets

ElementOf = tuple[Set, bytes, bytes]
"""Set, key, value."""

Aim = Callable[[Entry, bool, bool], bytes]
"""The target for a port's cluster or local group (True: local) reached through an entry map, masqueraded
(True) or not."""

_FRONTEND = struct.Struct("!BxxxHxx")


def port_key(protocol: int, port: int) -> bytes:
    """The key of a node port, and the end of a frontend's."""
    return _FRONTEND.pack(protocol, port)


def port_elements(
    sets: Sets, port: ServicePort, choice: Choice, aim: Aim, node_ips: Iterable[Address]
) -> Iterator[ElementOf]:
    """The elements for a Service port's ClusterIP, external addresses and node port.

    ``node_ips`` are the node's primary addresses.
    """
    suffix = port_key(port.key.protocol, port.port)
    refused = sets.dropped if choice.exist else sets.rejected
    key = port.cluster_ip + suffix
    yield sets.cluster_ips, port.cluster_ip, b""
    if choice.local if port.internal_local else choice.cluster:
        yield sets.entries[Entry.SERVICES], key, aim(Entry.SERVICES, port.internal_local, False)
    else:
        yield refused, key, b""
    if not port.is_external:
        return
    for address in dict.fromkeys((*port.external_ips, *port.load_balancer_ips)):
        yield from _external(
            sets, port, choice, address + suffix, (Entry.SERVICES, Entry.SHORTCUTS), refused, aim
        )
    if port.node_port:
        yield from _external(
            sets,
            port,
            choice,
            port_key(port.key.protocol, port.node_port),
            (Entry.NODE_PORTS, Entry.NODE_PORT_SHORTCUTS),
            sets.dropped_node_ports if choice.exist else sets.rejected_node_ports,
            aim,
        )
    yield from _firewall(sets, port, suffix, node_ips)


def _external(
    sets: Sets,
    port: ServicePort,
    choice: Choice,
    key: bytes,
    entries: tuple[Entry, Entry],
    refused: Set,
    aim: Aim,
) -> Iterator[ElementOf]:
    """The elements for one external address and port, or a node port."""
    entry, shortcut = entries
    local = port.external_local
    if choice.local if local else choice.cluster:
        # Endpoints of other nodes must answer through this one, so that it can undo the translation.
        yield sets.entries[entry], key, aim(entry, local, not local)
    else:
        yield refused, key, b""
    if local and choice.cluster:
        yield sets.entries[shortcut], key, aim(shortcut, False, False)


def _firewall(
    sets: Sets, port: ServicePort, suffix: bytes, node_ips: Iterable[Address]
) -> Iterator[ElementOf]:
    if not port.source_ranges:
        return
    addresses = [ipaddress.ip_address(address) for address in node_ips]
    node_allowed = any(address in network for network in port.source_ranges for address in addresses)
    for balancer in port.load_balancer_ips:
        key = balancer + suffix
        ranges = list(port.source_ranges)
        own = ipaddress.ip_network(balancer)
        if node_allowed and not any(own.network_address in network for network in ranges):
            # The node's own connections carry the balancer's address as source where it is a local one.
            ranges.append(own)
        yield sets.firewalled, key, b""
        for network in ranges:
            yield sets.allowed(network.prefixlen), key + network.network_address.packed, b""


def entries_of(port: ServicePort, *, local: bool) -> Iterator[tuple[Entry, bytes]]:
    """Where to look for what leads to a port's cluster or local group."""
    suffix = port_key(port.key.protocol, port.port)
    if port.internal_local == local:
        yield Entry.SERVICES, port.cluster_ip + suffix
    external, node_port = (
        (Entry.SERVICES, Entry.NODE_PORTS)
        if port.external_local == local
        else (Entry.SHORTCUTS, Entry.NODE_PORT_SHORTCUTS)
    )
    for address in (*port.external_ips, *port.load_balancer_ips):
        yield external, address + suffix
    if port.node_port:
        yield node_port, port_key(port.key.protocol, port.node_port)
