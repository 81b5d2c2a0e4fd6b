"""The watch cache: the whole store in memory, and everyone who watches it.

One watch of the store feeds all resources, so the cache's revision is the store's as soon as the last
transaction has been seen, whatever it changed. A consistent read therefore waits until the cache has
reached the store's revision and is then answered from memory (upstream's "consistent reads from
cache", without its progress notifications).

At start the cache loads the store as it was a little while ago and replays what came since, so that
watchers from before a restart find their place again.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from clusterip.apiserver import status
from clusterip.apiserver.entry import Entry
from clusterip.apiserver.resource_cache import HISTORY, ResourceCache
from clusterip.apiserver.watching import Change, Watcher
from clusterip.objects import times
from clusterip.objects.registry import Resource, resources
from clusterip.process import log
from clusterip.storage import keys
from clusterip.storage.store import Closed, Compacted, Event, KeyValue, Put, Store, StoreError

PREFIX = keys.PREFIX
MARKER = PREFIX + "apiserver-started"
BOOKMARK_SECONDS = 60.0
BOOKMARKS_AT_ONCE = 50
FRESH_SECONDS = 3.0
"""How long a read waits for a resource version that has not been seen yet (as upstream)."""
RETRY_SECONDS = 1.0
NUDGE_SECONDS = 0.2
"""How long the store's newest change may stay unseen until it is taken to be none of ours."""

_log = log.get("apiserver")


def key_of(resource: Resource[Any], namespace: str, name: str) -> str:
    """Where the store keeps an object."""
    if resource.namespaced:
        return f"{PREFIX}{resource.stored.group_resource}/{namespace}/{name}"
    return f"{PREFIX}{resource.stored.group_resource}/{name}"


class WatchCache:
    """All resources' caches, fed by one watch of the store.

    Keys that belong to no resource (such as reserved node ports) are kept as ``extra``: what comes
    after the prefix -> the revision that wrote it.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.revision = 0
        self.extra: dict[str, int] = {}
        self._on_extra: list[tuple[str, Callable[[str], None]]] = []
        self.ready = asyncio.Event()
        self.failure = "the watch cache is not loaded yet"
        self._caches = {r.group_resource: ResourceCache(r) for r in resources()}
        self._views: dict[str, list[str]] = {}
        for each in resources():
            if each.view is not None:
                self._views.setdefault(each.stored.group_resource, []).append(each.group_resource)
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._waits = 0
        self._nudge = asyncio.Event()

    def of(self, resource: Resource[Any]) -> ResourceCache:
        return self._caches[resource.group_resource]

    def on_extra(self, prefix: str, changed: Callable[[str], None]) -> None:
        """Have ``changed(key)`` called when a key of ``extra`` with that prefix was written or deleted."""
        self._on_extra.append((prefix, changed))

    def counts(self) -> Iterator[tuple[Resource[Any], int]]:
        """How many objects there are of each resource."""
        for cache in self._caches.values():
            if cache.resource.view is None:
                yield cache.resource, len(cache)

    async def run(self) -> None:
        """Load and follow the store until cancelled; starts over if the store has forgotten the place."""
        background = [asyncio.create_task(each) for each in (self._bookmark(), self._nudged())]
        try:
            await self._load()
            while True:
                try:
                    await self._follow()
                except Compacted:
                    _log.warning("the store was compacted past the watch cache; loading it anew")
                self.ready.clear()
                self.failure = "the watch cache is being loaded anew"
                self._drop_watchers()
                await self._load_again()
        finally:
            for task in background:
                task.cancel()
            self._drop_watchers()

    async def _load_again(self) -> None:
        """Load as soon as the store lets us: requests that need it are refused until then."""
        while True:
            try:
                return await self._load()
            except Closed:
                raise
            except StoreError as error:
                _log.warning("cannot load the watch cache", error=str(error))
                self.failure = f"the watch cache cannot be loaded: {error}"
            await asyncio.sleep(RETRY_SECONDS)

    async def _load(self) -> None:
        self._caches = {name: ResourceCache(c.resource) for name, c in self._caches.items()}
        self.extra.clear()
        # A change of our own, so that the watch surely comes to a point known to be the present.
        newest = await self._mark()
        start = max(1, newest - HISTORY)
        try:
            items = (await self.store.list(PREFIX, revision=start)).items
        except Compacted as compacted:
            start = compacted.revision
            items = (await self.store.list(PREFIX, revision=start)).items
        for cache in self._caches.values():
            cache.forgotten = start
        for item in items:
            self._load_item(item)
        self.revision = start
        self._target = newest
        self._reached()

    async def _mark(self) -> int:
        return await self.store.transact((), (Put(MARKER, times.now().encode()),))

    def _load_item(self, item: KeyValue) -> None:
        cache, namespace, name = self._place(item.key)
        if cache is None:
            self.extra[item.key[len(PREFIX) :]] = item.mod_revision
            return
        for each in self._with_views(cache):
            entry = Entry(each.resource, namespace, name, item.mod_revision, item.value)
            each.namespaces.setdefault(namespace, {})[name] = entry

    def _with_views(self, cache: ResourceCache) -> list[ResourceCache]:
        """A cache, and those of the resources that show the same objects."""
        views = self._views.get(cache.resource.group_resource)
        return [cache, *(self._caches[name] for name in views)] if views else [cache]

    async def _follow(self) -> None:
        async for events in self.store.watch(PREFIX, self.revision):
            self._apply(events)

    def _place(self, key: str) -> tuple[ResourceCache | None, str, str]:
        parts = key[len(PREFIX) :].split("/", 2)
        cache = self._caches.get(parts[0])
        if cache is None:
            return None, "", ""
        if cache.resource.namespaced:
            return (cache, parts[1], parts[2]) if len(parts) == 3 else (None, "", "")
        return cache, "", parts[1]

    def _apply(self, events: Sequence[Event]) -> None:
        changes: dict[ResourceCache, list[Change]] = {}
        for event in events:
            cache, namespace, name = self._place(event.key)
            if cache is not None:
                for each in self._with_views(cache):
                    change = each.apply(namespace, name, event)
                    if change is not None:
                        changes.setdefault(each, []).append(change)
            else:
                self._apply_extra(event)
        if events:
            self.revision = events[-1].revision
        self._reached()
        for cache, changed in changes.items():
            for watcher in cache.watchers.concerned(changed):
                watcher.deliver(changed)
            for change in changed:
                change.frames.clear()  # only worth keeping while many watchers are told the same

    def _apply_extra(self, event: Event) -> None:
        key = event.key[len(PREFIX) :]
        if event.type == "PUT":
            self.extra[key] = event.revision
        else:
            self.extra.pop(key, None)
        for prefix, changed in self._on_extra:
            if key.startswith(prefix):
                changed(key)

    def _reached(self) -> None:
        if not self.ready.is_set() and self.revision >= self._target:
            self.failure = ""
            self.ready.set()
        waiting = self._waiting
        while waiting and waiting[0][0] <= self.revision:
            future = heapq.heappop(waiting)[2]
            if not future.done():
                future.set_result(None)

    async def reach(self, revision: int) -> None:
        """Wait until every change up to ``revision`` has been taken in.

        Raises:
            StatusError: 504, that revision did not come in time.
        """
        if self.revision >= revision and self.ready.is_set():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waits += 1
        heapq.heappush(self._waiting, (revision, self._waits, future))
        try:
            async with asyncio.timeout(FRESH_SECONDS):
                await future
        except TimeoutError:
            raise status.too_large_version(revision, self.revision) from None

    async def current(self) -> int:
        """Wait until the cache holds everything that was written before this call; its revision."""
        newest = await self.store.revision()
        if self.revision < newest or not self.ready.is_set():
            nudge = asyncio.get_running_loop().call_later(NUDGE_SECONDS, self._nudge.set)
            try:
                await self.reach(newest)
            finally:
                nudge.cancel()
        return self.revision

    async def _nudged(self) -> None:
        """Write something when others' keys took the store's revision past what the watch can tell."""
        while True:
            await self._nudge.wait()
            self._nudge.clear()
            if self.ready.is_set():
                with contextlib.suppress(StoreError):  # whoever waits is told that it took too long
                    await self._mark()

    async def watch(self, resource: Resource[Any], watcher: Watcher, after: int) -> None:
        """Let ``watcher`` see every change after ``after``, from history if need be, then live.

        Raises:
            StatusError: 410, the changes after ``after`` are no longer all kept.
        """
        cache = self.of(resource)
        watcher.revision = after
        if after >= cache.forgotten:
            watcher.deliver(cache.since(after))
            cache.watchers.add(watcher)
            return
        upto = self.revision
        watcher.pending = []
        cache.watchers.add(watcher)
        try:
            missed = await self._replay(resource, after, upto)
        except Compacted as compacted:
            cache.watchers.discard(watcher)
            raise status.gone_version(after, compacted.revision) from None
        pending, watcher.pending = watcher.pending, None
        watcher.deliver(missed)
        watcher.revision = max(watcher.revision, upto)
        watcher.deliver(pending)

    async def _replay(self, resource: Resource[Any], after: int, upto: int) -> list[Change]:
        """The changes of a resource in ``(after, upto]``, read from the store."""
        missed: list[Change] = []
        batches = self.store.watch(PREFIX, after)
        async with contextlib.aclosing(batches) as events_of:  # type: ignore[type-var]
            async for events in events_of:
                missed.extend(self._missed(resource, events, upto))
                if events and events[-1].revision >= upto:
                    break
        return missed

    def _missed(self, resource: Resource[Any], events: Sequence[Event], upto: int) -> Iterator[Change]:
        for event in events:
            cache, namespace, name = self._place(event.key)
            if event.revision > upto or cache is None or cache.resource is not resource.stored:
                continue
            old = event.previous
            previous = Entry(resource, namespace, name, old.mod_revision, old.value) if old else None
            entry = Entry(resource, namespace, name, event.revision, event.value)
            yield Change(entry, previous, deleted=event.type == "DELETE")

    def unwatch(self, resource: Resource[Any], watcher: Watcher) -> None:
        self.of(resource).watchers.discard(watcher)

    def _drop_watchers(self) -> None:
        for cache in self._caches.values():
            for watcher in cache.watchers:
                watcher.close()
            cache.watchers.clear()

    async def _bookmark(self) -> None:
        """Tell watchers who asked for it, once a minute, how far they have got."""
        while True:
            await asyncio.sleep(BOOKMARK_SECONDS)
            for cache in tuple(self._caches.values()):
                for number, watcher in enumerate(cache.watchers):
                    if number % BOOKMARKS_AT_ONCE == 0:
                        await asyncio.sleep(0)  # thousands are no reason to keep others waiting
                    if watcher.bookmarks and watcher.pending is None and watcher in cache.watchers:
                        watcher.bookmark(self.revision)
