"""Who watches a resource, findable by what of an object they ask for.

A thousand nodes each watch the Pods with their name in ``spec.nodeName``: a change of a Pod is to cost what
its one node costs, not a look at all thousand. As upstream's ``cacher.go`` indexes its watchers, though by
any field that a selector wants to equal something.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clusterip.apiserver.watching import Change, Watcher

_Key = tuple[str, str]


class Watchers:
    """The watchers of one resource."""

    def __init__(self) -> None:
        self._keys: dict[Watcher, _Key | None] = {}
        self._unkeyed: dict[Watcher, None] = {}
        self._keyed: dict[str, dict[str, dict[Watcher, None]]] = {}
        """Field -> value -> those who want the field to have it, and only these."""

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Watcher]:
        """All of them as they are now; they may come and go meanwhile."""
        return iter(tuple(self._keys))

    def __contains__(self, watcher: Watcher) -> bool:
        return watcher in self._keys

    def add(self, watcher: Watcher) -> None:
        if watcher in self._keys:
            return
        key = self._keys[watcher] = _key_of(watcher)
        if key is None:
            self._unkeyed[watcher] = None
        else:
            self._keyed.setdefault(key[0], {}).setdefault(key[1], {})[watcher] = None

    def discard(self, watcher: Watcher) -> None:
        if watcher not in self._keys:
            return
        key = self._keys.pop(watcher)
        if key is None:
            del self._unkeyed[watcher]
            return
        field, value = key
        values = self._keyed[field]
        del values[value][watcher]
        if not values[value]:
            del values[value]
        if not values:
            del self._keyed[field]

    def clear(self) -> None:
        self._keys.clear()
        self._unkeyed.clear()
        self._keyed.clear()

    def concerned(self, changes: Sequence[Change]) -> list[Watcher]:
        """Those whom some of the changes may be for."""
        found = list(self._unkeyed)
        for field, values in self._keyed.items():
            seen: set[str] = set()
            for change in changes:
                seen.add(change.entry.field(field))
                if change.previous is not None:
                    seen.add(change.previous.field(field))
            for value in seen:
                found += values.get(value, ())
        return found


def _key_of(watcher: Watcher) -> _Key | None:
    fields = watcher.selection.fields
    if fields is None:
        return None
    return next(((term.field, term.value) for term in fields.terms if term.equal), None)
