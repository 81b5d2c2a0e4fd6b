"""rtnetlink's messages: their numbers, their fixed parts, and what they say as typed objects.

See rtnetlink(7) and the kernel's ``include/uapi/linux/{rtnetlink,if_link,if_addr,neighbour}.h``.
"""

from __future__ import annotations

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

from clusterip.kernel import netlink
from clusterip.kernel.netlink import Message

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

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_PROTINFO, IFLA_LINKINFO, IFLA_NET_NS_FD = 12, 18, 28
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
VETH_INFO_PEER = 1
IFLA_VXLAN_ID, IFLA_VXLAN_LINK, IFLA_VXLAN_LOCAL, IFLA_VXLAN_LEARNING, IFLA_VXLAN_PORT = 1, 3, 4, 7, 15
IFLA_VXLAN_LOCAL6 = 17
IFLA_BRPORT_MODE = 4  # "hairpin"
IFA_ADDRESS, IFA_LOCAL = 1, 2
IFA_F_NODAD = 0x02
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_TABLE, RTA_VIA = 1, 4, 5, 6, 7, 15, 18
RTA_METRICS, RTAX_MTU = 8, 2
NDA_DST, NDA_LLADDR = 1, 2
NTF_SELF = 0x02
NTF_PROXY = 0x08
IFF_UP = 1
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_NOWHERE = 0, 253, 255
RTN_UNICAST = 1
RTNH_F_ONLINK = 4
NUD_PERMANENT = 0x80

IFINFO = struct.Struct("=BxHiII")
IFADDR = struct.Struct("=BBBBI")
RTMSG = struct.Struct("=BBBBBBBBI")
NDMSG = struct.Struct("=BxxxiHBB")

FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


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
class Vxlan:
    """What makes a VXLAN device. ``link`` is the index of the device it sends by (0: as routes say)."""

    vni: int
    local: IPAddress | None
    link: int
    port: int
    learning: bool


@dataclass(frozen=True)
class Address:
    link: int
    address: IPInterface


@dataclass(frozen=True)
class Route:
    """A route; ``destination`` None is the default route, ``kind`` 1 is an ordinary (unicast) one.

    ``onlink``: the gateway is taken to be on the link, whatever addresses that has. ``mtu`` 0: the link's.
    """

    destination: IPNetwork | None
    gateway: IPAddress | None = None
    link: int = 0
    source: IPAddress | None = None
    table: int = RT_TABLE_MAIN
    protocol: int = RTPROT_STATIC
    metric: int = 0
    kind: int = RTN_UNICAST
    onlink: bool = False
    mtu: int = 0


@dataclass(frozen=True)
class Neighbour:
    link: int
    address: IPAddress | None
    link_address: str
    state: int


def name(name: str) -> bytes:
    if not 0 < len(name.encode()) < 16:
        raise ValueError(f"an interface's name has 1 to 15 bytes: {name!r}")
    return netlink.string(IFLA_IFNAME, name)


def kind(kind: str, data: bytes = b"") -> bytes:
    attributes = [netlink.string(IFLA_INFO_KIND, kind)]
    if data:
        attributes.append(netlink.attribute(IFLA_INFO_DATA | netlink.NLA_F_NESTED, data))
    return netlink.nested(IFLA_LINKINFO, *attributes)


def properties(*, address: str = "", mtu: int = 0) -> bytes:
    result = b""
    if address:
        result += netlink.attribute(IFLA_ADDRESS, pack_mac(address))
    if mtu:
        result += netlink.u32(IFLA_MTU, mtu)
    return result


def pack_mac(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))


def parse_link(message: Message) -> Link:
    _family, _type, index, flags, _change = IFINFO.unpack_from(message.payload)
    attributes = netlink.parse_attributes(message.payload, IFINFO.size)
    info = netlink.parse_attributes(attributes.get(IFLA_LINKINFO, b""))
    return Link(
        index=index,
        name=netlink.text(attributes[IFLA_IFNAME]),
        kind=netlink.text(info.get(IFLA_INFO_KIND, b"")),
        up=bool(flags & IFF_UP),
        mtu=netlink.number(attributes.get(IFLA_MTU, b"")),
        address=bytes(attributes.get(IFLA_ADDRESS, b"")).hex(":"),
        master=netlink.number(attributes.get(IFLA_MASTER, b"")),
        peer=netlink.number(attributes.get(IFLA_LINK, b"")),
    )


def parse_vxlan(message: Message) -> Vxlan | None:
    """What a link is as a VXLAN device; None if it is something else."""
    attributes = netlink.parse_attributes(message.payload, IFINFO.size)
    info = netlink.parse_attributes(attributes.get(IFLA_LINKINFO, b""))
    if netlink.text(info.get(IFLA_INFO_KIND, b"")) != "vxlan":
        return None
    data = netlink.parse_attributes(info.get(IFLA_INFO_DATA, b""))
    local = data.get(IFLA_VXLAN_LOCAL) or data.get(IFLA_VXLAN_LOCAL6)
    return Vxlan(
        vni=netlink.number(data.get(IFLA_VXLAN_ID, b"")),
        local=ip_address(bytes(local)) if local else None,
        link=netlink.number(data.get(IFLA_VXLAN_LINK, b"")),
        port=netlink.be_number(data.get(IFLA_VXLAN_PORT, b"")),
        learning=bool(netlink.number(data.get(IFLA_VXLAN_LEARNING, b""))),
    )


def parse_address(message: Message) -> Address:
    _family, prefix, _flags, _scope, index = IFADDR.unpack_from(message.payload)
    attributes = netlink.parse_attributes(message.payload, IFADDR.size)
    # For point-to-point links IFA_ADDRESS is the other end; IFA_LOCAL is ours where it exists.
    packed = bytes(attributes.get(IFA_LOCAL) or attributes[IFA_ADDRESS])
    return Address(index, ip_interface((packed, prefix)))


def parse_route(message: Message) -> Route:
    family, prefix, _source, _tos, table, protocol, _scope, kind, flags = RTMSG.unpack_from(message.payload)
    attributes = netlink.parse_attributes(message.payload, RTMSG.size)

    def address(kind: int) -> IPAddress | None:
        value = attributes.get(kind)
        return ip_address(bytes(value)) if value else None

    base = address(RTA_DST)
    destination = ip_network(f"{base}/{prefix}") if base else None
    if destination is None and prefix:
        destination = ip_network(f"{'0.0.0.0' if family == socket.AF_INET else '::'}/{prefix}")
    via = attributes.get(RTA_VIA)
    metrics = netlink.parse_attributes(attributes.get(RTA_METRICS, b""))
    return Route(
        destination=destination,
        gateway=address(RTA_GATEWAY) or (ip_address(bytes(via[2:])) if via else None),
        link=netlink.number(attributes.get(RTA_OIF, b"")),
        source=address(RTA_PREFSRC),
        table=netlink.number(attributes.get(RTA_TABLE, b"")) or table,
        protocol=protocol,
        metric=netlink.number(attributes.get(RTA_PRIORITY, b"")),
        kind=kind,
        onlink=bool(flags & RTNH_F_ONLINK),
        mtu=netlink.number(metrics.get(RTAX_MTU, b"")),
    )


def parse_neighbour(message: Message) -> Neighbour:
    _family, index, state, _flags, _kind = NDMSG.unpack_from(message.payload)
    attributes = netlink.parse_attributes(message.payload, NDMSG.size)
    destination = attributes.get(NDA_DST)
    return Neighbour(
        link=index,
        address=ip_address(bytes(destination)) if destination else None,
        link_address=bytes(attributes.get(NDA_LLADDR, b"")).hex(":"),
        state=state,
    )
