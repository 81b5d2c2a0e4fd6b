"""The stores that the suite runs against. Every one of them has to pass all of ``test_store.py``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from clusterip.storage.open import open_store
from clusterip.storage.shifted import ShiftedStore
from clusterip.storage.store import Delete, Store
from tests.support.etcd import Etcd, running_etcd


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """An etcd that tests share, one after the other."""
    with running_etcd(tmp_path_factory.mktemp("etcd")) as running:
        yield running


async def _open_sqlite(request: pytest.FixtureRequest) -> Store:
    return await open_store(f"sqlite://{request.getfixturevalue('tmp_path')}/store.db")


async def _open_etcd(request: pytest.FixtureRequest) -> Store:
    etcd: Etcd = request.getfixturevalue("etcd")
    store = await open_store(f"etcd://{etcd.endpoint}")
    items = (await store.list("")).items
    for start in range(0, len(items), 1000):
        await store.transact((), [Delete(item.key) for item in items[start : start + 1000]])
    return store


async def _open_shifted(request: pytest.FixtureRequest) -> Store:
    """As an etcd is used that a snapshot was restored into."""
    return ShiftedStore(await _open_sqlite(request), 1_000_000)


@pytest.fixture(params=[_open_sqlite, _open_etcd, _open_shifted], ids=["sqlite", "etcd", "shifted"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """An empty store of each kind."""
    async with AsyncExitStack() as stack:
        opened: Store = await request.param(request)
        stack.push_async_callback(opened.close)
        yield opened
