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
from ipaddress import ip_address, ip_interface, ip_network
from types import TracebackType

from clusterip.kernel import netlink
from clusterip.kernel import rtmessages as rt
from clusterip.kernel.namespaces import Namespace, enter, opened
from clusterip.kernel.netlink import NETLINK_ROUTE, NetlinkError, NetlinkSocket
from clusterip.kernel.rtmessages import Address, IPAddress, IPInterface, IPNetwork, Link, Neighbour, Route

_MAKE = netlink.NLM_F_CREATE | netlink.NLM_F_EXCL
_SET = netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE


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
        return [rt.parse_link(m) for m in self._socket.dump(rt.RTM_GETLINK, rt.IFINFO.pack(0, 0, 0, 0, 0))]

    def link(self, link: str | int) -> Link:
        """One link. Raises NetlinkError(ENODEV) if there is none."""
        index = link if isinstance(link, int) else 0
        name = b"" if isinstance(link, int) else rt.name(link)
        try:
            (answer,) = self._socket.request(rt.RTM_GETLINK, rt.IFINFO.pack(0, 0, index, 0, 0) + name)
        except NetlinkError as error:
            if error.errno == errno.ENODEV:
                raise NetlinkError(errno.ENODEV, f"there is no network interface {link!r}") from None
            raise
        return rt.parse_link(answer)

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
        self._add_link(name, rt.properties(address=address, mtu=mtu), rt.kind("bridge"))

    def add_dummy(self, name: str) -> None:
        """Make an interface that leads nowhere: a place for addresses."""
        self._add_link(name, b"", rt.kind("dummy"))

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
        own = rt.properties(mtu=mtu)
        if master:
            own += netlink.u32(rt.IFLA_MASTER, self.index(master))
        with _descriptor(peer_namespace) as descriptor:
            other = (
                rt.IFINFO.pack(0, 0, 0, 0, 0) + rt.name(peer) + rt.properties(address=peer_address, mtu=mtu)
            )
            if descriptor is not None:
                other += netlink.u32(rt.IFLA_NET_NS_FD, descriptor)
            data = netlink.attribute(rt.VETH_INFO_PEER | netlink.NLA_F_NESTED, other)
            self._add_link(name, own, rt.kind("veth", data))

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
        data = netlink.u32(rt.IFLA_VXLAN_ID, vni)
        data += netlink.u8(rt.IFLA_VXLAN_LEARNING, learning)
        data += netlink.be16(rt.IFLA_VXLAN_PORT, port)
        if local:
            source = ip_address(local)
            kind = rt.IFLA_VXLAN_LOCAL if source.version == 4 else rt.IFLA_VXLAN_LOCAL6
            data += netlink.attribute(kind, source.packed)
        if link:
            data += netlink.u32(rt.IFLA_VXLAN_LINK, self.index(link))
        self._add_link(name, rt.properties(address=address, mtu=mtu), rt.kind("vxlan", data))

    def vxlan(self, link: str | int) -> rt.Vxlan | None:
        """What a link is as a VXLAN device; None if there is none, or it is something else."""
        index = link if isinstance(link, int) else 0
        name = b"" if isinstance(link, int) else rt.name(link)
        try:
            (answer,) = self._socket.request(rt.RTM_GETLINK, rt.IFINFO.pack(0, 0, index, 0, 0) + name)
        except NetlinkError as error:
            if error.errno == errno.ENODEV:
                return None
            raise
        return rt.parse_vxlan(answer)

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
        properties = rt.properties(mtu=mtu, address=address)
        if master is not None:
            properties += netlink.u32(rt.IFLA_MASTER, self.index(master) if master else 0)
        if name:
            properties += rt.name(name)
        flags = rt.IFF_UP if up else 0
        change = 0 if up is None else rt.IFF_UP
        with _descriptor(namespace) as descriptor:
            if descriptor is not None:
                properties += netlink.u32(rt.IFLA_NET_NS_FD, descriptor)
            header = rt.IFINFO.pack(0, 0, self.index(link), flags, change)
            self._socket.request(rt.RTM_NEWLINK, header + properties)

    def set_hairpin(self, link: str | int, enabled: bool = True) -> None:
        """Let a bridge send a frame back out of the port it came in by (a Pod reaching itself)."""
        header = rt.IFINFO.pack(socket.AF_BRIDGE, 0, self.index(link), 0, 0)
        port = netlink.nested(rt.IFLA_PROTINFO, netlink.u8(rt.IFLA_BRPORT_MODE, enabled))
        self._socket.request(rt.RTM_SETLINK, header + port)

    def delete_link(self, link: str | int) -> bool:
        """Remove a link (and a veth's other end); False if there was none."""
        try:
            self._socket.request(rt.RTM_DELLINK, rt.IFINFO.pack(0, 0, self.index(link), 0, 0))
        except NetlinkError as error:
            if error.errno == errno.ENODEV:
                return False
            raise
        return True

    def _add_link(self, name: str, properties: bytes, info: bytes) -> None:
        payload = rt.IFINFO.pack(0, 0, 0, 0, 0) + rt.name(name) + properties + info
        self._socket.request(rt.RTM_NEWLINK, payload, _MAKE)

    # Addresses

    def addresses(self, link: str | int = 0) -> list[Address]:
        """The addresses of one link, or of all."""
        index = self.index(link) if link else 0
        found = [
            rt.parse_address(m) for m in self._socket.dump(rt.RTM_GETADDR, rt.IFADDR.pack(0, 0, 0, 0, index))
        ]
        return [address for address in found if not index or address.link == index]

    def add_address(self, link: str | int, address: str | IPInterface) -> None:
        """Give a link an address such as ``10.0.0.1/24``. Raises NetlinkError(EEXIST) if it has it."""
        self._socket.request(rt.RTM_NEWADDR, self._address(link, address), _MAKE)

    def replace_address(self, link: str | int, address: str | IPInterface) -> None:
        """Give a link an address whether or not it has it."""
        self._socket.request(rt.RTM_NEWADDR, self._address(link, address), _SET)

    def delete_address(self, link: str | int, address: str | IPInterface) -> None:
        """Raises NetlinkError(EADDRNOTAVAIL) if the link does not have it."""
        self._socket.request(rt.RTM_DELADDR, self._address(link, address))

    def _address(self, link: str | int, address: str | IPInterface) -> bytes:
        interface = ip_interface(address)
        family = rt.FAMILIES[interface.version]
        # Duplicate address detection would leave an IPv6 address unusable for a second or two.
        flags = rt.IFA_F_NODAD if interface.version == 6 else 0
        header = rt.IFADDR.pack(family, interface.network.prefixlen, flags, 0, self.index(link))
        packed = interface.ip.packed
        return header + netlink.attribute(rt.IFA_LOCAL, packed) + netlink.attribute(rt.IFA_ADDRESS, packed)

    # Routes

    def routes(self, *, family: int = socket.AF_UNSPEC, table: int = rt.RT_TABLE_MAIN) -> list[Route]:
        """The routes of a table (0: of all), IPv4 and IPv6 unless ``family`` says which."""
        families = [family] if family else [socket.AF_INET, socket.AF_INET6]
        found: list[Route] = []
        for each in families:
            request = rt.RTMSG.pack(each, 0, 0, 0, 0, 0, 0, 0, 0)
            found += [rt.parse_route(m) for m in self._socket.dump(rt.RTM_GETROUTE, request)]
        return [route for route in found if not table or route.table == table]

    def add_route(
        self,
        destination: str | IPNetwork | None,
        *,
        gateway: str | IPAddress | None = None,
        link: str | int = 0,
        source: str | IPAddress | None = None,
        table: int = rt.RT_TABLE_MAIN,
        metric: int = 0,
        protocol: int = rt.RTPROT_STATIC,
        onlink: bool = False,
        mtu: int = 0,
    ) -> None:
        """Add a route; ``destination`` None is the default. Raises NetlinkError(EEXIST) if there is one."""
        payload = self._route(
            destination, gateway, link, source, table, metric, protocol, onlink=onlink, mtu=mtu
        )
        self._socket.request(rt.RTM_NEWROUTE, payload, _MAKE)

    def replace_route(
        self,
        destination: str | IPNetwork | None,
        *,
        gateway: str | IPAddress | None = None,
        link: str | int = 0,
        source: str | IPAddress | None = None,
        table: int = rt.RT_TABLE_MAIN,
        metric: int = 0,
        protocol: int = rt.RTPROT_STATIC,
        onlink: bool = False,
        mtu: int = 0,
    ) -> None:
        """Add a route in place of any to the same destination with the same metric."""
        payload = self._route(
            destination, gateway, link, source, table, metric, protocol, onlink=onlink, mtu=mtu
        )
        self._socket.request(rt.RTM_NEWROUTE, payload, _SET)

    def delete_route(
        self,
        destination: str | IPNetwork | None,
        *,
        gateway: str | IPAddress | None = None,
        link: str | int = 0,
        table: int = rt.RT_TABLE_MAIN,
        metric: int = 0,
        protocol: int = 0,
    ) -> bool:
        """Remove the first route that fits what is given; False if none does."""
        payload = self._route(destination, gateway, link, None, table, metric, protocol, deletes=True)
        try:
            self._socket.request(rt.RTM_DELROUTE, payload)
        except NetlinkError as error:
            if error.errno == errno.ESRCH:
                return False
            raise
        return True

    def route_to(self, address: str | IPAddress) -> Route:
        """The route that a packet from here to ``address`` would take.

        Raises:
            NetlinkError: there is none, as ENETUNREACH or EHOSTUNREACH.
        """
        target = ip_address(address)
        header = rt.RTMSG.pack(rt.FAMILIES[target.version], target.max_prefixlen, 0, 0, 0, 0, 0, 0, 0)
        request = header + netlink.attribute(rt.RTA_DST, target.packed)
        (answer,) = self._socket.request(rt.RTM_GETROUTE, request)
        return rt.parse_route(answer)

    def _route(
        self,
        destination: str | IPNetwork | None,
        gateway: str | IPAddress | None,
        link: str | int,
        source: str | IPAddress | None,
        table: int,
        metric: int,
        protocol: int,
        *,
        deletes: bool = False,
        onlink: bool = False,
        mtu: int = 0,
    ) -> bytes:
        network = ip_network(destination) if destination is not None else None
        via = ip_address(gateway) if gateway is not None else None
        version = network.version if network else via.version if via else 4
        scope = rt.RT_SCOPE_UNIVERSE if via or version == 6 else rt.RT_SCOPE_LINK
        payload = rt.RTMSG.pack(
            rt.FAMILIES[version],
            network.prefixlen if network else 0,
            0,
            0,
            table if table < 256 else 0,
            protocol,
            rt.RT_SCOPE_NOWHERE if deletes else scope,
            0 if deletes else rt.RTN_UNICAST,
            rt.RTNH_F_ONLINK if onlink else 0,
        )
        payload += netlink.u32(rt.RTA_TABLE, table)
        if network:
            payload += netlink.attribute(rt.RTA_DST, network.network_address.packed)
        if via:
            if via.version == version:
                payload += netlink.attribute(rt.RTA_GATEWAY, via.packed)
            else:
                family = struct.pack("=H", rt.FAMILIES[via.version])
                payload += netlink.attribute(rt.RTA_VIA, family + via.packed)
        if link:
            payload += netlink.u32(rt.RTA_OIF, self.index(link))
        if source is not None:
            payload += netlink.attribute(rt.RTA_PREFSRC, ip_address(source).packed)
        if metric:
            payload += netlink.u32(rt.RTA_PRIORITY, metric)
        if mtu:
            payload += netlink.nested(rt.RTA_METRICS, netlink.u32(rt.RTAX_MTU, mtu))
        return payload

    # Neighbours

    def neighbours(self, link: str | int = 0) -> list[Neighbour]:
        """What is known of link-layer addresses, on one link or on all."""
        index = self.index(link) if link else 0
        found = [
            rt.parse_neighbour(m) for m in self._socket.dump(rt.RTM_GETNEIGH, rt.NDMSG.pack(0, 0, 0, 0, 0))
        ]
        return [neighbour for neighbour in found if not index or neighbour.link == index]

    def bridge_port_to(self, link_address: str) -> set[int]:
        """The indexes of the bridge ports that frames to a MAC leave by, of all bridges."""
        found = self._socket.dump(rt.RTM_GETNEIGH, rt.NDMSG.pack(socket.AF_BRIDGE, 0, 0, 0, 0))
        known = (rt.parse_neighbour(m) for m in found)
        return {each.link for each in known if each.link_address == link_address}

    def replace_neighbour(self, link: str | int, address: str | IPAddress, link_address: str) -> None:
        """Say for good that ``address`` is at MAC ``link_address``."""
        self._socket.request(rt.RTM_NEWNEIGH, self._neighbour(link, address, link_address), _SET)

    def delete_neighbour(self, link: str | int, address: str | IPAddress) -> None:
        """Raises NetlinkError(ENOENT) if it is not known."""
        self._socket.request(rt.RTM_DELNEIGH, self._neighbour(link, address, ""))

    def add_proxy_neighbour(self, link: str | int, address: str | IPAddress) -> None:
        """Answer for ``address`` who asks on a link (ARP, NDP) as if it were this machine's."""
        payload = self._proxy_neighbour(link, address)
        self._socket.request(rt.RTM_NEWNEIGH, payload, netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE)

    def delete_proxy_neighbour(self, link: str | int, address: str | IPAddress) -> None:
        """Raises NetlinkError(ENOENT) if nothing answers for it."""
        self._socket.request(rt.RTM_DELNEIGH, self._proxy_neighbour(link, address))

    def forwarding(self, link: str | int) -> list[tuple[str, IPAddress]]:
        """The MACs that a VXLAN device knows, and the machine it sends their frames to."""
        index = self.index(link)
        request = rt.NDMSG.pack(socket.AF_BRIDGE, index, 0, 0, 0)
        found = [rt.parse_neighbour(m) for m in self._socket.dump(rt.RTM_GETNEIGH, request)]
        return [(n.link_address, n.address) for n in found if n.link == index and n.address is not None]

    def replace_forwarding(self, link: str | int, link_address: str, remote: str | IPAddress) -> None:
        """Let a VXLAN device send frames for one MAC to ``remote`` and nowhere else."""
        payload = self._forwarding(link, link_address, remote)
        self._socket.request(rt.RTM_NEWNEIGH, payload, _SET)

    def append_forwarding(self, link: str | int, link_address: str, remote: str | IPAddress) -> None:
        """Let a VXLAN device send frames for MAC ``link_address`` (all zeros: unknown ones) to ``remote``."""
        payload = self._forwarding(link, link_address, remote)
        self._socket.request(rt.RTM_NEWNEIGH, payload, netlink.NLM_F_CREATE | netlink.NLM_F_APPEND)

    def delete_forwarding(self, link: str | int, link_address: str, remote: str | IPAddress) -> None:
        """Undo ``append_forwarding`` or ``replace_forwarding``."""
        self._socket.request(rt.RTM_DELNEIGH, self._forwarding(link, link_address, remote))

    def _forwarding(self, link: str | int, link_address: str, remote: str | IPAddress) -> bytes:
        header = rt.NDMSG.pack(socket.AF_BRIDGE, self.index(link), rt.NUD_PERMANENT, rt.NTF_SELF, 0)
        payload = header + netlink.attribute(rt.NDA_LLADDR, rt.pack_mac(link_address))
        return payload + netlink.attribute(rt.NDA_DST, ip_address(remote).packed)

    def _proxy_neighbour(self, link: str | int, address: str | IPAddress) -> bytes:
        destination = ip_address(address)
        family = rt.FAMILIES[destination.version]
        header = rt.NDMSG.pack(family, self.index(link), rt.NUD_PERMANENT, rt.NTF_PROXY, 0)
        return header + netlink.attribute(rt.NDA_DST, destination.packed)

    def _neighbour(self, link: str | int, address: str | IPAddress, link_address: str) -> bytes:
        destination = ip_address(address)
        family = rt.FAMILIES[destination.version]
        payload = rt.NDMSG.pack(family, self.index(link), rt.NUD_PERMANENT, 0, 0)
        payload += netlink.attribute(rt.NDA_DST, destination.packed)
        if link_address:
            payload += netlink.attribute(rt.NDA_LLADDR, rt.pack_mac(link_address))
        return payload


def _descriptor(namespace: Namespace | None) -> contextlib.AbstractContextManager[int | None]:
    """An open descriptor of a namespace for the kernel to refer to; None for None."""
    return contextlib.nullcontext() if namespace is None else opened(namespace)


__all__ = ["Address", "IPAddress", "IPInterface", "IPNetwork", "Link", "Neighbour", "Route", "RouteSocket"]
