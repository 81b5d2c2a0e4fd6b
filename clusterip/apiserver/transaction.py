"""What one request changes in the store, gathered until it is done all at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from clusterip.storage.store import Change, Compare, Delete, Put


class Transaction:
    """Compares and changes of one request.

    ``on_end`` callbacks run when the transaction is over, done or not: they give back what was only
    reserved in memory while it was under way. ``pretended`` are the node ports that a dry run took.
    """

    __slots__ = ("_on_end", "changes", "compares", "dry_run", "pretended")

    def __init__(self, *, dry_run: bool = False) -> None:
        self.dry_run = dry_run
        self.pretended: list[int] = []
        self.compares: list[Compare] = []
        self.changes: list[Change] = []
        self._on_end: list[Callable[[], None]] = []

    def create(self, key: str, value: bytes) -> None:
        """Put ``key``, which must not exist yet."""
        self.compares.append(Compare(key, 0))
        self.changes.append(Put(key, value))

    def update(self, key: str, value: bytes, revision: int) -> None:
        """Put ``key``, which must be as it was at ``revision``."""
        self.compares.append(Compare(key, revision))
        self.changes.append(Put(key, value))

    def delete(self, key: str, revision: int | None = None) -> None:
        """Delete ``key``, if given only as it was at ``revision``."""
        if revision is not None:
            self.compares.append(Compare(key, revision))
        self.changes.append(Delete(key))

    def on_end(self, callback: Callable[[], None]) -> None:
        self._on_end.append(callback)

    def end(self) -> None:
        for callback in self._on_end:
            callback()
        self._on_end.clear()


class Hooks(Protocol):
    """What a kind does beside storing its object, within the same transaction."""

    def create(self, obj: Any, transaction: Transaction) -> None:
        """Complete a new object, before it is validated."""
        ...

    def update(self, new: Any, old: Any, transaction: Transaction) -> None:
        """Complete a changed object, before it is validated."""
        ...

    def delete(self, obj: Any, transaction: Transaction) -> None:
        """Release what the object held."""
        ...
