"""API servers that notice each other through the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from clusterip.apiserver.cache import PREFIX, WatchCache
from clusterip.apiserver.peers import KEYS, Peers, Server
from clusterip.storage.open import open_store
from tests.support.etcd import Etcd, running_etcd

RENEW, GONE = 0.1, 1.0
"""Seconds: ten renewals may get lost before a server counts as gone, however busy the machine is."""


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    with running_etcd(tmp_path) as running:
        yield running


@asynccontextmanager
async def server(url: str, address: str) -> AsyncIterator[tuple[Peers, asyncio.Task[None], asyncio.Event]]:
    """What one API server has to do with its peers; the task is what renews."""
    store = await open_store(url)
    cache = WatchCache(store)
    following = asyncio.create_task(cache.run())
    await cache.ready.wait()
    changed = asyncio.Event()
    peers = Peers(cache, Server(address, 6443), changed, renew_seconds=RENEW, gone_seconds=GONE)
    await peers.renew()
    renewing = asyncio.create_task(_renew(peers))
    try:
        yield peers, renewing, changed
    finally:
        for task in (renewing, following):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await store.close()


async def _renew(peers: Peers) -> None:
    while True:
        await peers.round()


def _addresses(peers: Peers) -> list[str]:
    return [each.address for each in peers.servers()]


async def _until(peers: Peers, changed: asyncio.Event, addresses: list[str]) -> None:
    async with asyncio.timeout(20):
        while _addresses(peers) != addresses:
            changed.clear()
            await changed.wait()


async def test_they_find_each_other_and_notice_who_stops_and_who_is_killed(etcd: Etcd) -> None:
    url = f"etcd://{etcd.endpoint}"
    async with AsyncExitStack() as stack:
        one, _, one_changed = await stack.enter_async_context(server(url, "10.0.0.1"))
        two, two_renewing, two_changed = await stack.enter_async_context(server(url, "10.0.0.2"))
        three, three_renewing, _ = await stack.enter_async_context(server(url, "10.0.0.3"))
        await _until(one, one_changed, ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
        await _until(two, two_changed, ["10.0.0.1", "10.0.0.2", "10.0.0.3"])

        two_renewing.cancel()
        assert await two.leave()
        assert _addresses(two) in (["10.0.0.1", "10.0.0.3"], ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
        await _until(one, one_changed, ["10.0.0.1", "10.0.0.3"])

        three_renewing.cancel()  # as if killed: nobody says goodbye
        await _until(one, one_changed, ["10.0.0.1"])
        assert _addresses(three)[-1] == "10.0.0.3"  # itself it would count as soon as it is back
        await three.renew()
        await _until(one, one_changed, ["10.0.0.1", "10.0.0.3"])


async def test_an_outage_of_the_store_makes_nobody_count_as_gone(etcd: Etcd) -> None:
    url = f"etcd://{etcd.endpoint}"
    async with server(url, "10.0.0.1") as (one, _, changed), server(url, "10.0.0.2") as (two, renewing, _):
        await _until(one, changed, ["10.0.0.1", "10.0.0.2"])
        both = set(_addresses(one))
        etcd.kill()
        await asyncio.sleep(2 * GONE)
        await asyncio.to_thread(etcd.start)
        store = await open_store(url)
        try:
            start = await store.revision()
            renewals = 0
            async for events in store.watch(f"{PREFIX}{KEYS}", start):
                assert {event.type for event in events} == {"PUT"}  # nobody was removed
                renewals += len(events)
                if renewals > 30:
                    break
        finally:
            await store.close()
        assert set(_addresses(one)) == set(_addresses(two)) == both
        assert not renewing.done()


async def test_a_store_that_is_not_shared_has_one_server(tmp_path: Path) -> None:
    async with server(f"sqlite://{tmp_path}/db", "10.0.0.1") as (peers, _, _):
        assert _addresses(peers) == ["10.0.0.1"]
        assert not await peers.leave()
