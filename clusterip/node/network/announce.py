"""Load balancer addresses that this node announces: the kernel answers for them by ARP and NDP.

For each address there is a *proxy neighbour* on the node's uplink, for which the kernel answers who asks,
and a route that leads elsewhere than the uplink, without which it would not. Packets that come for it are
rewritten by the proxy's rules before any route is looked up. Both stay while no agent runs. Whoever knew
another node as the address's is told anew by gratuitous ARP, or an unsolicited advertisement.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import msgspec

from clusterip.client.informer import Informer
from clusterip.kernel import namespaces
from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.node.network.bridge import BRIDGE
from clusterip.node.network.ipam import Address
from clusterip.process import log

ANNOUNCED_BY = "clusterip.local/announced-by"
"""The label of Services whose addresses a node announces: the node's name."""

ROUTE_PROTOCOL = 0xC2
"""What marks the routes as these, so that the next agent finds them."""

_REPEATS = (0.0, 1.0, 3.0)  # seconds after which to tell of an address; a single frame may be lost
_ETH_ARP, _ETH_IPV6 = 0x0806, 0x86DD
_BROADCAST = b"\xff" * 6
_ALL_NODES = IPv6Address("ff02::1")
_NEIGHBOUR_ADVERTISEMENT = 136
_ICMPV6 = 58

_log = log.get("node")


class _Metadata(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    resourceVersion: str = ""
    uid: str = ""


class _Ingress(msgspec.Struct):
    ip: str = ""


class _LoadBalancer(msgspec.Struct):
    ingress: list[_Ingress] = []


class _Status(msgspec.Struct):
    loadBalancer: _LoadBalancer = msgspec.field(default_factory=_LoadBalancer)


class Announced(msgspec.Struct):
    """As much of a Service as announcing it needs."""

    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    status: _Status = msgspec.field(default_factory=_Status)


class Announcer:
    """Keeps the kernel announcing what the Services given to this node have."""

    def __init__(self, services: Informer[Announced], node_addresses: Sequence[str]) -> None:
        """``services``: those with the label for this node only."""
        self._services = services
        self._node_addresses = [ip_address(address) for address in node_addresses]
        self._announced: set[Address] = set()
        self._wanted: set[Address] = set()
        self._changed = asyncio.Event()
        services.on_batch(self._changed.set)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._services.synced.wait()
        self._announced = self._found()
        while True:
            self._changed.clear()
            self._wanted = set(_addresses(self._services))
            try:
                fresh = self._sync()
            except (NetlinkError, OSError) as error:
                _log.error("load balancer addresses not announced", error=str(error))
                await asyncio.sleep(1)
                continue
            await self._tell(fresh)
            await self._changed.wait()

    async def _tell(self, fresh: Collection[Address]) -> None:
        """Tell of addresses several times, unless something changes meanwhile."""
        for delay in _REPEATS if fresh else ():
            with contextlib.suppress(TimeoutError):
                if delay:
                    await asyncio.wait_for(self._changed.wait(), delay)
                    return
            with RouteSocket() as route:
                for address in fresh:
                    link = self._uplink(route, address)
                    if link is not None:
                        tell(link, bytes.fromhex(route.link(link).address.replace(":", "")), address)

    def _found(self) -> set[Address]:
        with RouteSocket() as route:
            routes = [each for each in route.routes() if each.protocol == ROUTE_PROTOCOL]
        return {each.destination.network_address for each in routes if each.destination is not None}

    def _sync(self) -> set[Address]:
        """Make the kernel announce what is wanted and nothing else; what is new."""
        with RouteSocket() as route:
            for address in self._announced - self._wanted:
                self._end(route, address)
                self._announced.discard(address)
            fresh = self._wanted - self._announced
            # Those there already too: another program may have flushed neighbours or routes.
            for address in self._wanted:
                self._begin(route, address)
            self._announced |= fresh
        if fresh:
            _log.info("announcing", addresses=",".join(map(str, sorted(map(str, fresh)))))
        return fresh

    def _begin(self, route: RouteSocket, address: Address) -> None:
        link = self._uplink(route, address)
        if link is None:
            _log.warning("no network of this node to announce an address in", address=address)
            return
        version = f"ipv{address.version}"
        settings = {f"net/{version}/neigh/{link}/proxy_delay": 0}  # or answers would wait for up to 0.8 s
        if address.version == 6:
            settings[f"net/ipv6/conf/{link}/proxy_ndp"] = 1
        for name, value in settings.items():
            if namespaces.read_sysctl(name) != str(value):
                namespaces.write_sysctl(name, value)
        route.replace_route(_alone(address), link=BRIDGE, protocol=ROUTE_PROTOCOL)
        route.add_proxy_neighbour(link, address)

    def _end(self, route: RouteSocket, address: Address) -> None:
        for link in route.links():
            with contextlib.suppress(NetlinkError):
                route.delete_proxy_neighbour(link.index, address)
        route.delete_route(_alone(address))

    def _uplink(self, route: RouteSocket, address: Address) -> str | None:
        """The link with the node's own address of that family."""
        own = [each for each in self._node_addresses if each.version == address.version]
        for each in route.addresses():
            if each.address.ip in own:
                return route.link(each.link).name
        return None


def tell(link: str, link_address: bytes, address: Address) -> None:
    """Tell everybody on a link that ``address`` is at ``link_address``. Raises OSError."""
    if isinstance(address, IPv4Address):
        kind, frame = _ETH_ARP, _gratuitous_arp(link_address, address)
    else:
        kind, frame = _ETH_IPV6, _advertisement(link_address, address)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        try:
            raw.bind((link, kind))
            raw.send(frame)
        except OSError as error:
            if error.errno != errno.ENETDOWN:
                raise


def _gratuitous_arp(link_address: bytes, address: IPv4Address) -> bytes:
    """RFC 5227, section 3: a request for one's own address, in which sender and target are the same."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    body += link_address + address.packed + bytes(6) + address.packed
    return _BROADCAST + link_address + struct.pack("!H", _ETH_ARP) + body


def _advertisement(link_address: bytes, address: IPv6Address) -> bytes:
    """RFC 4861, section 7.2.6: an unsolicited neighbour advertisement with the override flag."""
    option = bytes((2, 1)) + link_address
    flags = 0xA0000000  # it is a router, and what was known before is to be replaced
    body = struct.pack("!BBHI", _NEIGHBOUR_ADVERTISEMENT, 0, 0, flags) + address.packed + option
    pseudo = address.packed + _ALL_NODES.packed + struct.pack("!IxxxB", len(body), _ICMPV6)
    body = body[:2] + struct.pack("!H", _checksum(pseudo + body)) + body[4:]
    header = struct.pack("!IHBB", 6 << 28, len(body), _ICMPV6, 255) + address.packed + _ALL_NODES.packed
    return b"\x33\x33\x00\x00\x00\x01" + link_address + struct.pack("!H", _ETH_IPV6) + header + body


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _addresses(services: Informer[Announced]) -> list[Address]:
    found = []
    for service in services.objects.values():
        for ingress in service.status.loadBalancer.ingress:
            with contextlib.suppress(ValueError):
                found.append(ip_address(ingress.ip))
    return found


def _alone(address: Address) -> str:
    return str(ip_network(f"{address}/{address.max_prefixlen}"))
