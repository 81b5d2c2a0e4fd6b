"""Finding objects of an informer by something other than their name."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

Key = tuple[str, str]


class Index(Generic[T]):
    """From a derived key, such as a node's name, to the namespaces and names of the objects that have it."""

    def __init__(self, key_of: Callable[[T], Iterable[Hashable]]) -> None:
        self._key_of = key_of
        # A dict as an ordered set: iteration follows insertion, so results do not jump about.
        self._keys: dict[Hashable, dict[Key, None]] = {}

    def change(self, key: Key, old: T | None, new: T | None) -> None:
        """Follow one object from ``old`` to ``new``."""
        before = set(self._key_of(old)) if old is not None else set()
        after = set(self._key_of(new)) if new is not None else set()
        for derived in before - after:
            members = self._keys[derived]
            del members[key]
            if not members:
                del self._keys[derived]
        for derived in after - before:
            self._keys.setdefault(derived, {})[key] = None

    def find(self, derived: Hashable) -> Iterable[Key]:
        return self._keys.get(derived, ())
