"""The bridge that a node's Pods hang on, and what the node's network must allow for it.

Pods have single addresses (``/32``) and send everything to the bridge's address, also what is for a
Pod beside them. So all traffic is routed by the node, never switched past it: an answer to a packet
whose destination was rewritten comes by again, and no ``br_netfilter`` is needed.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path

from clusterip.kernel import namespaces
from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.node.network.ipam import Address, Network, gateway_of

BRIDGE = "cbr0"


def link_address(address: Address) -> str:
    """A MAC address made from an IP address, so that it stays when the Pod's network is made again."""
    packed = address.packed[-4:]
    return ":".join(f"{byte:02x}" for byte in (0x0A, 0x58, *packed))


def ensure_bridge(networks: Iterable[Network], *, mtu: int = 0) -> None:
    """Make the bridge with the first address of each podCIDR, unless it is so already.

    Raises:
        NetlinkError: the kernel refused it.
    """
    gateways = [gateway_of(network) for network in networks]
    with RouteSocket() as route:
        try:
            route.add_bridge(BRIDGE, address=link_address(gateways[0].ip), mtu=mtu)
        except NetlinkError as error:
            if error.errno != errno.EEXIST:
                raise
        wanted = set(gateways)
        for found in route.addresses(BRIDGE):
            if found.address not in wanted and not found.address.ip.is_link_local:
                route.delete_address(BRIDGE, found.address)  # the node has been given another podCIDR
        for gateway in gateways:
            route.replace_address(BRIDGE, gateway)
        route.set_link(BRIDGE, up=True)
    _forward(any(gateway.version == 6 for gateway in gateways))


def _forward(ipv6: bool) -> None:
    wanted = {
        "net/ipv4/ip_forward": 1,
        # A packet goes out by the bridge it came in by; that is meant so, no reason for a redirect.
        "net/ipv4/conf/all/send_redirects": 0,
        f"net/ipv4/conf/{BRIDGE}/send_redirects": 0,
    }
    if ipv6:
        wanted["net/ipv6/conf/all/forwarding"] = 1
    for name, value in wanted.items():
        if (Path("/proc/sys") / name).exists() and namespaces.read_sysctl(name) != str(value):
            namespaces.write_sysctl(name, value)
