"""Snapshots of what this program keeps in an etcd, through the API that it uses anyway.

A restore writes the keys anew, in many transactions. That it has begun, and how far revisions are to be
shifted from then on, is in the key ``STATE``: until it is done, no API server opens the store.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

import msgspec

from clusterip.storage.etcd.endpoints import Tls
from clusterip.storage.etcd.login import User
from clusterip.storage.etcd.store import EtcdStore
from clusterip.storage.keys import PREFIX, SERVERS, STATE
from clusterip.storage.shifted import ShiftedStore
from clusterip.storage.snapshot import BUMP
from clusterip.storage.store import Change, Delete, KeyValue, Put, Store, StoreError

PAGE = 1000
CHANGES = 100
"""How many keys a transaction changes: etcd takes 128 by default,"""
BYTES = 1_000_000
"""and 1.5 MB."""
QUIET_SECONDS = 12.0
"""An API server renews its key every ten seconds."""


class State(msgspec.Struct):
    """What is to be known of an etcd as a whole.

    Attributes:
        shift: how far revisions are told above etcd's own.
        restoring: the snapshot that is being restored, as a person named it; empty if none is.
    """

    shift: int = 0
    restoring: str = ""


async def open_etcd(url: str, tls: Tls, user: User) -> Store:
    """The store as API servers use it. Raises StoreError also if a restore was begun and not finished."""
    store = await EtcdStore.open(url, tls, user)
    try:
        state = await _state(store)
        if state.restoring:
            raise StoreError(
                f"restoring the snapshot {state.restoring} into {url} was begun and not finished: do it again"
            )
    except BaseException:
        await store.close()
        raise
    return ShiftedStore(store, state.shift) if state.shift else store


async def _state(store: Store) -> State:
    found = await store.get(STATE)
    return msgspec.json.decode(found.value, type=State) if found else State()


@contextlib.asynccontextmanager
async def reading(url: str, tls: Tls, user: User) -> AsyncIterator[tuple[int, AsyncIterator[KeyValue]]]:
    """The revision and the keys of the store, as of one moment, whatever is written meanwhile.

    Raises:
        StoreError: the store cannot be read.
        Compacted: reading took so long that the moment was forgotten.
    """
    store = await open_etcd(url, tls, user)
    try:
        revision = await store.revision()
        yield revision, _items(store, revision)
    finally:
        await store.close()


async def _items(store: Store, revision: int) -> AsyncIterator[KeyValue]:
    last = ""
    while True:
        page = await store.list(PREFIX, revision=revision, start_after=last, limit=PAGE)
        for item in page.items:
            if item.key != STATE and not item.key.startswith(SERVERS):
                yield item
        if not page.more:
            return
        last = page.items[-1].key


async def restore(url: str, tls: Tls, user: User, name: str, revision: int, items: Iterable[KeyValue]) -> int:
    """Replace all that this program keeps in etcd by ``items``; the revision it has then.

    Args:
        name: what the snapshot is called, for those who meet a restore that was not finished.
        revision: the snapshot's.

    Raises:
        StoreError: an API server uses this etcd, or it cannot be written.
    """
    store = await EtcdStore.open(url, tls, user)
    try:
        await _nobody_uses(store)
        before = await _state(store)
        newest = await store.revision()
        shift = max(newest + before.shift, revision) + BUMP - newest
        # The shift is kept from the first moment, so that beginning again cannot go back below it.
        await _write(store, [Put(STATE, _encode(State(shift, name)))])
        await _empty(store)
        for changes in _batches(items):
            await _write(store, changes)
        for item in (await store.list(SERVERS)).items:  # all there were have been removed
            server = item.key.removeprefix(SERVERS)
            raise StoreError(f"the API server at {server} was started meanwhile; stop it and restore again")
        reached = await store.transact((), [Put(STATE, _encode(State(shift)))])
        await store.compact(reached)
        return reached + shift
    finally:
        await store.close()


async def _nobody_uses(store: Store) -> None:
    """Raises StoreError if an API server is alive; the keys of those that were killed may be there."""
    page = await store.list(SERVERS)
    if not page.items:
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(QUIET_SECONDS):
            async for events in store.watch(SERVERS, page.revision):
                for event in events:
                    server = event.key.removeprefix(SERVERS)
                    raise StoreError(f"the API server at {server} uses this etcd; stop all API servers first")


async def _empty(store: Store) -> None:
    while True:
        page = await store.list(PREFIX, limit=CHANGES)
        doomed: list[Change] = [Delete(item.key) for item in page.items if item.key != STATE]
        if not doomed:
            return
        await _write(store, doomed)


def _batches(items: Iterable[KeyValue]) -> Iterable[list[Change]]:
    batch: list[Change] = []
    size = 0
    for item in items:
        if batch and (len(batch) == CHANGES or size + len(item.value) > BYTES):
            yield batch
            batch, size = [], 0
        batch.append(Put(item.key, item.value))
        size += len(item.key) + len(item.value)
    if batch:
        yield batch


async def _write(store: Store, changes: list[Change]) -> None:
    await store.transact((), changes)


def _encode(state: State) -> bytes:
    return msgspec.json.encode(state)
