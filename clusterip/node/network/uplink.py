"""The network below that of the Pods: the device that this node reaches others by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.rtmessages import RTN_UNICAST
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.node.network.bridge import BRIDGE
from clusterip.node.network.ipam import Address
from clusterip.node.network.vxlan import DEVICE


@dataclass(frozen=True)
class Uplink:
    """``address`` is the node's own on the device; VXLAN sends from there."""

    index: int
    name: str
    mtu: int
    address: Address


def find(route: RouteSocket, own: Sequence[Address]) -> Uplink | None:
    """The device with the node's own address, by IPv4 if it has one; None if no device has it."""
    places = {each.address.ip: each.link for each in route.addresses()}
    for address in sorted(own, key=lambda address: address.version):
        if address in places:
            link = route.link(places[address])
            return Uplink(link.index, link.name, link.mtu, address)
    return None


class Neighbourhood:
    """Whether addresses are on a network that this node is on: no router is between."""

    def __init__(self, route: RouteSocket) -> None:
        self._route = route
        self._inside = {link.index for link in route.links() if link.name in (BRIDGE, DEVICE)}

    def has(self, address: Address) -> bool:
        try:
            found = self._route.route_to(address)
        except NetlinkError:  # there is no route to it at all
            return False
        return found.gateway is None and found.kind == RTN_UNICAST and found.link not in self._inside
