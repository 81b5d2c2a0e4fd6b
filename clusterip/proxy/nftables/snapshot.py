"""What the kernel has in our table, read once: at the start, and after somebody else changed it."""

from __future__ import annotations

import errno
from enum import Enum

from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.nftables import Nftables, Set
from clusterip.kernel.nftables.batch import Element, Verdict
from clusterip.proxy.nftables import counts
from clusterip.proxy.nftables.counts import CountChain
from clusterip.proxy.nftables.layout import Layout

Elements = dict[bytes, bytes]


class Condition(Enum):
    """How much of the constant part of a table is there."""

    ABSENT = "there is no table"
    FOREIGN = "its sets are not ours"
    DAMAGED = "its rules are not ours, or not all"
    WHOLE = "it is as it should be"


class Snapshot:
    """The elements of a table, by set."""

    def __init__(self, layout: Layout, condition: Condition) -> None:
        self.condition = condition
        self.sets: dict[Set, Elements] = {set_: {} for set_ in layout.changing_sets}
        self.ranges: dict[Set, list[Element]] = {set_: [] for set_ in layout.range_sets}
        self.dispatch: list[tuple[bytes, str]] = []
        self.chains: set[str] = set()
        """All chains there are."""
        self.orphans: list[CountChain] = []
        """Whole count chains that nothing leads to."""

    @property
    def linked(self) -> set[str]:
        """The chains that ``dispatch`` leads to."""
        return {name for _, name in self.dispatch}


def read(nftables: Nftables, layout: Layout) -> Snapshot:
    """Read the table. Raises NetlinkError."""
    comment = nftables.table_comment(layout.table)
    if comment is None:
        return Snapshot(layout, Condition.ABSENT)
    if comment != layout.table.comment:
        return Snapshot(layout, Condition.FOREIGN)
    try:
        return _read(nftables, layout)
    except NetlinkError as error:
        if error.errno != errno.ENOENT:
            raise
        return Snapshot(layout, Condition.FOREIGN)  # a set of it was deleted


def _read(nftables: Nftables, layout: Layout) -> Snapshot:
    snapshot = Snapshot(layout, Condition.WHOLE)
    snapshot.chains = set(nftables.chains(layout.table))
    snapshot.dispatch = [
        (element.key, element.data.chain)
        for element in nftables.elements(layout.table, layout.dispatch)
        if isinstance(element.data, Verdict)
    ]
    if not _is_whole(nftables, layout, snapshot):
        snapshot.condition = Condition.DAMAGED
    for set_ in snapshot.sets:
        snapshot.sets[set_] = nftables.plain_elements(layout.table, set_)
    for set_, ranges in snapshot.ranges.items():
        ranges.extend(nftables.elements(layout.table, set_))
    return snapshot


def _is_whole(nftables: Nftables, layout: Layout, found: Snapshot) -> bool:
    """Whether all chains have all their rules: somebody may have flushed or deleted some."""
    counted = nftables.rules_per_chain(layout.table)
    wanted = layout.rules_per_chain()
    orphans: dict[CountChain, None] = {}
    for name in found.chains:
        if name in wanted:
            continue
        chain = counts.parse_name(name)
        if chain is None:
            return False
        if name in found.linked:
            wanted[name] = counts.rules_per_chain(chain)[name]
        else:
            orphans[chain] = None
    for chain in orphans:
        rules = counts.rules_per_chain(chain)
        if rules.keys() & found.linked or any(counted.get(name, 0) != rules[name] for name in rules):
            return False
    found.orphans = list(orphans)
    if set(nftables.elements(layout.table, layout.pod_cidrs)) != set(layout.pod_ranges):
        return False
    return wanted.keys() <= found.chains and all(
        counted.get(name, 0) == count for name, count in wanted.items()
    )
