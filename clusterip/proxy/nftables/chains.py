"""Which count chains there are, and by what index targets name them."""

from __future__ import annotations

import time
from collections.abc import Iterable

from clusterip.kernel.nftables import Batch
from clusterip.proxy.nftables import counts, target
from clusterip.proxy.nftables.counts import CountChain
from clusterip.proxy.nftables.groups import Exhausted
from clusterip.proxy.nftables.layout import Layout
from clusterip.proxy.nftables.sets import SMALL

IDLE_LIMIT = 32
"""So many chains that no Service port uses are kept: sizes come and go."""

_UNLINKED_SECONDS = 1.0
"""How long kernels before 6.2 take to notice that no element leads to a chain any more."""


class Chains:
    """The count chains of a table.

    Those of small groups are always there. Of the others, unused ones beyond a limit are deleted, the
    longest unused first.
    """

    def __init__(self) -> None:
        self._indexes: dict[CountChain, int] = {}
        self._free: list[int] = []
        self._users: dict[CountChain, int] = {}
        self._idle: dict[CountChain, None] = {}
        self._missing: dict[CountChain, None] = {}
        self._unlinked: dict[CountChain, float] = {}
        for count in range(1, SMALL + 1):
            self.acquire(CountChain(count))

    def __len__(self) -> int:
        return len(self._indexes)

    def adopt(self, dispatch: Iterable[tuple[bytes, str]], orphans: Iterable[CountChain]) -> None:
        """Take over what the kernel has: ``dispatch`` (key, chain name), and chains it does not lead to."""
        for key, name in dispatch:
            chain = counts.parse_name(name)
            if chain is not None:
                self._indexes[chain] = target.chain_of(key)
                if chain not in self._users:
                    self._idle[chain] = None
        taken = set(self._indexes.values())
        self._free = [index for index in range(1, max(taken, default=0)) if index not in taken]
        self._unlinked = dict.fromkeys(orphans, time.monotonic())

    @property
    def has_leaving(self) -> bool:
        """Whether there are chains to be deleted that nothing leads to."""
        return bool(self._unlinked)

    # Use.

    def acquire(self, chain: CountChain) -> int:
        """The index of a chain that a Service port uses from now on.

        Raises:
            Exhausted: there is no room for one more.
        """
        index = self._indexes.get(chain)
        if index is None:
            index = self._take_index()
            self._indexes[chain] = index
            self._missing[chain] = None
        self._idle.pop(chain, None)
        self._users[chain] = self._users.get(chain, 0) + 1
        return index

    def release(self, chain: CountChain) -> None:
        left = self._users[chain] - 1
        if left:
            self._users[chain] = left
        else:
            del self._users[chain]
            self._idle[chain] = None

    def _take_index(self) -> int:
        if self._free:
            return self._free.pop()
        index = len(self._indexes) + 1
        if index >= target.MAX_CHAINS:
            raise Exhausted(f"more than {target.MAX_CHAINS - 1} different numbers of endpoints")
        return index

    # The kernel.

    def write(self, batch: Batch, layout: Layout) -> None:
        """Add what the kernel misses to a batch."""
        for chain in self._missing:
            if chain not in self._unlinked:
                counts.create(batch, layout, chain)
            counts.link(batch, layout, chain, self._indexes[chain])

    def written(self) -> None:
        """The kernel has taken that batch."""
        for chain in self._missing:
            self._unlinked.pop(chain, None)
        self._missing.clear()

    def expect(self, dispatch: Iterable[tuple[bytes, str]], orphans: Iterable[CountChain]) -> None:
        """The kernel has just this: ``write`` adds what it misses."""
        known = set(dispatch)
        self._unlinked = dict.fromkeys(orphans, time.monotonic())
        self._missing = dict.fromkeys(
            chain for chain, index in self._indexes.items() if not counts.dispatch_of(chain, index) <= known
        )

    def write_rules(self, batch: Batch, layout: Layout) -> None:
        """Add the rules of all chains that the kernel has, after all rules were deleted."""
        for chain in self._indexes:
            if chain not in self._missing:
                counts.add_rules(batch, layout, chain)

    def write_unlinking(self, batch: Batch, layout: Layout) -> None:
        """Make a batch that lets go of surplus chains: nothing leads to them any more."""
        surplus = list(self._idle)[: max(len(self._idle) - IDLE_LIMIT, 0)]
        for chain in surplus:
            index = self._indexes.pop(chain)
            del self._idle[chain]
            self._free.append(index)
            if chain in self._missing:  # the kernel never had it
                del self._missing[chain]
                continue
            counts.unlink(batch, layout, chain, index)
            self._unlinked[chain] = time.monotonic()

    def write_deletions(self, batch: Batch, layout: Layout) -> None:
        """Make a batch that deletes chains that nothing has led to for a while."""
        for chain in self._leaving():
            for name in chain.names:
                batch.delete_chain(layout.table, name)

    def deleted(self, *, refused: bool) -> None:
        """The kernel has done that, or (``refused``) would not yet: they are tried again later."""
        for chain in self._leaving():
            del self._unlinked[chain]
            if refused:
                self._unlinked[chain] = time.monotonic() + _UNLINKED_SECONDS

    def _leaving(self) -> list[CountChain]:
        oldest = time.monotonic() - _UNLINKED_SECONDS
        return [
            chain for chain, since in self._unlinked.items() if since <= oldest and chain not in self._indexes
        ]
