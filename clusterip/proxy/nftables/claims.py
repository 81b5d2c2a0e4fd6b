"""Elements that several Service ports may want: who has them, and who is next.

Two Services can ask for the same external IP and port, two ports share a ClusterIP, several Services
an endpoint. The first to claim an element decides its value; when it lets go, the next one does.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from clusterip.kernel.nftables import Set
from clusterip.proxy.nftables.changes import Changes

_Claim = tuple[Hashable, bytes]


class Claims:
    """The claimed elements. What that means for the kernel goes into ``changes``."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        # One claim is by far the usual case, and a tuple is much smaller than a list in a dictionary.
        self._claims: dict[Set, dict[bytes, _Claim | list[_Claim]]] = {}

    def put(self, owner: Hashable, set_: Set, key: bytes, value: bytes) -> None:
        """Claim an element, or change the value of one's claim."""
        claims = self._claims.setdefault(set_, {})
        held = claims.get(key)
        mine = (owner, value)
        if held is None:
            claims[key] = mine
            self._changes.put(set_, key, None, value)
        elif isinstance(held, tuple):
            if held[0] == owner:
                claims[key] = mine
                self._changes.put(set_, key, held[1], value)
            else:
                claims[key] = [held, mine]
        else:
            for index, claim in enumerate(held):
                if claim[0] == owner:
                    held[index] = mine
                    if index == 0:
                        self._changes.put(set_, key, claim[1], value)
                    return
            held.append(mine)

    def drop(self, owner: Hashable, set_: Set, key: bytes) -> None:
        """Let go of an element one has claimed."""
        claims = self._claims[set_]
        held = claims[key]
        if isinstance(held, tuple):
            del claims[key]
            self._changes.put(set_, key, held[1], None)
            return
        index = next(index for index, claim in enumerate(held) if claim[0] == owner)
        _, value = held.pop(index)
        if index == 0:
            self._changes.put(set_, key, value, held[0][1])
        if len(held) == 1:
            claims[key] = held[0]

    def elements(self, set_: Set) -> Iterator[tuple[bytes, bytes]]:
        """All elements of a set, with the values that count."""
        for key, held in self._claims.get(set_, {}).items():
            yield key, held[1] if isinstance(held, tuple) else held[0][1]
