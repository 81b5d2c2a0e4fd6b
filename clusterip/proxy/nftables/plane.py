"""The table of one family: from Service ports and endpoints to elements."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from ipaddress import IPv4Network, collapse_addresses
from typing import NamedTuple, cast

from clusterip.kernel.nftables import Batch, Set
from clusterip.proxy.model import (
    Choice,
    Destination,
    Network,
    NodeAddresses,
    PortKey,
    PortState,
    ServicePort,
)
from clusterip.proxy.nftables import target
from clusterip.proxy.nftables.chains import Chains
from clusterip.proxy.nftables.changes import Changes
from clusterip.proxy.nftables.claims import Claims
from clusterip.proxy.nftables.counts import CountChain
from clusterip.proxy.nftables.elements import ElementOf, port_elements, port_key
from clusterip.proxy.nftables.groups import Group, Handles, Numbers
from clusterip.proxy.nftables.layout import Layout
from clusterip.proxy.nftables.ranges import interval_elements, range_keys
from clusterip.proxy.nftables.sets import Entry
from clusterip.proxy.nftables.snapshot import Snapshot


class _Programmed(NamedTuple):
    """What a Service port has in the table."""

    port: ServicePort
    choice: Choice
    cluster: Group | None
    local: Group | None
    elements: tuple[ElementOf, ...]


class Plane:
    """Keeps what the table of one family should hold, and the changes the kernel has not seen yet."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.changes = Changes()
        self.claims = Claims(self.changes, self._rank)
        self.chains = Chains()
        self.service_cidrs: tuple[Network, ...] = ()
        self._written_cidrs: tuple[Network, ...] = ()
        self._node = NodeAddresses()
        self._numbers = Numbers()
        self._handles = Handles()
        self._ports: dict[PortKey, _Programmed] = {}
        self._snapshot: Snapshot | None = None
        self._adopted: set[int] = set()

    def __len__(self) -> int:
        """The Service ports in the table."""
        return len(self._ports)

    # Adopting what an earlier process left.

    def begin_adoption(self, snapshot: Snapshot) -> None:
        """Until ``end_adoption``, keep groups, slots and handles as ``snapshot`` has them."""
        self._snapshot = snapshot
        self.chains.adopt(snapshot.dispatch)
        for number in snapshot.groups():
            self._numbers.reserve(number)
        for handle in snapshot.handles():
            self._handles.skip(handle)

    def end_adoption(self) -> None:
        if self._snapshot is None:
            return
        for number in self._snapshot.groups() - self._adopted:
            self._numbers.free(number)
        self._snapshot = None
        self._adopted.clear()

    # What is wanted.

    def set_port(self, key: PortKey, state: PortState | None) -> None:
        """Make a Service port (None: no more) reach its endpoints.

        Raises:
            Exhausted: there is no room for it; it is left as it was.
        """
        old = self._ports.get(key)
        if state is None:
            if old is not None:
                self._remove(key, old)
            return
        port, choice, _ = state
        if old is not None and old.port == port and old.choice == choice:
            return
        if old is not None and not _may_keep_groups(old.port, port):
            self._remove(key, old)
            old = None
        self._reserve(port, choice)
        cluster = self._regroup(port, old.cluster if old else None, choice.cluster, local=False)
        local = self._regroup(port, old.local if old else None, choice.local, local=True)
        elements = self._elements(port, choice, cluster, local)
        self._ports[key] = _Programmed(port, choice, cluster, local, elements)
        self._claim(key, old.elements if old else (), elements)

    def set_node(self, addresses: NodeAddresses) -> None:
        """The node's own addresses of this family."""
        if addresses == self._node:
            return
        old, self._node = self._node, addresses
        set_ = self.layout.node_port_ips
        self._claim(
            "node",
            tuple((set_, address, b"") for address in dict.fromkeys(old.node_ports)),
            tuple((set_, address, b"") for address in dict.fromkeys(addresses.node_ports)),
        )
        for key, programmed in list(self._ports.items()):
            if programmed.port.source_ranges:
                elements = self._elements(*programmed[:4])
                self._claim(key, programmed.elements, elements)
                self._ports[key] = programmed._replace(elements=elements)

    def set_service_cidrs(self, networks: Iterable[Network]) -> None:
        """The ranges ClusterIPs come from, of this family."""
        joined = collapse_addresses(cast("Iterable[IPv4Network]", networks))
        self.service_cidrs = tuple(joined)

    # What the kernel must be told.

    @property
    def has_changes(self) -> bool:
        return bool(self.changes) or self.service_cidrs != self._written_cidrs

    def write(self, batch: Batch) -> None:
        """Add all changes to a batch; they count as done. If the batch fails, reconcile."""
        self.chains.write(batch, self.layout)
        self.changes.write(batch, self.layout.table)
        self.changes.clear()
        if self.service_cidrs != self._written_cidrs:
            set_ = self.layout.service_cidrs
            batch.delete_ranges(self.layout.table, set_, interval_elements(self._written_cidrs))
            batch.add_ranges(self.layout.table, set_, interval_elements(self.service_cidrs))
            self._written_cidrs = self.service_cidrs

    def written_all(self) -> None:
        """The kernel has been made to hold exactly what is wanted."""
        self.changes.clear()
        self._written_cidrs = self.service_cidrs

    def wanted(self, set_: Set) -> Iterator[tuple[bytes, bytes]]:
        """All elements that a set shall hold."""
        if set_ == self.layout.endpoints:
            for group in self._groups():
                yield from group.endpoint_elements()
        elif set_ == self.layout.choices:
            for group in self._groups():
                yield from group.choice_elements()
        elif set_ == self.layout.handles:
            for group in self._groups():
                yield from group.handle_elements()
        elif set_.is_concatenated_range:
            for key, ranges in self.claims.elements(set_):
                for each in range_keys(key, ranges, set_.key[-1].length):
                    yield each, b""
        else:
            yield from self.claims.elements(set_)

    # Within.

    def _rank(self, owner: Hashable, set_: Set, key: bytes) -> tuple[object, ...]:
        """Who of several gets an element: whose ClusterIP it is, then the oldest Service."""
        programmed = self._ports.get(owner) if isinstance(owner, PortKey) else None
        if programmed is None:
            return (0,)
        port = programmed.port
        return (1 if key.startswith(port.cluster_ip) else 2, port.created, port.key)

    def _groups(self) -> Iterator[Group]:
        for programmed in self._ports.values():
            if programmed.cluster is not None:
                yield programmed.cluster
            if programmed.local is not None:
                yield programmed.local

    def _remove(self, key: PortKey, old: _Programmed) -> None:
        self._claim(key, old.elements, ())
        for group in (old.cluster, old.local):
            if group is not None:
                self._drop(group)
        del self._ports[key]

    def _drop(self, group: Group) -> None:
        group.update((), self.layout, self._handles, self.changes)
        self._numbers.free(group.number)

    def _claim(self, owner: Hashable, old: tuple[ElementOf, ...], new: tuple[ElementOf, ...]) -> None:
        kept = {(set_.name, key) for set_, key, _ in new}
        for set_, key, _ in old:
            if (set_.name, key) not in kept:
                self.claims.drop(owner, set_, key)
        before = {(set_.name, key): value for set_, key, value in old}
        for set_, key, value in new:
            if before.get((set_.name, key)) != value:
                self.claims.put(owner, set_, key, value)

    def _elements(
        self, port: ServicePort, choice: Choice, cluster: Group | None, local: Group | None
    ) -> tuple[ElementOf, ...]:
        def aim(entry: Entry, group: Group, masquerade: bool) -> bytes:
            seconds = port.affinity_seconds
            chain = CountChain(len(group), seconds, entry if seconds else None)
            return target.pack(group.number, self.chains.index(chain), masquerade=masquerade)

        found = port_elements(
            self.layout, port, cluster, local, aim, exist=choice.exist, node_ips=self._node.primary
        )
        # A Service may name an address twice, say its ClusterIP as an external IP: the first counts.
        unique: dict[tuple[str, bytes], ElementOf] = {}
        for element in found:
            unique.setdefault((element[0].name, element[1]), element)
        hairpins = ((self.layout.hairpins, address + address, b"") for address in choice.on_node)
        return (*unique.values(), *hairpins)

    def _reserve(self, port: ServicePort, choice: Choice) -> None:
        """Make sure of the count chains before anything is changed. Raises Exhausted."""
        for destinations in (choice.cluster, choice.local):
            if destinations:
                for entry in _reached_through(port):
                    self.chains.index(CountChain(len(destinations), port.affinity_seconds, entry))

    def _regroup(
        self, port: ServicePort, old: Group | None, wanted: tuple[Destination, ...], *, local: bool
    ) -> Group | None:
        if not wanted:
            if old is not None:
                self._drop(old)
            return None
        group = old or self._adopt(port, local=local) or self._new_group(port)
        group.update(wanted, self.layout, self._handles, self.changes)
        return group

    def _new_group(self, port: ServicePort) -> Group:
        return Group(self._numbers.take(), sticky=bool(port.affinity_seconds))

    def _adopt(self, port: ServicePort, *, local: bool) -> Group | None:
        """The group the kernel has for this port and policy, with its slots as they are."""
        snapshot = self._snapshot
        if snapshot is None:
            return None
        for entry, key in _entries_of(port, local=local):
            number = snapshot.group_of(entry, key)
            if number is None or number in self._adopted:
                continue
            group = Group(number, sticky=bool(port.affinity_seconds))
            if group.handles is None:
                group.slots = list(dict.fromkeys(snapshot.slots(number)))
            else:
                group.handles = dict(snapshot.choices(number))
                group.slots = list(group.handles)
            if group.slots:
                self._adopted.add(number)
                return group
        return None


def _reached_through(port: ServicePort) -> tuple[Entry | None, ...]:
    """The entries for which a port needs count chains of their own: those of sticky groups."""
    if not port.affinity_seconds:
        return (None,)
    return tuple(Entry) if port.is_external else (Entry.SERVICES,)


def _may_keep_groups(old: ServicePort, new: ServicePort) -> bool:
    """Whether a port is still the same one: not of another Service of that name, nor newly (un)sticky."""
    return old.created == new.created and bool(old.affinity_seconds) == bool(new.affinity_seconds)


def _entries_of(port: ServicePort, *, local: bool) -> Iterator[tuple[Entry, bytes]]:
    """The elements that lead to a port's cluster or local group."""
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
