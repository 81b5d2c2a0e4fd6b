"""hostPorts: ports of the node that lead to a Pod, as CNI's portmap plugin has them.

A table of ours in each address family: constant rules, and maps from (address,) protocol and port to a
Pod's address and port. Only elements change. What is in the kernel is taken over by the next agent.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path

import msgspec

from clusterip.kernel import namespaces
from clusterip.kernel.nftables import (
    INET_PROTO,
    INET_SERVICE,
    IPV4_ADDR,
    IPV6_ADDR,
    Batch,
    Chain,
    Family,
    Hook,
    Nftables,
    Set,
    Table,
)
from clusterip.kernel.nftables import expressions as x
from clusterip.kernel.nftables.connection import supported
from clusterip.node.network.bridge import BRIDGE
from clusterip.objects.core.pod import Pod

_TABLE = "clusterip-hostports"
_LAYOUT = "1"  # in the table's comment: another one is replaced as a whole
_PROTOCOLS = {"TCP": socket.IPPROTO_TCP, "UDP": socket.IPPROTO_UDP, "SCTP": socket.IPPROTO_SCTP}
_RAW, _DNAT, _SNAT = -300, -101, 99  # before the proxy's own rules
_LOOPBACK = struct.pack("!I", 0x7F000000)
_LOOPBACK_MASK = struct.pack("!I", 0xFF000000)


class HostPort(msgspec.Struct, frozen=True):
    """A port of the node, on one of its addresses or ("") on all, and the Pod's port it leads to."""

    protocol: str
    port: int
    target: int
    address: str = ""


def host_ports_of(pod: Pod) -> list[HostPort]:
    """What a Pod's containers ask for; in the node's own network there is nothing to lead anywhere."""
    if pod.spec.hostNetwork:
        return []
    sidecars = [each for each in pod.spec.initContainers if each.restartPolicy == "Always"]
    return [
        HostPort(
            protocol=port.protocol or "TCP",
            port=port.hostPort,
            target=port.containerPort,
            address="" if port.hostIP in ("0.0.0.0", "::") else port.hostIP,
        )
        for container in [*pod.spec.containers, *sidecars]
        for port in container.ports
        if port.hostPort
    ]


class HostPorts:
    """The node's hostPorts. Nothing is made in the kernel before a Pod asks for one."""

    def __init__(self) -> None:
        self._pods: dict[str, tuple[list[HostPort], list[str]]] = {}
        self._plane: dict[Family, _Plane] = {}

    def restore(self, pods: Mapping[str, tuple[list[HostPort], list[str]]]) -> None:
        """Start from the Pods that are here (UID -> ports and addresses), and remove what others left.

        Raises:
            NftablesError, NetlinkError: the kernel refused it.
        """
        self._pods = {uid: entry for uid, entry in pods.items() if entry[0]}
        for family in (Family.IPV4, Family.IPV6):
            if self._pods or _Plane.exists(family):
                self._plane_of(family)
        self._sync()

    def add(self, uid: str, ports: list[HostPort], addresses: list[str]) -> None:
        """Lead the ports to a Pod's addresses, each in its family. Raises as ``restore``."""
        if ports and self._pods.get(uid) != (ports, addresses):
            self._pods[uid] = (ports, addresses)
            self._sync()

    def remove(self, uid: str) -> None:
        """Lead nothing to a Pod any more. Raises as ``restore``."""
        if self._pods.pop(uid, None) is not None:
            self._sync()

    def _sync(self) -> None:
        for family in (Family.IPV4, Family.IPV6):
            wanted = _Wanted(family, self._pods.values())
            if wanted.hairpins or family in self._plane:
                plane = self._plane_of(family)
                if plane is not None:
                    plane.sync(wanted)

    def _plane_of(self, family: Family) -> _Plane | None:
        if family not in self._plane and supported(family):
            self._plane[family] = _Plane(family)
        return self._plane.get(family)


class _Wanted:
    """The elements that a family's maps should have."""

    def __init__(self, family: Family, pods: Iterable[tuple[list[HostPort], list[str]]]) -> None:
        self.ports: dict[bytes, bytes] = {}
        self.addressed: dict[bytes, bytes] = {}
        self.hairpins: dict[bytes, bytes] = {}
        version = 4 if family is Family.IPV4 else 6
        for ports, addresses in pods:
            own = next((a for a in map(ip_address, addresses) if a.version == version), None)
            if own is None:
                continue
            self.hairpins[own.packed * 2] = b""
            for each in ports:
                key = struct.pack("!BxxxHxx", _PROTOCOLS[each.protocol], each.port)
                value = own.packed + struct.pack("!Hxx", each.target)
                if not each.address:
                    self.ports[key] = value
                elif (address := ip_address(each.address)).version == version:
                    self.addressed[address.packed + key] = value


def remove(family: Family) -> None:
    """Remove what an agent left of a family, if anything."""
    if not _Plane.exists(family):
        return
    nftables = Nftables()
    try:
        batch = Batch()
        batch.delete_table(Table(family, _TABLE))
        nftables.commit(batch)
    finally:
        nftables.close()


class _Plane:
    """One family's table."""

    def __init__(self, family: Family) -> None:
        """Take over the table that is there, or make it."""
        self._family = family
        address = IPV4_ADDR if family is Family.IPV4 else IPV6_ADDR
        self._words = address.padded // 4
        self._table = Table(family, _TABLE, _LAYOUT)
        target = (address, INET_SERVICE)
        self._ports = Set("ports", (INET_PROTO, INET_SERVICE), target)
        self._addressed = Set("addressed", (address, INET_PROTO, INET_SERVICE), target)
        self._hairpins = Set("hairpins", (address, address))
        self._known: dict[Set, dict[bytes, bytes]] = {}
        nftables = Nftables()
        try:
            found = nftables.table_comment(self._table)
            if found == _LAYOUT:
                for each in self._sets:
                    listed = nftables.elements(self._table, each)
                    self._known[each] = {e.key: e.data for e in listed if isinstance(e.data, bytes)}
            else:
                nftables.commit(self._made(replace=found is not None))
                self._known = {each: {} for each in self._sets}
        finally:
            nftables.close()
        if family is Family.IPV4:
            _allow_loopback()

    @staticmethod
    def exists(family: Family) -> bool:
        """Whether an earlier agent left a table."""
        if not supported(family):
            return False
        nftables = Nftables()
        try:
            return nftables.table_comment(Table(family, _TABLE)) is not None
        finally:
            nftables.close()

    @property
    def _sets(self) -> tuple[Set, ...]:
        return self._ports, self._addressed, self._hairpins

    def sync(self, wanted: _Wanted) -> None:
        batch = Batch()
        targets = {
            self._ports: wanted.ports,
            self._addressed: wanted.addressed,
            self._hairpins: wanted.hairpins,
        }
        for each, elements in targets.items():
            known = self._known[each]
            stale = [key for key, value in known.items() if elements.get(key) != value]
            fresh = [(key, value) for key, value in elements.items() if known.get(key) != value]
            if stale:
                batch.delete_elements(self._table, each, stale)
            if fresh:
                batch.add_elements(self._table, each, fresh)
        nftables = Nftables()
        try:
            nftables.commit(batch)
        finally:
            nftables.close()
        self._known = targets

    def _made(self, *, replace: bool) -> Batch:
        batch = Batch()
        if replace:
            batch.delete_table(self._table)
        batch.add_table(self._table)
        for each in self._sets:
            batch.add_set(self._table, each)
        for chain, rules in self._rules().items():
            batch.add_chain(self._table, chain)
            for expressions, comment in rules:
                batch.add_rule(self._table, chain.name, expressions, comment)
        return batch

    def _rules(self) -> dict[Chain, list[tuple[list[x.Expression], str]]]:
        to_node = [x.fib_address_type(0, source=False), x.equals(0, struct.pack("=I", x.RTN_LOCAL))]
        key = [x.layer4_protocol(0), x.destination_port(1)]
        full_key = [
            x.destination_address(self._family, 0),
            x.layer4_protocol(self._words),
            x.destination_port(self._words + 1),
        ]
        translate = x.dnat(self._family, 0, self._words)
        lead = [
            ([*to_node, *full_key, x.lookup_value(self._addressed.name, 0, 0), translate], "one address"),
            ([*to_node, *key, x.lookup_value(self._ports.name, 0, 0), translate], "all addresses"),
        ]
        hairpin = [
            x.source_address(self._family, 0),
            x.destination_address(self._family, self._words),
            x.lookup(self._hairpins.name, 0),
        ]
        back: list[tuple[list[x.Expression], str]] = [([*hairpin, x.masquerade()], "a Pod to itself")]
        chains = {
            Chain("prerouting", "nat", Hook.PREROUTING, _DNAT): lead,
            Chain("output", "nat", Hook.OUTPUT, _DNAT): lead,
            Chain("postrouting", "nat", Hook.POSTROUTING, _SNAT): back,
        }
        if self._family is Family.IPV4:
            from_loopback = [x.source_address(self._family, 0), x.bitwise(0, _LOOPBACK_MASK, bytes(4))]
            translated = [x.ct_status(1), x.keep_bits(1, x.CT_STATUS_DST_NAT), x.differs(1, bytes(4))]
            back.append(
                ([*from_loopback, x.equals(0, _LOOPBACK), *translated, x.masquerade()], "node to a Pod")
            )
            to_loopback = [x.destination_address(self._family, 0), x.bitwise(0, _LOOPBACK_MASK, bytes(4))]
            outside = [x.input_interface(1), x.differs(1, b"lo\0".ljust(x.INTERFACE_NAME_LENGTH, b"\0"))]
            guard = [*to_loopback, x.equals(0, _LOOPBACK), *outside, x.verdict(x.DROP)]
            chains[Chain("guard", "filter", Hook.PREROUTING, _RAW)] = [(guard, "loopback is the node's own")]
        return chains


def _allow_loopback() -> None:
    """Let packets from 127.0.0.1 go to Pods; the guard chain keeps others from using that."""
    name = f"net/ipv4/conf/{BRIDGE}/route_localnet"
    if (Path("/proc/sys") / name).exists() and namespaces.read_sysctl(name) != "1":
        try:
            namespaces.write_sysctl(name, 1)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
