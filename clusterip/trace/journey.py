"""The first packet of a connection and the first of its answer, picked from what a namespace recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clusterip.trace.recorder import Passage

TCP = 6


def there(passages: Sequence[Passage], own_table: str, mark: int) -> list[Passage]:
    """The way of the client's first packet, until it leaves, is delivered, or ends."""
    return _first(
        (p for p in passages if p.headers.dscp == mark and _is_first(p.headers.protocol, p.headers.flags)),
        own_table,
    )


def back(passages: Sequence[Passage], own_table: str, mark: int) -> list[Passage]:
    """The way of the first packet that comes back."""
    return _first((p for p in passages if _is_answer(p, mark)), own_table)


def _is_first(protocol: int, flags: str) -> bool:
    return protocol != TCP or flags == "SYN"


def _is_answer(passage: Passage, mark: int) -> bool:
    headers = passage.headers
    if headers.protocol != TCP:
        return headers.dscp != mark
    return headers.flags == "SYN,ACK" or ("RST" in headers.flags.split(",") and headers.dscp != mark)


def _first(passages: Iterable[Passage], own_table: str) -> list[Passage]:
    """Those of one packet: a chain of ours that is met again is that of the next."""
    run: list[Passage] = []
    met: set[str] = set()
    for passage in passages:
        _, table, chain = passage.chain
        if table == own_table:
            if chain in met:
                break
            met.add(chain)
        run.append(passage)
    return run
