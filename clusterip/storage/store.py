"""What the API server asks of a store: revisioned keys, transactions and watches.

One integer counts the changes of the whole store: each transaction that changes something takes the
next revision, and every change in it carries that revision. A key remembers the revision that created
it and the one that changed it last. This is etcd's model, so etcd implements it directly; so does
SQLite, in ``sqlite.py``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Literal, Protocol

import msgspec


class KeyValue(msgspec.Struct, frozen=True):
    """A key as it stood at some revision."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int


class Event(msgspec.Struct, frozen=True):
    """One change of one key. ``value`` is the new value, or for a DELETE the last one."""

    type: Literal["PUT", "DELETE"]
    key: str
    value: bytes
    revision: int
    previous: KeyValue | None = None


Events = list[Event]
"""Changes in the order of their revisions."""


class Compare(msgspec.Struct, frozen=True):
    """A condition of a transaction: ``key`` was last changed at ``mod_revision`` (0: it does not exist)."""

    key: str
    mod_revision: int


class Put(msgspec.Struct, frozen=True):
    """Create or replace ``key``."""

    key: str
    value: bytes


class Delete(msgspec.Struct, frozen=True):
    """Remove ``key``. Removing a key that does not exist changes nothing."""

    key: str


Change = Put | Delete


class Page(msgspec.Struct, frozen=True):
    """A part of a listing.

    ``revision`` is the store's revision at which the listing was taken: pass it, with the last key as
    ``start_after``, to get the next page of the same snapshot. ``remaining`` counts the keys after
    this page.
    """

    items: list[KeyValue]
    revision: int
    more: bool = False
    remaining: int = 0


class StoreError(Exception):
    """The store could not do what was asked; the message says what and why."""


class Conflict(StoreError):
    """A compare did not hold, so nothing of the transaction was done.

    Attributes:
        key: the key whose revision differs.
        current: that key as it is now, or None if it does not exist.
    """

    def __init__(self, key: str, current: KeyValue | None) -> None:
        found = f"is at revision {current.mod_revision}" if current else "does not exist"
        super().__init__(f"{key} {found}")
        self.key = key
        self.current = current


class Compacted(StoreError):
    """The revision asked for is no longer kept. Start again from a fresh listing.

    Attributes:
        revision: the oldest revision that can still be read, and watched from.
    """

    def __init__(self, revision: int) -> None:
        super().__init__(f"required revision has been compacted; the oldest one kept is {revision}")
        self.revision = revision


class FutureRevision(StoreError):
    """The revision asked for has not happened yet.

    Attributes:
        revision: the store's revision.
    """

    def __init__(self, wanted: int, revision: int) -> None:
        super().__init__(f"required revision {wanted} is a future revision; the store is at {revision}")
        self.revision = revision


class Unavailable(StoreError):
    """The store does not answer at the moment; the same may work later."""


class Closed(StoreError):
    """The store was closed, or failed in a way that it cannot go on from."""


class Store(Protocol):
    """A revisioned key-value store. All methods may be called from many tasks of one event loop."""

    @property
    def shared(self) -> bool:
        """Whether other processes may use the store as well."""
        ...

    @property
    def trouble(self) -> str:
        """Why the store does not answer at the moment, as far as is known; empty if it does."""
        ...

    async def revision(self) -> int:
        """The revision of the last durable transaction."""
        ...

    async def get(self, key: str, revision: int = 0) -> KeyValue | None:
        """A key as it is now, or as it was at ``revision``.

        Raises:
            Compacted: ``revision`` is no longer kept.
            FutureRevision: ``revision`` has not happened yet.
        """
        ...

    async def list(self, prefix: str, *, revision: int = 0, start_after: str = "", limit: int = 0) -> Page:
        """The keys that begin with ``prefix``, in order, as they are now or were at ``revision``.

        Args:
            prefix: what the keys begin with.
            revision: the snapshot to read; 0 for the newest.
            start_after: only keys that sort after this one.
            limit: at most this many; 0 for all.

        Raises:
            Compacted: ``revision`` is no longer kept.
            FutureRevision: ``revision`` has not happened yet.
        """
        ...

    async def transact(self, compares: Sequence[Compare], changes: Sequence[Change]) -> int:
        """Do all ``changes`` at one new revision if every compare holds, and nothing otherwise.

        Returns once the changes are durable: a crash after that does not lose them. A key may be
        changed only once in a transaction.

        Returns:
            The revision the changes got; the current one if they changed nothing.

        Raises:
            Conflict: a compare did not hold.
        """
        ...

    def watch(self, prefix: str, after: int) -> AsyncIterator[Events]:
        """Every change with a revision above ``after`` to a key that begins with ``prefix``.

        Changes come in order, once each, in batches, and only once they are durable. The events of
        one transaction are always in the same batch.

        Raises:
            Compacted: changes after ``after`` are no longer all kept; raised by the first step.
            Closed: the store was closed.
        """
        ...

    async def compact(self, revision: int) -> None:
        """Forget how keys were before ``revision``. What is current at ``revision`` stays readable."""
        ...

    async def close(self) -> None:
        """Finish what was begun and release the store. Watches end with ``Closed``."""
        ...
