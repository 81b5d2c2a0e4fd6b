"""The constant part of the table: its sets and maps, its chains and their rules.

Nothing here depends on which Services exist; what does are the elements (:mod:`.elements`) and the count
chains (:mod:`.counts`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from clusterip.kernel.nftables import Batch, Chain, Family, Table
from clusterip.proxy.backend import BackendOptions
from clusterip.proxy.nftables import counts, sources
from clusterip.proxy.nftables.counts import CountChain
from clusterip.proxy.nftables.pieces import TABLE_NAME, Pieces
from clusterip.proxy.nftables.ranges import interval_elements
from clusterip.proxy.nftables.rules import CHAINS, constant_rules
from clusterip.proxy.nftables.sets import Entry


class Layout(Pieces):
    """The table of one family.

    The table's comment tells its sets and base chains from those of other versions; an empty chain tells
    its rules from those of other versions and options, which can be replaced without touching an element.
    """

    def __init__(self, family: Family, options: BackendOptions, *, drop_invalid: bool = True) -> None:
        super().__init__(family, options, drop_invalid=drop_invalid)
        self._rules = constant_rules(self, options)
        self.pod_ranges = interval_elements(self.pods.cidrs)
        sets, rules = Batch(), Batch()
        self._create_sets(sets, self.table)
        self._create_chains(sets, self.table)
        self._create_rules(rules, self.table)
        for chain in (CountChain(1), *(CountChain(2, 60, entry) for entry in Entry)):
            counts.add_rules(rules, self, chain)
        sources.add_rule(rules, self, 1)
        self.allowed_by_length.clear()
        self.table = Table(family, TABLE_NAME, f"clusterip proxy, layout {_digest(sets)}")
        self.marker = f"rules-{_digest(rules)}"
        """The name of the chain that tells the rules from all others."""

    def create(self, batch: Batch) -> None:
        """Add the table and everything constant in it to a batch."""
        batch.add_table(self.table)
        self._create_sets(batch, self.table)
        self.create_rules(batch)

    def create_rules(self, batch: Batch) -> None:
        """Add all constant chains, as far as they are not there, and their rules."""
        self._create_chains(batch, self.table)
        batch.add_chain(self.table, Chain(self.marker))
        self._create_rules(batch, self.table)

    def clear_rules(self, batch: Batch, chains: Collection[str]) -> None:
        """Delete all rules there are, and of these chains those that are not constant ones.

        The others are kept: for a rule in a new chain the kernel would walk through all elements of the
        maps that it looks into.
        """
        batch.flush_rules(self.table)
        constant = self.rules_per_chain()
        for name in chains:
            if name not in constant:
                batch.delete_chain(self.table, name)
        batch.flush_set(self.table, self.pod_cidrs)

    def rules_per_chain(self) -> dict[str, int]:
        """How many rules each constant chain has."""
        return {self.marker: 0} | {name: len(rules) for name, rules in self._rules.items()}

    def _create_sets(self, batch: Batch, table: Table) -> None:
        as_needed = set(self.allowed_by_length.values())  # see sources.py
        for set_ in (*self.changing_sets, *self.constant_sets):
            if set_ not in as_needed:
                batch.add_set(table, set_)

    @staticmethod
    def _create_chains(batch: Batch, table: Table) -> None:
        for chain in CHAINS:
            batch.add_chain(table, chain)

    def _create_rules(self, batch: Batch, table: Table) -> None:
        batch.add_ranges(table, self.pod_cidrs, self.pod_ranges)
        for name, rules in self._rules.items():
            for expressions, comment in rules:
                batch.add_rule(table, name, expressions, comment)


def _digest(batch: Batch) -> str:
    contents = b"".join(payload for _, _, payload in batch.requests)
    return hashlib.sha256(contents).hexdigest()[:16]
