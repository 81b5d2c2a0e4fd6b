"""A store that tells revisions higher by a constant than another one has them.

What an etcd is at cannot be set, so an etcd that a snapshot was restored into is used through this: its
revisions go on above those that the snapshot had, though the etcd may be a new one.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence

from clusterip.storage.store import (
    Change,
    Compacted,
    Compare,
    Conflict,
    Event,
    Events,
    FutureRevision,
    KeyValue,
    Page,
    Store,
)


class ShiftedStore:
    """A ``Store`` whose revisions are those of ``store`` plus ``by``."""

    def __init__(self, store: Store, by: int) -> None:
        self._store = store
        self._by = by

    @property
    def shared(self) -> bool:
        return self._store.shared

    @property
    def trouble(self) -> str:
        return self._store.trouble

    async def revision(self) -> int:
        return await self._store.revision() + self._by

    async def get(self, key: str, revision: int = 0) -> KeyValue | None:
        with self._told(revision):
            found = await self._store.get(key, self._inner(revision))
        return self._shifted(found) if found else None

    async def list(self, prefix: str, *, revision: int = 0, start_after: str = "", limit: int = 0) -> Page:
        with self._told(revision):
            page = await self._store.list(
                prefix, revision=self._inner(revision), start_after=start_after, limit=limit
            )
        items = [self._shifted(item) for item in page.items]
        return Page(items, page.revision + self._by, page.more, page.remaining)

    async def transact(self, compares: Sequence[Compare], changes: Sequence[Change]) -> int:
        # A revision from before the shift becomes one that nothing can have.
        inner = [Compare(c.key, c.mod_revision - self._by if c.mod_revision else 0) for c in compares]
        with self._told(0):
            return await self._store.transact(inner, changes) + self._by

    async def watch(self, prefix: str, after: int) -> AsyncIterator[Events]:
        watching = self._store.watch(prefix, self._inner(after))
        with self._told(after):
            async with contextlib.aclosing(watching) as batches:  # type: ignore[type-var]
                async for events in batches:
                    yield [self._event(event) for event in events]

    async def compact(self, revision: int) -> None:
        if revision > self._by:
            await self._store.compact(revision - self._by)

    async def close(self) -> None:
        await self._store.close()

    def _inner(self, revision: int) -> int:
        """Anything from before the shift is the first revision, which is long compacted."""
        return max(1, revision - self._by) if revision else 0

    def _shifted(self, item: KeyValue) -> KeyValue:
        by = self._by
        return KeyValue(item.key, item.value, item.create_revision + by, item.mod_revision + by)

    def _event(self, event: Event) -> Event:
        previous = self._shifted(event.previous) if event.previous else None
        return Event(event.type, event.key, event.value, event.revision + self._by, previous)

    @contextlib.contextmanager
    def _told(self, wanted: int) -> Iterator[None]:
        """Errors with revisions as they are told outside."""
        try:
            yield
        except Conflict as error:
            raise Conflict(error.key, self._shifted(error.current) if error.current else None) from None
        except Compacted as error:
            raise Compacted(error.revision + self._by) from None
        except FutureRevision as error:
            raise FutureRevision(wanted, error.revision + self._by) from None
