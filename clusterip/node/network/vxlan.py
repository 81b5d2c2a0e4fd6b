"""The node's VXLAN device (RFC 7348): one for all peers, whose places it is told by entries that stay.

It learns nothing and floods nothing: for each peer there is a neighbour entry (the peer's bridge address ->
its device's MAC) and a forwarding entry (that MAC -> the peer's address in the network below).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
from collections.abc import Iterable
from pathlib import Path

from clusterip.kernel import namespaces
from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.rtmessages import NUD_PERMANENT, Vxlan
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.node.network.ipam import Address, Network, gateway_of
from clusterip.node.network.peers import Vtep
from clusterip.node.network.ways import Tunnel

DEVICE = "vxlan.clusterip"
DEFAULT_VNI = 4097
"""Neither flannel's (1) nor Calico's (4096): a kernel has each but once on a port."""
DEFAULT_PORT = 4789
"""IANA's."""

_OVERHEAD = {4: 50, 6: 70}
"""Bytes: the outer IP and UDP headers, VXLAN's and the inner Ethernet header."""


def overhead(local: Address) -> int:
    """How many bytes smaller than the network below the one above must be."""
    return _OVERHEAD[local.version]


def mac_of(address: Address) -> str:
    """The device's MAC: always the same for a node, so that peers need not be told after a reboot."""
    digest = hashlib.sha256(address.packed).digest()
    return bytes((0x0A, *digest[:5])).hex(":")


def ensure_device(own: Vtep, uplink: int, networks: Iterable[Network], mtu: int) -> None:
    """Make the device, or make it right.

    It has the bridge's addresses too, so that what the node itself sends by it has a source that peers
    answer through the tunnel.

    Raises:
        NetlinkError: the kernel refused it.
    """
    wanted = Vxlan(own.vni, own.remote, uplink, own.port, learning=False)
    with RouteSocket() as route:
        found = route.find_link(DEVICE)
        if found is not None and route.vxlan(DEVICE) != wanted:
            route.delete_link(DEVICE)
            found = None
        if found is None:
            route.add_vxlan(
                DEVICE,
                own.vni,
                local=own.address,
                link=uplink,
                port=own.port,
                address=own.mac,
                mtu=mtu,
            )
            _tune()
        elif (found.mtu, found.address) != (mtu, own.mac):
            route.set_link(DEVICE, mtu=mtu, address=own.mac)
        present = {each.address for each in route.addresses(DEVICE) if not each.address.ip.is_link_local}
        gateways = {gateway_of(network).ip for network in networks}
        for address in present:
            if address.ip not in gateways:
                route.delete_address(DEVICE, address)
        for gateway in gateways - {address.ip for address in present}:
            route.replace_address(DEVICE, f"{gateway}/{gateway.max_prefixlen}")
        if found is None or not found.up:
            route.set_link(DEVICE, up=True)


def sync_entries(tunnels: Iterable[Tunnel]) -> None:
    """Tell the device of these peers and of no others.

    Raises:
        NetlinkError: the kernel refused it.
    """
    wanted = list(tunnels)
    neighbours = {tunnel.gateway: tunnel.vtep.mac for tunnel in wanted}
    forwarding = {tunnel.vtep.mac: tunnel.vtep.remote for tunnel in wanted}
    with RouteSocket() as route:
        present = {
            each.address: each.link_address if each.state & NUD_PERMANENT else ""
            for each in route.neighbours(DEVICE)
            if each.address is not None and not each.address.is_multicast
        }
        known = dict(route.forwarding(DEVICE))
        for address in present.keys() - neighbours.keys():
            with _gone_is_fine():
                route.delete_neighbour(DEVICE, address)
        for mac in known.keys() - forwarding.keys():
            with _gone_is_fine():
                route.delete_forwarding(DEVICE, mac, known[mac])
        for mac, remote in forwarding.items():
            if known.get(mac) != remote:
                route.replace_forwarding(DEVICE, mac, remote)
        for address, mac in neighbours.items():
            if present.get(address) != mac:
                route.replace_neighbour(DEVICE, address, mac)


def _tune() -> None:
    # A peer may reach this node directly while this one goes through the tunnel: no strict reverse path.
    # And the device is no place to be told addresses or routers at.
    for name, value in (("ipv4/conf/{}/rp_filter", 2), ("ipv6/conf/{}/accept_ra", 0)):
        path = "net/" + name.format(DEVICE)
        if (Path("/proc/sys") / path).exists():
            namespaces.write_sysctl(path, value)


@contextlib.contextmanager
def _gone_is_fine():  # type: ignore[no-untyped-def]
    try:
        yield
    except NetlinkError as error:
        if error.errno != errno.ENOENT:
            raise
