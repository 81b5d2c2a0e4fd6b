"""The first packet of a connection and the first of its answer, picked from what was recorded.

A packet's stay in a namespace, from where it enters or is made to where it leaves, is delivered or ends, is a
*leg*. It may be in a namespace twice: a Pod that reaches itself, a node that sends to itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from clusterip.kernel.nftables.tracing import Headers
from clusterip.trace.recorder import Passage

TCP = 6
_BEGINNINGS = ("prerouting", "output")

Leg = list[Passage]


def there(passages: Sequence[Passage], own_table: str, mark: int) -> list[Leg]:
    """The legs of the client's first packet in one namespace."""
    return _legs(
        (p for p in passages if p.headers.dscp == mark and _is_first(p.headers.protocol, p.headers.flags)),
        own_table,
    )


def back(passages: Sequence[Passage], own_table: str, mark: int) -> list[Leg]:
    """The legs of the first packet that goes to where the client's packet came from."""
    sources = {_source(p.headers) for leg in there(passages, own_table, mark) for p in leg}
    return _legs((p for p in passages if _destination(p.headers) in sources), own_table)


def ends(headers: Headers) -> tuple[str, int, str, int]:
    """Source and destination with their ports."""
    return headers.source, headers.source_port, headers.destination, headers.destination_port


def ordered(start: str, legs: Mapping[str, Sequence[Leg]], last: str) -> list[tuple[str, Leg]]:
    """Every leg with its place, in the order of the packet's way.

    Each begins with the addresses that the one before ended with. Where several do, that of the place
    ``last`` comes last, and else what was seen first.
    """
    left = [(place, leg) for place, found in legs.items() for leg in found]
    way: list[tuple[str, Leg]] = []
    current = next(((place, leg) for place, leg in left if place == start), None)
    while current is not None:
        left.remove(current)
        way.append(current)
        reached = ends(current[1][-1].headers)
        following = [each for each in left if ends(each[1][0].headers) == reached]
        current = min(
            following or left, key=lambda each: (each[0] == last, each[1][0].events[0].at), default=None
        )
    return way


def _is_first(protocol: int, flags: str) -> bool:
    return protocol != TCP or flags == "SYN"


def _source(headers: Headers) -> tuple[str, int]:
    return headers.source, headers.source_port


def _destination(headers: Headers) -> tuple[str, int]:
    return headers.destination, headers.destination_port


def _legs(passages: Iterable[Passage], own_table: str) -> list[Leg]:
    """Those of one packet: one that begins like an earlier leg is that of the next (or sent again)."""
    legs: list[Leg] = []
    seen = set()
    for passage in passages:
        _, table, chain = passage.chain
        if table == own_table and chain in _BEGINNINGS:
            begins = (chain, ends(passage.headers))
            if begins in seen:
                break
            seen.add(begins)
            legs.append([])
        if legs:
            legs[-1].append(passage)
    return legs
