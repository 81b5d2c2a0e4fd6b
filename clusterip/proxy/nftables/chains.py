"""Which count chains there are and by what index targets name them."""

from __future__ import annotations

from collections.abc import Iterable

from clusterip.kernel.nftables import Batch
from clusterip.proxy.nftables import counts, target
from clusterip.proxy.nftables.counts import CountChain
from clusterip.proxy.nftables.groups import Exhausted
from clusterip.proxy.nftables.layout import Layout


class Chains:
    """The count chains of a table. They stay once made: there are only as many as distinct counts."""

    def __init__(self) -> None:
        self._indexes: dict[CountChain, int] = {}
        self.missing: dict[CountChain, int] = {}
        """Those the kernel does not have yet."""

    def adopt(self, dispatch: Iterable[tuple[bytes, str]]) -> None:
        """Take over the chains that ``dispatch`` (key, chain name) has in the kernel."""
        for key, name in dispatch:
            chain = counts.parse_name(name)
            if chain is not None:
                self._indexes[chain] = target.chain_of(key)

    def index(self, chain: CountChain) -> int:
        found = self._indexes.get(chain)
        if found is None:
            found = len(self._indexes) + 1
            if found >= target.MAX_CHAINS:
                raise Exhausted(f"more than {target.MAX_CHAINS - 1} different numbers of endpoints")
            self._indexes[chain] = self.missing[chain] = found
        return found

    def write(self, batch: Batch, layout: Layout) -> None:
        """Add what the kernel misses to a batch; it counts as done."""
        for chain, index in self.missing.items():
            counts.create(batch, layout, chain, index)
        self.missing = {}

    def write_difference(self, batch: Batch, layout: Layout, dispatch: Iterable[tuple[bytes, str]]) -> None:
        """Add to a batch all chains that are not in ``dispatch``, which is what the kernel has."""
        known = set(dispatch)
        self.missing = {}
        for chain, index in self._indexes.items():
            wanted = {
                (target.dispatch_key(index, masquerade=masquerade), chain.name(masquerade=masquerade))
                for masquerade in (False, True)
            }
            if not wanted <= known:
                self.missing[chain] = index
        self.write(batch, layout)
