"""``loadBalancerSourceRanges``: a set for each length of prefix there is, and a rule that looks into it.

A set of ranges would do with one rule, but the kernel copies such a set as a whole for every change of it:
with 1,000 Services of three ranges that takes 57 ms. These are hash tables, and there are few lengths.
"""

from __future__ import annotations

from clusterip.kernel.nftables import Batch
from clusterip.kernel.nftables import expressions as x
from clusterip.proxy.nftables.pieces import Pieces
from clusterip.proxy.nftables.sets import ALLOWED

CHAIN = "allowed-sources"


def create(batch: Batch, pieces: Pieces, length: int) -> None:
    """Add the set for prefixes of that length, and its rule."""
    batch.add_set(pieces.table, pieces.allowed(length))
    add_rule(batch, pieces, length)


def add_rule(batch: Batch, pieces: Pieces, length: int) -> None:
    """Add the rule that accepts packets from sources in the set for prefixes of that length."""
    bits = pieces.words * 32
    source = pieces.words + 2  # the word after the frontend
    mask = ((1 << bits) - (1 << bits - length)).to_bytes(bits // 8, "big")
    masked = [x.bitwise(source, mask, bytes(bits // 8))] if length < bits else []
    expressions = [
        *pieces.frontend_key(),
        x.source_address(pieces.family, source),
        *masked,
        x.lookup(pieces.allowed(length).name, 0),
        x.verdict(x.ACCEPT),
    ]
    batch.add_rule(pieces.table, CHAIN, expressions)


def parse_name(name: str) -> int | None:
    """The length of prefix that the set of that name is for; None for other sets."""
    length = name.removeprefix(ALLOWED)
    return int(length) if name.startswith(ALLOWED) and length.isdecimal() else None
