"""The constant part of the table: its sets and maps, its chains and their rules.

Nothing here depends on which Services exist; what does are the elements (:mod:`.elements`) and the count
chains (:mod:`.counts`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from clusterip.kernel.nftables import Batch, Chain, Family, Table
from clusterip.proxy.backend import BackendOptions
from clusterip.proxy.nftables.pieces import TABLE_NAME, Pieces
from clusterip.proxy.nftables.ranges import interval_elements
from clusterip.proxy.nftables.rules import CHAINS, constant_rules


class Layout(Pieces):
    """The table of one family.

    The table's comment tells its sets from those of other versions; an empty chain tells its rules from
    those of other versions and options, which can be replaced without touching an element.
    """

    def __init__(self, family: Family, options: BackendOptions, *, drop_invalid: bool = True) -> None:
        super().__init__(family, options, drop_invalid=drop_invalid)
        self._rules = constant_rules(self, options)
        self.pod_ranges = interval_elements(self.pods.cidrs)
        sets, rules = Batch(), Batch()
        self._create_sets(sets, self.table)
        self._create_rules(rules, self.table)
        self.table = Table(family, TABLE_NAME, f"clusterip proxy, sets {_digest(sets)}")
        self.marker = f"rules-{_digest(rules)}"
        """The name of the chain that tells the rules from all others."""

    def create(self, batch: Batch) -> None:
        """Add the table and everything constant in it to a batch."""
        batch.add_table(self.table)
        self._create_sets(batch, self.table)
        self.create_rules(batch)

    def create_rules(self, batch: Batch) -> None:
        """Add all constant chains, which must not be there, and their rules."""
        batch.add_chain(self.table, Chain(self.marker))
        self._create_rules(batch, self.table)

    def clear_rules(self, batch: Batch, chains: Iterable[str]) -> None:
        """Delete all rules there are, and these chains."""
        batch.flush_rules(self.table)
        for name in chains:
            batch.delete_chain(self.table, name)
        batch.flush_set(self.table, self.pod_cidrs)

    def rules_per_chain(self) -> dict[str, int]:
        """How many rules each constant chain has."""
        return {self.marker: 0} | {name: len(rules) for name, rules in self._rules.items()}

    def _create_sets(self, batch: Batch, table: Table) -> None:
        for set_ in (*self.changing_sets, *self.range_sets, *self.constant_sets):
            batch.add_set(table, set_)

    def _create_rules(self, batch: Batch, table: Table) -> None:
        batch.add_ranges(table, self.pod_cidrs, self.pod_ranges)
        for chain in CHAINS:
            batch.add_chain(table, chain)
        for name, rules in self._rules.items():
            for expressions, comment in rules:
                batch.add_rule(table, name, expressions, comment)


def _digest(batch: Batch) -> str:
    contents = b"".join(payload for _, _, payload in batch.requests)
    return hashlib.sha256(contents).hexdigest()[:16]
