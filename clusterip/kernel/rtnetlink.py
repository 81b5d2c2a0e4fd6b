"""Links, addresses, routes and neighbours through rtnetlink, typed. See rtnetlink(7).

A ``RouteSocket`` acts on the network namespace it was opened in; give one to make it act elsewhere::

    with RouteSocket(namespaces.path_of("blue")) as blue:
        blue.set_link("lo", up=True)
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from types import TracebackType

from clusterip.kernel import netlink
from clusterip.kernel.namespaces import Namespace, enter, opened
from clusterip.kernel.netlink import NETLINK_ROUTE, Message, NetlinkError, NetlinkSocket

IPAddress = IPv4Address | IPv6Address
IPInterface = IPv4Interface | IPv6Interface
IPNetwork = IPv4Network | IPv6Network

# Multicast groups, for NetlinkSocket(NETLINK_ROUTE, groups=...).
RTNLGRP_LINK = 1
RTNLGRP_NEIGH = 3
RTNLGRP_IPV4_IFADDR = 5
RTNLGRP_IPV4_ROUTE = 7
RTNLGRP_IPV6_IFADDR = 9
RTNLGRP_IPV6_ROUTE = 11

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30

RT_TABLE_MAIN = 254
RTPROT_KERNEL = 2
RTPROT_STATIC = 4

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK, _IFLA_MASTER = 1, 3, 4, 5, 10
_IFLA_PROTINFO, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 12, 18, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA = 1, 2
_VETH_INFO_PEER = 1
_IFLA_VXLAN_ID, _IFLA_VXLAN_LINK, _IFLA_VXLAN_LOCAL, _IFLA_VXLAN_LEARNING, _IFLA_VXLAN_PORT = 1, 3, 4, 7, 15
_IFLA_BRPORT_MODE = 4  # "hairpin"
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFA_F_NODAD = 0x02
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_PREFSRC, _RTA_TABLE, _RTA_VIA = 1, 4, 5, 6, 7, 15, 18
_NDA_DST, _NDA_LLADDR = 1, 2
_NTF_SELF = 0x02
_IFF_UP = 1
_RT_SCOPE_UNIVERSE, _RT_SCOPE_LINK, _RT_SCOPE_NOWHERE = 0, 253, 255
_RTN_UNICAST = 1
_NUD_PERMANENT = 0x80

_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")
_RTMSG = struct.Struct("=BBBBBBBBI")
_NDMSG = struct.Struct("=BxxxiHBB")

_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_MAKE = netlink.NLM_F_CREATE | netlink.NLM_F_EXCL
_SET = netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE


@dataclass(frozen=True)
class Link:
    """A network interface. ``master`` is the index of its bridge (0: none), ``peer`` that of the lower
    interface or the veth's other end (which may be in another namespace)."""

    index: int
    name: str
    kind: str
    up: bool
    mtu: int
    address: str
    master: int
    peer: int


@dataclass(frozen=True)
class Address:
    link: int
    address: IPInterface


@dataclass(frozen=True)
class Route:
    """A route; ``destination`` None is the default route, ``kind`` 1 is an ordinary (unicast) one."""

    destination: IPNetwork | None
    gateway: IPAddress | None = None
    link: int = 0
    source: IPAddress | None = None
    table: int = RT_TABLE_MAIN
    protocol: int = RTPROT_STATIC
    metric: int = 0
    kind: int = _RTN_UNICAST


@dataclass(frozen=True)
class Neighbour:
    link: int
    address: IPAddress | None
    link_address: str
    state: int


class RouteSocket:
    """Requests to rtnetlink. Links are named by name or index; errors are ``NetlinkError``.

    A link that is not there is ``NetlinkError(ENODEV)``, a thing that is there already ``EEXIST``.
    """

    def __init__(self, namespace: Namespace | None = None) -> None:
        with enter(namespace) if namespace is not None else contextlib.nullcontext():
            self._socket = NetlinkSocket(NETLINK_ROUTE, strict=True)

    def __enter__(self) -> RouteSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    # Links

    def links(self) -> list[Link]:
        return [_parse_link(m) for m in self._socket.dump(RTM_GETLINK, _IFINFO.pack(0, 0, 0, 0, 0))]

    def link(self, link: str | int) -> Link:
        """One link. Raises NetlinkError(ENODEV) if there is none."""
        index = link if isinstance(link, int) else 0
        name = b"" if isinstance(link, int) else _name(link)
        try:
            (answer,) = self._socket.request(RTM_GETLINK, _IFINFO.pack(0, 0, index, 0, 0) + name)
        except NetlinkError as error:
            if error.errno == errno.ENODEV:
                raise NetlinkError(errno.ENODEV, f"there is no network interface {link!r}") from None
            raise
        return _parse_link(answer)

    def find_link(self, link: str | int) -> Link | None:
        """One link, or None if there is none."""
        try:
            return self.link(link)
        except NetlinkError as error:
            if error.errno == errno.ENODEV:
                return None
            raise

    def index(self, link: str | int) -> int:
        """The index of a link. Raises NetlinkError(ENODEV) if there is none."""
        return link if isinstance(link, int) else self.link(link).index

    def add_bridge(self, name: str, *, address: str = "", mtu: int = 0) -> None:
        """Make a bridge, with MAC ``address`` if given (else it follows its ports')."""
        self._add_link(name, _properties(address=address, mtu=mtu), _kind("bridge"))

    def add_veth(
        self,
        name: str,
        peer: str,
        *,
        peer_namespace: Namespace | None = None,
        peer_address: str = "",
        mtu: int = 0,
        master: str | int = 0,
    ) -> None:
        """Make a veth pair, its other end called ``peer`` and straight in ``peer_namespace`` if given."""
        own = _properties(mtu=mtu)
        if master:
            own += netlink.u32(_IFLA_MASTER, self.index(master))
        with _descriptor(peer_namespace) as descriptor:
            other = _IFINFO.pack(0, 0, 0, 0, 0) + _name(peer) + _properties(address=peer_address, mtu=mtu)
            if descriptor is not None:
                other += netlink.u32(_IFLA_NET_NS_FD, descriptor)
            data = netlink.attribute(_VETH_INFO_PEER | netlink.NLA_F_NESTED, other)
            self._add_link(name, own, _kind("veth", data))

    def add_vxlan(
        self,
        name: str,
        vni: int,
        *,
        local: str = "",
        link: str | int = 0,
        port: int = 8472,
        learning: bool = False,
        address: str = "",
        mtu: int = 0,
    ) -> None:
        """Make a VXLAN device for network ``vni`` over UDP ``port``, sending from ``local`` via ``link``."""
        data = netlink.u32(_IFLA_VXLAN_ID, vni)
        data += netlink.u8(_IFLA_VXLAN_LEARNING, learning)
        data += netlink.be16(_IFLA_VXLAN_PORT, port)
        if local:
            data += netlink.attribute(_IFLA_VXLAN_LOCAL, ip_address(local).packed)
        if link:
            data += netlink.u32(_IFLA_VXLAN_LINK, self.index(link))
        self._add_link(name, _properties(address=address, mtu=mtu), _kind("vxlan", data))

    def set_link(
        self,
        link: str | int,
        *,
        up: bool | None = None,
        mtu: int = 0,
        address: str = "",
        master: str | int | None = None,
        name: str = "",
        namespace: Namespace | None = None,
    ) -> None:
        """Change what is given of a link. ``master=0`` takes it out of its bridge."""
        properties = _properties(mtu=mtu, address=address)
        if master is not None:
            properties += netlink.u32(_IFLA_MASTER, self.index(master) if master else 0)
        if name:
            properties += _name(name)
        flags = _IFF_UP if up else 0
        change = 0 if up is None else _IFF_UP
        with _descriptor(namespace) as descriptor:
            if descriptor is not None:
                properties += netlink.u32(_IFLA_NET_NS_FD, descriptor)
            header = _IFINFO.pack(0, 0, self.index(link), flags, change)
            self._socket.request(RTM_NEWLINK, header + properties)

    def set_hairpin(self, link: str | int, enabled: bool = True) -> None:
        """Let a bridge send a frame back out of the port it came in by (a Pod reaching itself)."""
        header = _IFINFO.pack(socket.AF_BRIDGE, 0, self.index(link), 0, 0)
        port = netlink.nested(_IFLA_PROTINFO, netlink.u8(_IFLA_BRPORT_MODE, enabled))
        self._socket.request(RTM_SETLINK, header + port)

    def delete_link(self, link: str | int) -> bool:
        """Remove a link (and a veth's other end); False if there was none."""
        try:
            self._socket.request(RTM_DELLINK, _IFINFO.pack(0, 0, self.index(link), 0, 0))
        except NetlinkError as error:
            if error.errno == errno.ENODEV:
                return False
            raise
        return True

    def _add_link(self, name: str, properties: bytes, info: bytes) -> None:
        payload = _IFINFO.pack(0, 0, 0, 0, 0) + _name(name) + properties + info
        self._socket.request(RTM_NEWLINK, payload, _MAKE)

    # Addresses

    def addresses(self, link: str | int = 0) -> list[Address]:
        """The addresses of one link, or of all."""
        index = self.index(link) if link else 0
        found = [_parse_address(m) for m in self._socket.dump(RTM_GETADDR, _IFADDR.pack(0, 0, 0, 0, index))]
        return [address for address in found if not index or address.link == index]

    def add_address(self, link: str | int, address: str | IPInterface) -> None:
        """Give a link an address such as ``10.0.0.1/24``. Raises NetlinkError(EEXIST) if it has it."""
        self._socket.request(RTM_NEWADDR, self._address(link, address), _MAKE)

    def replace_address(self, link: str | int, address: str | IPInterface) -> None:
        """Give a link an address whether or not it has it."""
        self._socket.request(RTM_NEWADDR, self._address(link, address), _SET)

    def delete_address(self, link: str | int, address: str | IPInterface) -> None:
        """Raises NetlinkError(EADDRNOTAVAIL) if the link does not have it."""
        self._socket.request(RTM_DELADDR, self._address(link, address))

    def _address(self, link: str | int, address: str | IPInterface) -> bytes:
        interface = ip_interface(address)
        family = _FAMILIES[interface.version]
        # Duplicate address detection would leave an IPv6 address unusable for a second or two.
        flags = _IFA_F_NODAD if interface.version == 6 else 0
        header = _IFADDR.pack(family, interface.network.prefixlen, flags, 0, self.index(link))
        packed = interface.ip.packed
        return header + netlink.attribute(_IFA_LOCAL, packed) + netlink.attribute(_IFA_ADDRESS, packed)

    # Routes

    def routes(self, *, family: int = socket.AF_UNSPEC, table: int = RT_TABLE_MAIN) -> list[Route]:
        """The routes of a table (0: of all), IPv4 and IPv6 unless ``family`` says which."""
        families = [family] if family else [socket.AF_INET, socket.AF_INET6]
        found: list[Route] = []
        for each in families:
            request = _RTMSG.pack(each, 0, 0, 0, 0, 0, 0, 0, 0)
            found += [_parse_route(m) for m in self._socket.dump(RTM_GETROUTE, request)]
        return [route for route in found if not table or route.table == table]

    def add_route(
        self,
        destination: str | IPNetwork | None,
        *,
        gateway: str | IPAddress | None = None,
        link: str | int = 0,
        source: str | IPAddress | None = None,
        table: int = RT_TABLE_MAIN,
        metric: int = 0,
        protocol: int = RTPROT_STATIC,
    ) -> None:
        """Add a route; ``destination`` None is the default. Raises NetlinkError(EEXIST) if there is one."""
        payload = self._route(destination, gateway, link, source, table, metric, protocol)
        self._socket.request(RTM_NEWROUTE, payload, _MAKE)

    def replace_route(
        self,
        destination: str | IPNetwork | None,
        *,
        gateway: str | IPAddress | None = None,
        link: str | int = 0,
        source: str | IPAddress | None = None,
        table: int = RT_TABLE_MAIN,
        metric: int = 0,
        protocol: int = RTPROT_STATIC,
    ) -> None:
        """Add a route in place of any to the same destination with the same metric."""
        payload = self._route(destination, gateway, link, source, table, metric, protocol)
        self._socket.request(RTM_NEWROUTE, payload, _SET)

    def delete_route(
        self,
        destination: str | IPNetwork | None,
        *,
        gateway: str | IPAddress | None = None,
        link: str | int = 0,
        table: int = RT_TABLE_MAIN,
        metric: int = 0,
    ) -> bool:
        """Remove the first route that fits what is given; False if none does."""
        payload = self._route(destination, gateway, link, None, table, metric, 0, deletes=True)
        try:
            self._socket.request(RTM_DELROUTE, payload)
        except NetlinkError as error:
            if error.errno == errno.ESRCH:
                return False
            raise
        return True

    def _route(
        self,
        destination: str | IPNetwork | None,
        gateway: str | IPAddress | None,
        link: str | int,
        source: str | IPAddress | None,
        table: int,
        metric: int,
        protocol: int,
        deletes: bool = False,
    ) -> bytes:
        network = ip_network(destination) if destination is not None else None
        via = ip_address(gateway) if gateway is not None else None
        version = network.version if network else via.version if via else 4
        scope = _RT_SCOPE_UNIVERSE if via or version == 6 else _RT_SCOPE_LINK
        payload = _RTMSG.pack(
            _FAMILIES[version],
            network.prefixlen if network else 0,
            0,
            0,
            table if table < 256 else 0,
            protocol,
            _RT_SCOPE_NOWHERE if deletes else scope,
            0 if deletes else _RTN_UNICAST,
            0,
        )
        payload += netlink.u32(_RTA_TABLE, table)
        if network:
            payload += netlink.attribute(_RTA_DST, network.network_address.packed)
        if via:
            if via.version == version:
                payload += netlink.attribute(_RTA_GATEWAY, via.packed)
            else:
                family = struct.pack("=H", _FAMILIES[via.version])
                payload += netlink.attribute(_RTA_VIA, family + via.packed)
        if link:
            payload += netlink.u32(_RTA_OIF, self.index(link))
        if source is not None:
            payload += netlink.attribute(_RTA_PREFSRC, ip_address(source).packed)
        if metric:
            payload += netlink.u32(_RTA_PRIORITY, metric)
        return payload

    # Neighbours

    def neighbours(self, link: str | int = 0) -> list[Neighbour]:
        """What is known of link-layer addresses, on one link or on all."""
        index = self.index(link) if link else 0
        found = [_parse_neighbour(m) for m in self._socket.dump(RTM_GETNEIGH, _NDMSG.pack(0, 0, 0, 0, 0))]
        return [neighbour for neighbour in found if not index or neighbour.link == index]

    def replace_neighbour(self, link: str | int, address: str | IPAddress, link_address: str) -> None:
        """Say for good that ``address`` is at MAC ``link_address``."""
        self._socket.request(RTM_NEWNEIGH, self._neighbour(link, address, link_address), _SET)

    def delete_neighbour(self, link: str | int, address: str | IPAddress) -> None:
        """Raises NetlinkError(ENOENT) if it is not known."""
        self._socket.request(RTM_DELNEIGH, self._neighbour(link, address, ""))

    def append_forwarding(self, link: str | int, link_address: str, remote: str | IPAddress) -> None:
        """Let a VXLAN device send frames for MAC ``link_address`` (all zeros: unknown ones) to ``remote``."""
        header = _NDMSG.pack(socket.AF_BRIDGE, self.index(link), _NUD_PERMANENT, _NTF_SELF, 0)
        payload = header + netlink.attribute(_NDA_LLADDR, _pack_mac(link_address))
        payload += netlink.attribute(_NDA_DST, ip_address(remote).packed)
        self._socket.request(RTM_NEWNEIGH, payload, netlink.NLM_F_CREATE | netlink.NLM_F_APPEND)

    def delete_forwarding(self, link: str | int, link_address: str, remote: str | IPAddress) -> None:
        """Undo ``append_forwarding``."""
        header = _NDMSG.pack(socket.AF_BRIDGE, self.index(link), _NUD_PERMANENT, _NTF_SELF, 0)
        payload = header + netlink.attribute(_NDA_LLADDR, _pack_mac(link_address))
        payload += netlink.attribute(_NDA_DST, ip_address(remote).packed)
        self._socket.request(RTM_DELNEIGH, payload)

    def _neighbour(self, link: str | int, address: str | IPAddress, link_address: str) -> bytes:
        destination = ip_address(address)
        family = _FAMILIES[destination.version]
        payload = _NDMSG.pack(family, self.index(link), _NUD_PERMANENT, 0, 0)
        payload += netlink.attribute(_NDA_DST, destination.packed)
        if link_address:
            payload += netlink.attribute(_NDA_LLADDR, _pack_mac(link_address))
        return payload


def _descriptor(namespace: Namespace | None) -> contextlib.AbstractContextManager[int | None]:
    """An open descriptor of a namespace for the kernel to refer to; None for None."""
    return contextlib.nullcontext() if namespace is None else opened(namespace)


def _name(name: str) -> bytes:
    if not 0 < len(name.encode()) < 16:
        raise ValueError(f"an interface's name has 1 to 15 bytes: {name!r}")
    return netlink.string(_IFLA_IFNAME, name)


def _kind(kind: str, data: bytes = b"") -> bytes:
    attributes = [netlink.string(_IFLA_INFO_KIND, kind)]
    if data:
        attributes.append(netlink.attribute(_IFLA_INFO_DATA | netlink.NLA_F_NESTED, data))
    return netlink.nested(_IFLA_LINKINFO, *attributes)


def _properties(*, address: str = "", mtu: int = 0) -> bytes:
    result = b""
    if address:
        result += netlink.attribute(_IFLA_ADDRESS, _pack_mac(address))
    if mtu:
        result += netlink.u32(_IFLA_MTU, mtu)
    return result


def _pack_mac(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))


def _parse_link(message: Message) -> Link:
    _family, _type, index, flags, _change = _IFINFO.unpack_from(message.payload)
    attributes = netlink.parse_attributes(message.payload, _IFINFO.size)
    info = netlink.parse_attributes(attributes.get(_IFLA_LINKINFO, b""))
    return Link(
        index=index,
        name=netlink.text(attributes[_IFLA_IFNAME]),
        kind=netlink.text(info.get(_IFLA_INFO_KIND, b"")),
        up=bool(flags & _IFF_UP),
        mtu=netlink.number(attributes.get(_IFLA_MTU, b"")),
        address=bytes(attributes.get(_IFLA_ADDRESS, b"")).hex(":"),
        master=netlink.number(attributes.get(_IFLA_MASTER, b"")),
        peer=netlink.number(attributes.get(_IFLA_LINK, b"")),
    )


def _parse_address(message: Message) -> Address:
    _family, prefix, _flags, _scope, index = _IFADDR.unpack_from(message.payload)
    attributes = netlink.parse_attributes(message.payload, _IFADDR.size)
    # For point-to-point links IFA_ADDRESS is the other end; IFA_LOCAL is ours where it exists.
    packed = bytes(attributes.get(_IFA_LOCAL) or attributes[_IFA_ADDRESS])
    return Address(index, ip_interface((packed, prefix)))


def _parse_route(message: Message) -> Route:
    family, prefix, _source, _tos, table, protocol, _scope, kind, _flags = _RTMSG.unpack_from(message.payload)
    attributes = netlink.parse_attributes(message.payload, _RTMSG.size)

    def address(kind: int) -> IPAddress | None:
        value = attributes.get(kind)
        return ip_address(bytes(value)) if value else None

    base = address(_RTA_DST)
    destination = ip_network(f"{base}/{prefix}") if base else None
    if destination is None and prefix:
        destination = ip_network(f"{'0.0.0.0' if family == socket.AF_INET else '::'}/{prefix}")
    via = attributes.get(_RTA_VIA)
    return Route(
        destination=destination,
        gateway=address(_RTA_GATEWAY) or (ip_address(bytes(via[2:])) if via else None),
        link=netlink.number(attributes.get(_RTA_OIF, b"")),
        source=address(_RTA_PREFSRC),
        table=netlink.number(attributes.get(_RTA_TABLE, b"")) or table,
        protocol=protocol,
        metric=netlink.number(attributes.get(_RTA_PRIORITY, b"")),
        kind=kind,
    )


def _parse_neighbour(message: Message) -> Neighbour:
    _family, index, state, _flags, _kind = _NDMSG.unpack_from(message.payload)
    attributes = netlink.parse_attributes(message.payload, _NDMSG.size)
    destination = attributes.get(_NDA_DST)
    return Neighbour(
        link=index,
        address=ip_address(bytes(destination)) if destination else None,
        link_address=bytes(attributes.get(_NDA_LLADDR, b"")).hex(":"),
        state=state,
    )
