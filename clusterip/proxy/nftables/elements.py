"""The elements by which connections reach a Service port: pure functions, no state.

Upstream's rules for the same: ``syncProxyRules`` in ``pkg/proxy/nftables/proxier.go``.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Iterable, Iterator

from clusterip.kernel.nftables import Set
from clusterip.proxy.model import Address, ServicePort
from clusterip.proxy.nftables.groups import Group
from clusterip.proxy.nftables.layout import Layout
from clusterip.proxy.nftables.ranges import pack_ranges
from clusterip.proxy.nftables.sets import Entry

ElementOf = tuple[Set, bytes, bytes]
"""Set, key, value."""

Aim = Callable[[Entry, Group, bool], bytes]
"""The target for a group reached through an entry map, masqueraded or not."""

_FRONTEND = struct.Struct("!BxxxHxx")


def port_key(protocol: int, port: int) -> bytes:
    """The key of a node port, and the end of a frontend's."""
    return _FRONTEND.pack(protocol, port)


def port_elements(
    layout: Layout,
    port: ServicePort,
    cluster: Group | None,
    local: Group | None,
    aim: Aim,
    *,
    exist: bool,
    node_ips: Iterable[Address],
) -> Iterator[ElementOf]:
    """The elements for a Service port's ClusterIP, external addresses and node port.

    ``cluster`` and ``local`` are its groups, None for empty ones; ``exist``: there are endpoints somewhere.
    """
    suffix = port_key(port.key.protocol, port.port)
    refused = layout.dropped if exist else layout.rejected
    internal = local if port.internal_local else cluster
    key = port.cluster_ip + suffix
    yield layout.cluster_ips, port.cluster_ip, b""
    if internal is not None:
        yield layout.entries[Entry.SERVICES], key, aim(Entry.SERVICES, internal, False)
    else:
        yield refused, key, b""
    for address in dict.fromkeys((*port.external_ips, *port.load_balancer_ips)):
        yield from _external(
            layout, port, address + suffix, (Entry.SERVICES, Entry.SHORTCUTS), refused, cluster, local, aim
        )
    if port.node_port:
        yield from _external(
            layout,
            port,
            port_key(port.key.protocol, port.node_port),
            (Entry.NODE_PORTS, Entry.NODE_PORT_SHORTCUTS),
            layout.dropped_node_ports if exist else layout.rejected_node_ports,
            cluster,
            local,
            aim,
        )
    yield from _firewall(layout, port, suffix, node_ips)


def _external(
    layout: Layout,
    port: ServicePort,
    key: bytes,
    entries: tuple[Entry, Entry],
    refused: Set,
    cluster: Group | None,
    local: Group | None,
    aim: Aim,
) -> Iterator[ElementOf]:
    """The elements for one external address and port, or a node port."""
    entry, shortcut = entries
    group = local if port.external_local else cluster
    if group is not None:
        # Endpoints of other nodes must answer through this one, so that it can undo the translation.
        yield layout.entries[entry], key, aim(entry, group, not port.external_local)
    else:
        yield refused, key, b""
    if port.external_local and cluster is not None:
        yield layout.entries[shortcut], key, aim(shortcut, cluster, False)


def _firewall(
    layout: Layout, port: ServicePort, suffix: bytes, node_ips: Iterable[Address]
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
        yield layout.firewalled, key, b""
        yield layout.allowed_sources, key, pack_ranges(ranges)
