"""The constant part of the table: its sets and maps, its chains and their rules.

Nothing here depends on which Services exist; what does are the elements (:mod:`.elements`) and the count
chains (:mod:`.counts`).
"""

from __future__ import annotations

import hashlib

from clusterip.kernel.nftables import Batch, Family, Table
from clusterip.proxy.backend import BackendOptions
from clusterip.proxy.nftables.pieces import Pieces
from clusterip.proxy.nftables.ranges import interval_elements
from clusterip.proxy.nftables.rules import CHAINS, constant_rules

TABLE_NAME = "clusterip"


class Layout(Pieces):
    """The table of one family. Its comment tells a layout from all others."""

    def __init__(self, family: Family, options: BackendOptions) -> None:
        super().__init__(family, options)
        self._rules = constant_rules(self, options)
        self._pod_cidrs = interval_elements(self.pods.cidrs)
        self.table = Table(family, TABLE_NAME, f"clusterip proxy, layout {self._digest()}")

    def create(self, batch: Batch) -> None:
        """Add the table and everything constant in it to a batch."""
        batch.add_table(self.table)
        self._create_contents(batch, self.table)

    def rules_per_chain(self) -> dict[str, int]:
        """How many rules each constant chain has."""
        return {name: len(rules) for name, rules in self._rules.items()}

    def _digest(self) -> str:
        batch = Batch()
        self._create_contents(batch, Table(self.family, TABLE_NAME))
        contents = b"".join(payload for _, _, payload in batch.requests)
        return hashlib.sha256(contents).hexdigest()[:16]

    def _create_contents(self, batch: Batch, table: Table) -> None:
        for set_ in (*self.changing_sets, *self.range_sets, *self.constant_sets):
            batch.add_set(table, set_)
        batch.add_ranges(table, self.pod_cidrs, self._pod_cidrs)
        for chain in CHAINS:
            batch.add_chain(table, chain)
        for name, rules in self._rules.items():
            for expressions, comment in rules:
                batch.add_rule(table, name, expressions, comment)
