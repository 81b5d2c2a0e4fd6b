"""The watch cache on a real store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from clusterip.apiserver import cache as cache_module
from clusterip.apiserver import resource_cache
from clusterip.apiserver.cache import WatchCache, key_of
from clusterip.apiserver.encoding import ObjectEncoder
from clusterip.apiserver.selection import Selection
from clusterip.apiserver.status import StatusError
from clusterip.apiserver.watching import Watcher
from clusterip.objects.codec import encode
from clusterip.objects.core.configmap import CONFIGMAPS, ConfigMap
from clusterip.objects.meta import ObjectMeta
from clusterip.storage.sqlite import SQLiteStore
from clusterip.storage.store import Delete, Put


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    opened = await SQLiteStore.open(tmp_path / "db")
    yield opened
    await opened.close()


@asynccontextmanager
async def running(store: SQLiteStore) -> AsyncIterator[WatchCache]:
    cache = WatchCache(store)
    task = asyncio.create_task(cache.run())
    await cache.ready.wait()
    yield cache
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def put(store: SQLiteStore, name: str, **data: str) -> int:
    obj = ConfigMap(
        kind="ConfigMap", apiVersion="v1", metadata=ObjectMeta(name=name, namespace="n"), data=data
    )
    return await store.transact((), [Put(key_of(CONFIGMAPS, "n", name), encode(obj))])


async def remove(store: SQLiteStore, name: str) -> int:
    return await store.transact((), [Delete(key_of(CONFIGMAPS, "n", name))])


class Heard:
    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.revisions: list[int] = []
        self.ended = False
        self.watcher = Watcher(Selection("n"), ObjectEncoder(CONFIGMAPS), self._hear, self._end)

    def _hear(self, frames: list[bytes]) -> None:
        for frame in frames:
            event = json.loads(frame)
            self.events.append((event["type"], event["object"]["metadata"]["name"]))
            self.revisions.append(int(event["object"]["metadata"]["resourceVersion"]))

    def _end(self) -> None:
        self.ended = True


async def test_reads_see_every_write_before_them(store: SQLiteStore) -> None:
    async with running(store) as cache:
        for i in range(50):
            revision = await put(store, f"c{i}")
            assert await cache.current() >= revision
            entry = cache.of(CONFIGMAPS).get("n", f"c{i}")
            assert entry is not None
            assert entry.revision == revision
        assert [e.name for e in cache.of(CONFIGMAPS).entries("n")] == sorted(f"c{i}" for i in range(50))


async def test_it_starts_with_what_is_stored(store: SQLiteStore) -> None:
    await put(store, "a")
    await put(store, "b")
    await remove(store, "a")
    async with running(store) as cache:
        assert [e.name for e in cache.of(CONFIGMAPS).entries()] == ["b"]


async def test_a_watcher_from_before_the_start_finds_its_place(store: SQLiteStore) -> None:
    start = await put(store, "a")
    await put(store, "b")
    await remove(store, "a")
    async with running(store) as cache:
        heard = Heard()
        await cache.watch(CONFIGMAPS, heard.watcher, start)
        assert heard.events == [("ADDED", "b"), ("DELETED", "a")]


async def test_what_memory_has_forgotten_is_read_from_the_store(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource_cache, "HISTORY", 5)
    async with running(store) as cache:
        start = await put(store, "first")
        for i in range(30):
            await put(store, f"c{i}")
        await cache.current()
        assert cache.of(CONFIGMAPS).forgotten > start
        heard = Heard()
        catching_up = asyncio.create_task(cache.watch(CONFIGMAPS, heard.watcher, start))
        for i in range(30, 60):
            await put(store, f"c{i}")
        await catching_up
        await cache.current()
        assert heard.events == [("ADDED", f"c{i}") for i in range(60)]
        assert heard.revisions == sorted(set(heard.revisions))


async def test_what_the_store_has_forgotten_is_gone(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource_cache, "HISTORY", 5)
    async with running(store) as cache:
        start = await put(store, "a")
        for i in range(20):
            await put(store, "a", i=str(i))
        await cache.current()
        await store.compact(await store.revision())
        with pytest.raises(StatusError) as raised:
            await cache.watch(CONFIGMAPS, Heard().watcher, start)
        assert (raised.value.status.code, raised.value.status.reason) == (410, "Expired")


async def test_a_revision_that_does_not_come(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "FRESH_SECONDS", 0.05)
    async with running(store) as cache:
        with pytest.raises(StatusError) as raised:
            await cache.reach(cache.revision + 100)
        assert raised.value.status.code == 504


async def test_keys_of_no_resource_are_kept_apart(store: SQLiteStore) -> None:
    async with running(store) as cache:
        await store.transact((), [Put("/registry/nodeports/30000", b"{}")])
        await cache.current()
        assert "nodeports/30000" in cache.extra
        await store.transact((), [Delete("/registry/nodeports/30000")])
        await cache.current()
        assert "nodeports/30000" not in cache.extra


async def test_watchers_end_with_the_cache(store: SQLiteStore) -> None:
    heard = Heard()
    async with running(store) as cache:
        await cache.watch(CONFIGMAPS, heard.watcher, cache.revision)
    assert heard.ended


async def test_a_young_store_may_have_been_compacted(store: SQLiteStore) -> None:
    await put(store, "a", v="1")
    newest = await put(store, "a", v="2")
    await store.compact(newest)
    async with asyncio.timeout(10), running(store) as cache:
        entry = cache.of(CONFIGMAPS).get("n", "a")
        assert entry is not None
        assert entry.revision == newest
