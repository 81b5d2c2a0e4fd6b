"""Count chains: one chain for each *number* of endpoints, not for each Service.

``numgen random mod N`` needs N as a constant, so all groups of five endpoints share the chain that draws
from five. A target (:mod:`.target`) names its chain by an index, and the map ``dispatch`` has the chain of
each index. That is why a Service's element holds a plain value and no verdict: whenever a verdict with a
chain is added to a map, the kernel walks all elements of all verdict maps to look for loops, and a change
would cost time proportional to the number of Services. For the same reason the chains of small groups are
there from the beginning: see ``SMALL``.
"""

from __future__ import annotations

from dataclasses import dataclass

from clusterip.kernel.nftables import Batch, Chain
from clusterip.kernel.nftables import expressions as x
from clusterip.kernel.nftables.batch import Element, Verdict
from clusterip.proxy.nftables import target
from clusterip.proxy.nftables.pieces import Pieces
from clusterip.proxy.nftables.sets import Entry

_PREFIX = "pick"
_LOCAL, _MASQUERADE = "local", "masquerade"
_STICKY_RULES = 3


@dataclass(frozen=True)
class CountChain:
    """What a count chain does: draw one of ``count`` endpoints.

    With ``affinity_seconds`` it also remembers the choice for the client until so long after the client's
    last connection; it must then know the map it was reached through (``entry``), and whether its groups
    are those of ``Local`` policy.
    """

    count: int
    affinity_seconds: int = 0
    entry: Entry | None = None
    local: bool = False

    def name(self, *, masquerade: bool) -> str:
        parts = [_PREFIX, str(self.count)]
        if self.entry is not None:
            parts += ["sticky", str(self.affinity_seconds), self.entry.value]
        if self.local:
            parts.append(_LOCAL)
        if masquerade:
            parts.append(_MASQUERADE)
        return ".".join(parts)

    @property
    def names(self) -> tuple[str, str]:
        """Its chain without and with masquerading."""
        return self.name(masquerade=False), self.name(masquerade=True)


def parse_name(name: str) -> CountChain | None:
    """The count chain of that name; None for other chains."""
    parts = name.split(".")
    if parts[0] != _PREFIX:
        return None
    try:
        if "sticky" in parts:
            return CountChain(int(parts[1]), int(parts[3]), Entry(parts[4]), _LOCAL in parts)
        return CountChain(int(parts[1]))
    except (ValueError, IndexError):  # somebody else's, or another version's
        return None


def create(batch: Batch, pieces: Pieces, chain: CountChain) -> None:
    """Add a count chain, with and without masquerading, to a batch."""
    for name in chain.names:
        batch.add_chain(pieces.table, Chain(name))
    add_rules(batch, pieces, chain)


def add_rules(batch: Batch, pieces: Pieces, chain: CountChain) -> None:
    """Add the rules of a count chain that has none to a batch."""
    for masquerade in (False, True):
        for rule in _rules(pieces, chain, masquerade=masquerade):
            batch.add_rule(pieces.table, chain.name(masquerade=masquerade), rule)


def link(batch: Batch, pieces: Pieces, chain: CountChain, index: int) -> None:
    """Add the dispatch elements of a count chain to a batch."""
    batch.add_ranges(pieces.table, pieces.dispatch, _dispatch_elements(chain, index))


def unlink(batch: Batch, pieces: Pieces, chain: CountChain, index: int) -> None:
    """Delete the dispatch elements of a count chain."""
    batch.delete_ranges(pieces.table, pieces.dispatch, _dispatch_elements(chain, index))


def dispatch_of(chain: CountChain, index: int) -> set[tuple[bytes, str]]:
    """A count chain's dispatch elements: key and name of the chain."""
    return {
        (target.dispatch_key(index, masquerade=masquerade), chain.name(masquerade=masquerade))
        for masquerade in (False, True)
    }


def rules_per_chain(chain: CountChain) -> dict[str, int]:
    """How many rules a count chain has, in both variants."""
    count = _STICKY_RULES if chain.entry else 1
    plain, masquerading = chain.names
    return {plain: count, masquerading: count + 1}


def _dispatch_elements(chain: CountChain, index: int) -> list[Element]:
    return [Element(key, Verdict(x.GOTO, name)) for key, name in sorted(dispatch_of(chain, index))]


def _rules(pieces: Pieces, chain: CountChain, *, masquerade: bool) -> list[list[x.Expression]]:
    rules = _affine_rules(pieces, chain) if chain.entry else [_plain_rule(pieces, chain)]
    return [pieces.mark_for_masquerade(), *rules] if masquerade else rules


def _forget_target(word: int) -> list[x.Expression]:
    """Give the packet the priority of packets that nobody prioritized."""
    return [x.load_constant(word, bytes(4)), x.store_priority(word)]


def _draw(chain: CountChain, map_name: str, word: int, into: int) -> list[x.Expression]:
    """Load the value of a random slot of the packet's group. Uses two words."""
    return [
        x.load_priority(word),
        x.keep_bits(word, target.GROUP_MASK),
        x.random_number(word + 1, chain.count),
        x.lookup_value(map_name, word, into),
    ]


def _plain_rule(pieces: Pieces, chain: CountChain) -> list[x.Expression]:
    return [
        *_draw(chain, pieces.slots_of(chain.count).name, 0, 2),
        *_forget_target(0),
        x.dnat(pieces.family, 2, 2 + pieces.words),
    ]


def _affine_rules(pieces: Pieces, chain: CountChain) -> list[list[x.Expression]]:
    """Go to the endpoint this client had, if it still is one; else draw one and remember it.

    What is remembered is the endpoint's *handle*, for the Service port: whichever of its addresses the
    client uses. When an endpoint goes, its element in ``handles`` does, so nobody has to look for its
    clients in ``affinity``: that would be work for each client.
    """
    assert chain.entry is not None
    timeout = chain.affinity_seconds * 1000
    affinity = pieces.affinity.name
    client = [x.load_priority(0), x.keep_bits(0, target.PORT_MASK), x.source_address(pieces.family, 1)]
    free = 1 + pieces.words  # the first word after the client's key
    handle = free + 2
    endpoint = 1
    go = [
        x.load_priority(0),
        x.lookup_value((pieces.local_handles if chain.local else pieces.handles).name, 0, endpoint),
        *_forget_target(0),
        x.dnat(pieces.family, endpoint, endpoint + pieces.words),
    ]
    # Into the priority and back: `nft list` aborts on an element whose value is another map's.
    carry = [x.store_priority(handle), x.load_priority(handle)]
    remembered = [
        *client,
        x.lookup_value(affinity, 0, handle),
        *carry,
        x.update_element(affinity, 0, handle, timeout),  # begins its time anew
        *go,
    ]
    # The rule before may have left a handle of long ago in place of the target.
    target_again = [
        *pieces.entry_key(chain.entry),
        x.lookup_value(pieces.entry_map(chain.entry).name, 0, 0),
        x.store_priority(0),
    ]
    draw = [
        *target_again,
        *client,
        *_draw(chain, pieces.choices.name, free, handle),
        *carry,
        # What comes last may fail, if there is no room for more clients.
        x.delete_element(affinity, 0, handle),
        x.update_element(affinity, 0, handle, timeout),
    ]
    return [remembered, draw, go]
