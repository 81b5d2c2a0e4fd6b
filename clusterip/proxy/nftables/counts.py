"""Count chains: one chain for each *number* of endpoints, not for each Service.

``numgen random mod N`` needs N as a constant, so all groups of five endpoints share the chain that draws
from five. A target (:mod:`.target`) names its chain by an index, and the map ``dispatch`` has the chain of
each index. That is why a Service's element holds a plain value and no verdict: whenever a verdict with a
chain is added to a map, the kernel walks all elements of all verdict maps to look for loops, and a change
would cost time proportional to the number of Services.
"""

from __future__ import annotations

from dataclasses import dataclass

from clusterip.kernel.nftables import Batch, Chain
from clusterip.kernel.nftables import expressions as x
from clusterip.kernel.nftables.batch import Element, Verdict
from clusterip.proxy.nftables import target
from clusterip.proxy.nftables.layout import Layout
from clusterip.proxy.nftables.sets import Entry

_PREFIX = "pick"


@dataclass(frozen=True)
class CountChain:
    """What a count chain does: draw one of ``count`` endpoints.

    With ``affinity_seconds`` it also remembers the choice for the client until so long after the client's
    last connection; it must then know the map it was reached through (``entry``).
    """

    count: int
    affinity_seconds: int = 0
    entry: Entry | None = None

    def name(self, *, masquerade: bool) -> str:
        parts = [_PREFIX, str(self.count)]
        if self.entry is not None:
            parts += ["sticky", str(self.affinity_seconds), self.entry.value]
        if masquerade:
            parts.append("masquerade")
        return ".".join(parts)


def parse_name(name: str) -> CountChain | None:
    """The count chain of that name; None for other chains."""
    parts = name.split(".")
    if parts[0] != _PREFIX:
        return None
    if "sticky" in parts:
        return CountChain(int(parts[1]), int(parts[3]), Entry(parts[4]))
    return CountChain(int(parts[1]))


def create(batch: Batch, layout: Layout, chain: CountChain, index: int) -> None:
    """Add a count chain, with and without masquerading, and its dispatch elements to a batch."""
    for masquerade in (False, True):
        name = chain.name(masquerade=masquerade)
        batch.add_chain(layout.table, Chain(name))
        for rule in _rules(layout, chain, masquerade=masquerade):
            batch.add_rule(layout.table, name, rule)
    add_dispatch(batch, layout, chain, index)


def add_dispatch(batch: Batch, layout: Layout, chain: CountChain, index: int) -> None:
    """Add the dispatch elements of a count chain to a batch."""
    elements = [
        Element(
            target.dispatch_key(index, masquerade=masquerade),
            Verdict(x.GOTO, chain.name(masquerade=masquerade)),
        )
        for masquerade in (False, True)
    ]
    batch.add_ranges(layout.table, layout.dispatch, elements)


def rules_per_chain(layout: Layout, chain: CountChain) -> dict[str, int]:
    """How many rules a count chain has, in both variants."""
    return {
        chain.name(masquerade=masquerade): len(_rules(layout, chain, masquerade=masquerade))
        for masquerade in (False, True)
    }


def _rules(layout: Layout, chain: CountChain, *, masquerade: bool) -> list[list[x.Expression]]:
    rules = _affine_rules(layout, chain) if chain.entry else [_plain_rule(layout, chain)]
    return [layout.mark_for_masquerade(), *rules] if masquerade else rules


def _forget_target(word: int) -> list[x.Expression]:
    """Give the packet the priority of packets that nobody prioritized."""
    return [x.load_constant(word, bytes(4)), x.store_priority(word)]


def _draw(chain: CountChain, map_name: str, into: int) -> list[x.Expression]:
    """Load the value of a random slot of the packet's group."""
    return [
        x.load_priority(0),
        x.keep_bits(0, target.GROUP_MASK),
        x.random_number(1, chain.count),
        x.lookup_value(map_name, 0, into),
    ]


def _plain_rule(layout: Layout, chain: CountChain) -> list[x.Expression]:
    return [
        *_draw(chain, layout.endpoints.name, 2),
        *_forget_target(0),
        x.dnat(layout.family, 2, 2 + layout.words),
    ]


def _affine_rules(layout: Layout, chain: CountChain) -> list[list[x.Expression]]:
    """Go to the endpoint this client had, if it still is one; else draw one and remember it.

    What is remembered is the endpoint's *handle*. When an endpoint goes, its element in ``handles`` does,
    so nobody has to look for its clients in ``affinity``: that would be work for each client.
    """
    assert chain.entry is not None
    client_key = [*layout.frontend_key(), x.source_address(layout.family, layout.words + 2)]
    handle = 2 * layout.words + 2  # the register after the client's key
    endpoint = handle + 1
    seconds = chain.affinity_seconds * 1000
    remember = [
        *client_key,
        x.load_priority(handle),
        x.update_element(layout.affinity.name, 0, handle, seconds),
    ]
    to_handle = [
        x.load_priority(handle),
        x.lookup_value(layout.handles.name, handle, endpoint),
    ]
    go = [*_forget_target(handle), x.dnat(layout.family, endpoint, endpoint + layout.words)]
    remembered = [
        *client_key,
        x.lookup_value(layout.affinity.name, 0, 0),
        x.store_priority(0),
        *to_handle,
        *remember,
        *go,
    ]
    # The first rule may have left a handle of long ago in place of the target.
    key = layout.entry_key(chain.entry)
    draw = [
        *key,
        x.lookup_value(layout.entry_map(chain.entry).name, 0, 0),
        x.store_priority(0),
        *_draw(chain, layout.choices.name, 0),
        x.store_priority(0),
    ]
    forget = [*client_key, x.load_priority(handle), x.delete_element(layout.affinity.name, 0, handle)]
    return [remembered, draw, [*to_handle, *forget, *remember, *go]]
