"""What the kernel has in our table, read once: at the start, and after somebody else changed it."""

from __future__ import annotations

import errno
from enum import Enum

from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.nftables import Nftables, Set
from clusterip.kernel.nftables.batch import Element, Verdict
from clusterip.proxy.nftables import counts, sources
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
        self.service_cidrs: list[Element] = []
        self.lengths: set[int] = set()
        """The lengths of prefixes that there are sets of allowed sources for."""
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
    lengths = set(filter(None, map(sources.parse_name, nftables.sets(layout.table))))
    for length in lengths:
        layout.allowed(length)
    snapshot = Snapshot(layout, Condition.WHOLE)
    snapshot.lengths = lengths
    snapshot.chains = set(nftables.chains(layout.table))
    snapshot.dispatch = [
        (element.key, element.data.chain)
        for element in nftables.elements(layout.table, layout.dispatch)
        if isinstance(element.data, Verdict)
    ]
    if not _is_whole(nftables, layout, snapshot):
        snapshot.condition = Condition.DAMAGED
    missing = [set_ for length, set_ in layout.allowed_by_length.items() if length not in snapshot.lengths]
    for set_ in snapshot.sets:
        if set_ not in missing:
            snapshot.sets[set_] = nftables.plain_elements(layout.table, set_)
    snapshot.service_cidrs = nftables.elements(layout.table, layout.service_cidrs)
    return snapshot


def _is_whole(nftables: Nftables, layout: Layout, found: Snapshot) -> bool:
    """Whether all chains have all their rules: somebody may have flushed or deleted some."""
    counted = nftables.rules_per_chain(layout.table)
    wanted = layout.rules_per_chain() | {sources.CHAIN: len(found.lengths)}
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
