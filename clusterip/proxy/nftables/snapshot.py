"""What the kernel has in our table, read once: at the start, and after somebody else changed it."""

from __future__ import annotations

from clusterip.kernel.nftables import Nftables, Set
from clusterip.kernel.nftables.batch import Element, Verdict
from clusterip.proxy.model import Destination
from clusterip.proxy.nftables import counts, target
from clusterip.proxy.nftables.layout import Layout
from clusterip.proxy.nftables.sets import Entry

Elements = dict[bytes, bytes]


class Snapshot:
    """The elements of a table, by set."""

    def __init__(self, layout: Layout, *, exists: bool) -> None:
        self.exists = exists
        """Whether there is a table with this very layout, as far as it is constant."""
        self.sets: dict[Set, Elements] = {set_: {} for set_ in layout.changing_sets}
        self.ranges: dict[Set, list[Element]] = {set_: [] for set_ in layout.range_sets}
        self.dispatch: list[tuple[bytes, str]] = []
        self._layout = layout
        self._groups: dict[int, dict[int, Destination]] | None = None

    @property
    def size(self) -> int:
        return sum(len(elements) for elements in self.sets.values())

    def group_of(self, entry: Entry, key: bytes) -> int | None:
        """The group that connections to ``key`` are sent to."""
        found = self.sets[self._layout.entries[entry]].get(key)
        return None if found is None else target.group_of(found)

    def slots(self, group: int) -> list[Destination]:
        """The endpoints of a group without session affinity, as far as its slots are without a gap."""
        return self._in_order(self._by_group().get(group, {}))

    def choices(self, group: int) -> list[tuple[Destination, int]]:
        """The endpoints of a group with session affinity, and their handles."""
        elements = self.sets[self._layout.choices]
        handles = self.sets[self._layout.handles]
        found: list[tuple[Destination, int]] = []
        while handle := elements.get(target.number(group) + target.number(len(found))):
            destination = handles.get(handle)
            if destination is None:
                break
            found.append((destination, target.from_number(handle)))
        return found

    def groups(self) -> set[int]:
        """All groups that have slots."""
        choices = self.sets[self._layout.choices]
        return set(self._by_group()) | {target.from_number(key[:4]) for key in choices}

    def handles(self) -> list[int]:
        return [target.from_number(key) for key in self.sets[self._layout.handles]]

    def _by_group(self) -> dict[int, dict[int, Destination]]:
        if self._groups is None:
            self._groups = {}
            for key, destination in self.sets[self._layout.endpoints].items():
                group, slot = target.from_number(key[:4]), target.from_number(key[4:])
                self._groups.setdefault(group, {})[slot] = destination
        return self._groups

    @staticmethod
    def _in_order(slots: dict[int, Destination]) -> list[Destination]:
        found: list[Destination] = []
        while (destination := slots.get(len(found))) is not None:
            found.append(destination)
        return found


def read(nftables: Nftables, layout: Layout) -> Snapshot:
    """Read the table. Raises NetlinkError."""
    if nftables.table_comment(layout.table) != layout.table.comment:
        return Snapshot(layout, exists=False)
    dispatch = [
        (element.key, element.data.chain)
        for element in nftables.elements(layout.table, layout.dispatch)
        if isinstance(element.data, Verdict)
    ]
    if not _is_whole(nftables, layout, {name for _, name in dispatch}):
        return Snapshot(layout, exists=False)
    snapshot = Snapshot(layout, exists=True)
    snapshot.dispatch = dispatch
    for set_, elements in snapshot.sets.items():
        for element in nftables.elements(layout.table, set_):
            assert isinstance(element.data, bytes)
            elements[element.key] = element.data
    for set_, ranges in snapshot.ranges.items():
        ranges.extend(nftables.elements(layout.table, set_))
    return snapshot


def _is_whole(nftables: Nftables, layout: Layout, dispatched: set[str]) -> bool:
    """Whether all chains have all their rules: somebody may have flushed or deleted some."""
    wanted = layout.rules_per_chain()
    for name in nftables.chains(layout.table):
        chain = counts.parse_name(name)
        if chain is not None:
            if name not in dispatched:
                return False
            wanted.update(counts.rules_per_chain(layout, chain))
    counted = nftables.rules_per_chain(layout.table)
    return all(counted.get(name, 0) == count for name, count in wanted.items())
