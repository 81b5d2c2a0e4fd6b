"""The table of one family: from Service ports and endpoints to elements."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from ipaddress import IPv4Network, collapse_addresses
from typing import cast

from clusterip.kernel.nftables import Batch, Set
from clusterip.proxy.model import NOTHING, Network, NodeAddresses, PortKey, PortState, ServicePort
from clusterip.proxy.nftables import sources, target
from clusterip.proxy.nftables.adoption import Adoption
from clusterip.proxy.nftables.chains import Chains
from clusterip.proxy.nftables.changes import Changes
from clusterip.proxy.nftables.claims import Claims
from clusterip.proxy.nftables.counts import CountChain
from clusterip.proxy.nftables.elements import ElementOf, port_elements
from clusterip.proxy.nftables.groups import Exhausted, Handles, Numbers
from clusterip.proxy.nftables.layout import Layout
from clusterip.proxy.nftables.port import Programmed
from clusterip.proxy.nftables.ranges import interval_elements
from clusterip.proxy.nftables.sets import Entry


class Plane:
    """Keeps what the table of one family should hold, and the changes the kernel has not seen yet."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.changes = Changes()
        self.chains = Chains()
        self.service_cidrs: tuple[Network, ...] = ()
        self.no_room: dict[PortKey, tuple[PortState, str]] = {}
        """The Service ports that the table has no room for, and why; what it has of them is as before."""
        self._claims = Claims(self.changes, self._rank)
        self._written_cidrs: tuple[Network, ...] = ()
        self._lengths: set[int] = set()
        self._node = self._pending_node = NodeAddresses()
        self._numbers = Numbers()
        self._handles = Handles()
        self._ports: dict[PortKey, Programmed] = {}
        self._pending: dict[PortKey, PortState | None] = {}
        self._adoption: Adoption | None = None

    # Adopting what an earlier process left.

    def begin_adoption(self, adoption: Adoption) -> None:
        """Until ``end_adoption``, keep groups, slots and handles as the kernel has them."""
        self._adoption = adoption
        for number in adoption.numbers():
            self._numbers.reserve(number)
        for handle in adoption.handles():
            self._handles.skip(handle)

    def end_adoption(self) -> None:
        if self._adoption is not None:
            for number in self._adoption.unclaimed():
                self._numbers.free(number)
            self._adoption = None

    # What is wanted.

    def set_port(self, key: PortKey, state: PortState | None) -> None:
        """Have ``work`` make a Service port (None: no more) reach its endpoints."""
        self._pending.pop(key, None)  # so that those that go, go first
        self._pending[key] = state

    def retry(self) -> None:
        """Have what was refused, or there was no room for, tried again."""
        self.changes.retry()
        for key, (state, _) in self.no_room.items():
            self._pending.setdefault(key, state)

    def set_node(self, addresses: NodeAddresses) -> None:
        """The node's own addresses of this family."""
        self._pending_node = addresses

    def set_service_cidrs(self, networks: Iterable[Network]) -> None:
        """The ranges ClusterIPs come from, of this family."""
        joined = collapse_addresses(cast("Iterable[IPv4Network]", networks))
        self.service_cidrs = tuple(joined)

    def work(self, limit: int, ports: int = 1000) -> bool:
        """Turn what is pending into changes, until there are ``limit`` or for that many Service ports.

        Whether some is left.
        """
        if self._pending_node != self._node:
            self._program_node(self._pending_node)
        while self._pending:
            if len(self.changes) >= limit or not ports:
                return True
            ports -= 1
            key = next(iter(self._pending))
            self._program(key, self._pending.pop(key))
        return False

    # What the kernel must be told.

    @property
    def has_changes(self) -> bool:
        return (
            bool(self._pending or self.changes)
            or self._pending_node != self._node
            or self.service_cidrs != self._written_cidrs
        )

    def begin(self, batch: Batch) -> None:
        """Add to a batch what must be there before elements."""
        self.chains.write(batch, self.layout)
        for length in self.layout.allowed_by_length:
            if length not in self._lengths:
                sources.create(batch, self.layout, length)
        if self.service_cidrs != self._written_cidrs:
            set_ = self.layout.service_cidrs
            batch.delete_ranges(self.layout.table, set_, interval_elements(self._written_cidrs))
            batch.add_ranges(self.layout.table, set_, interval_elements(self.service_cidrs))

    def finish(self) -> None:
        """The kernel has taken the batch."""
        self.chains.written()
        self._lengths = set(self.layout.allowed_by_length)
        self._written_cidrs = self.service_cidrs

    def expect_lengths(self, lengths: Iterable[int]) -> None:
        """The kernel has sets of allowed sources for prefixes of just these lengths."""
        self._lengths = set(lengths)

    def expect_cidrs(self) -> None:
        """The kernel has the wanted service CIDRs."""
        self._written_cidrs = self.service_cidrs

    def wanted(self, set_: Set) -> Iterator[tuple[bytes, bytes]]:
        """All elements that a set shall hold."""
        if set_ in self.layout.slot_sets:
            plain = set_ in (self.layout.endpoints, self.layout.large)
            for programmed in self._ports.values():
                if (programmed.handles is None) is plain:
                    yield from programmed.slot_elements(set_, self.layout)
        else:
            yield from self._claims.elements(set_)

    def describe(self, key: PortKey) -> Iterator[str]:
        """A Service port's elements, as ``nft`` writes them, after their table."""
        programmed = self._ports.get(key)
        if programmed is None:
            return
        table = f"{self.layout.table.family.keyword} {self.layout.table.name}"
        for set_, element, value in programmed.elements:
            yield f"{table} {set_.show_element(element, value)}"
        for set_ in self.layout.slot_sets:
            if (set_ in (self.layout.endpoints, self.layout.large)) is (programmed.handles is None):
                for element, value in programmed.slot_elements(set_, self.layout):
                    yield f"{table} {set_.show_element(element, value)}"

    # Within.

    def _rank(self, owner: Hashable, set_: Set, key: bytes) -> tuple[object, ...]:
        """Who of several gets an element: whose ClusterIP it is, then the oldest Service."""
        programmed = self._ports.get(owner) if isinstance(owner, PortKey) else None
        if programmed is None:
            return (0,)
        return rank(programmed.port, key)

    def _program_node(self, addresses: NodeAddresses) -> None:
        old, self._node = self._node, addresses
        set_ = self.layout.node_port_ips
        self._claim(
            "node",
            tuple((set_, address, b"") for address in dict.fromkeys(old.node_ports)),
            tuple((set_, address, b"") for address in dict.fromkeys(addresses.node_ports)),
        )
        for key, programmed in self._ports.items():
            if programmed.port.source_ranges:
                self._reclaim(key, programmed)

    def _program(self, key: PortKey, state: PortState | None) -> None:
        self.no_room.pop(key, None)
        held = self._ports.get(key)
        if held is not None and (state is None or not _is_same(held.port, state.port)):
            self._remove(key, held)
            held = None
        if state is None or (held is not None and (held.port, held.choice) == state[:2]):
            return
        try:
            self._put(key, held, state)
        except Exhausted as error:  # it stays as it was
            self.no_room[key] = state, str(error)

    def _put(self, key: PortKey, held: Programmed | None, state: PortState) -> None:
        number = held.number if held is not None else self._number(state.port)
        try:
            chains, elements = self._elements(number, state)
        except Exhausted:
            if held is None:
                self._numbers.free(number)
            raise
        programmed = held or Programmed(state.port, number)
        if held is None:
            self._ports[key] = programmed
            if self._adoption is not None:
                self._adoption.fill(programmed)
        programmed.regroup(state.choice, self.layout, self.changes, self._handles)
        old, programmed.elements = programmed.elements, elements
        programmed.port, programmed.choice = state.port, state.choice
        for chain in programmed.chains:
            self.chains.release(chain)
        programmed.chains = chains
        self._claim(key, old, elements)

    def _number(self, port: ServicePort) -> int:
        if self._adoption is not None and (number := self._adoption.claim(port)):
            return number
        return self._numbers.take()

    def _remove(self, key: PortKey, programmed: Programmed) -> None:
        self._claim(key, programmed.elements, ())
        programmed.regroup(NOTHING, self.layout, self.changes, self._handles)
        for chain in programmed.chains:
            self.chains.release(chain)
        self._numbers.free(programmed.number)
        del self._ports[key]

    def _reclaim(self, key: PortKey, programmed: Programmed) -> None:
        """The node's addresses have changed: so may what its source ranges let through."""
        chains, elements = self._elements(programmed.number, PortState(programmed.port, programmed.choice))
        for chain in chains:
            self.chains.release(chain)
        old, programmed.elements = programmed.elements, elements
        self._claim(key, old, elements)

    def _claim(self, owner: Hashable, old: tuple[ElementOf, ...], new: tuple[ElementOf, ...]) -> None:
        if not old:
            for set_, key, value in new:
                self._claims.put(owner, set_, key, value)
            return
        kept = {(set_.name, key) for set_, key, _ in new}
        for set_, key, _ in old:
            if (set_.name, key) not in kept:
                self._claims.drop(owner, set_, key)
        before = {(set_.name, key): value for set_, key, value in old}
        for set_, key, value in new:
            if before.get((set_.name, key)) != value:
                self._claims.put(owner, set_, key, value)

    def _elements(
        self, number: int, state: PortState
    ) -> tuple[tuple[CountChain, ...], tuple[ElementOf, ...]]:
        """A port's chains, which are then in use, and its elements. Raises Exhausted; nothing is then."""
        port, choice, _ = state
        acquired: list[CountChain] = []

        def aim(entry: Entry, local: bool, masquerade: bool) -> bytes:
            count = len(choice.local if local else choice.cluster)
            if seconds := port.affinity_seconds:
                chain = CountChain(count, seconds, entry, local)
            else:
                chain = CountChain(count)
            index = self.chains.acquire(chain)
            acquired.append(chain)
            return target.pack(number + local, index, masquerade=masquerade)

        # A Service may name an address twice, say its ClusterIP as an external IP: the first counts.
        unique: dict[tuple[str, bytes], ElementOf] = {}
        try:
            for element in port_elements(self.layout, port, choice, aim, self._node.primary):
                unique.setdefault((element[0].name, element[1]), element)
        except Exhausted:
            for chain in acquired:
                self.chains.release(chain)
            raise
        hairpins = ((self.layout.hairpins, address + address, b"") for address in choice.on_node)
        return tuple(acquired), (*unique.values(), *hairpins)


def rank(port: ServicePort, key: bytes) -> tuple[object, ...]:
    """A Service port's rank for an element of that key: of several that want it, the lowest has it."""
    return (1 if key.startswith(port.cluster_ip) else 2, port.created, port.key)


def _is_same(old: ServicePort, new: ServicePort) -> bool:
    """Whether a port is still the same one: not of another Service of that name, nor newly (un)sticky."""
    return old.created == new.created and bool(old.affinity_seconds) == bool(new.affinity_seconds)
