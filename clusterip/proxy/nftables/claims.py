"""Elements that several Service ports may want: who has them, and who is next.

Two Services can ask for the same external IP and port, two ports share a ClusterIP, several Services
an endpoint. Who comes first by rank decides an element's value, whatever the order of the claims; when
it lets go, the next one does.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any

from clusterip.kernel.nftables import Set
from clusterip.proxy.nftables.changes import Changes

_Claim = tuple[Hashable, bytes]
Rank = Callable[[Hashable, Set, bytes], tuple[Any, ...]]
"""An owner's rank for an element (set, key): the lowest comes first. It holds as long as the claim."""


class Claims:
    """The claimed elements. What that means for the kernel goes into ``changes``."""

    def __init__(self, changes: Changes, rank: Rank) -> None:
        self._changes = changes
        self._rank = rank
        # One claim is by far the usual case, and a tuple is much smaller than a list in a dictionary.
        self._claims: dict[Set, dict[bytes, _Claim | list[_Claim]]] = {}

    def put(self, owner: Hashable, set_: Set, key: bytes, value: bytes) -> None:
        """Claim an element, or change the value of one's claim."""
        claims = self._claims.setdefault(set_, {})
        held = claims.get(key)
        if held is None:
            claims[key] = (owner, value)
            self._changes.put(set_, key, None, value)
            return
        if isinstance(held, tuple):
            if held[0] == owner:
                claims[key] = (owner, value)
                self._changes.put(set_, key, held[1], value)
                return
            held = claims[key] = [held]
        before = held[0][1]
        held[:] = [claim for claim in held if claim[0] != owner]
        held.append((owner, value))
        held.sort(key=lambda claim: self._rank(claim[0], set_, key))
        self._changes.put(set_, key, before, held[0][1])

    def drop(self, owner: Hashable, set_: Set, key: bytes) -> None:
        """Let go of an element one has claimed."""
        claims = self._claims[set_]
        held = claims[key]
        if isinstance(held, tuple):
            del claims[key]
            self._changes.put(set_, key, held[1], None)
            return
        before = held[0][1]
        held[:] = [claim for claim in held if claim[0] != owner]
        self._changes.put(set_, key, before, held[0][1])
        if len(held) == 1:
            claims[key] = held[0]

    def elements(self, set_: Set) -> Iterator[tuple[bytes, bytes]]:
        """All elements of a set, with the values that count."""
        for key, held in self._claims.get(set_, {}).items():
            yield key, held[1] if isinstance(held, tuple) else held[0][1]
