"""The stores that the suite runs against. Every one of them has to pass all of ``test_store.py``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from clusterip.storage.open import open_store
from clusterip.storage.store import Store

Opener = Callable[[], Awaitable[Store]]


async def _open_sqlite(directory: Path, number: int) -> Store:
    return await open_store(f"sqlite://{directory}/{number}/store.db")


@pytest.fixture(params=[_open_sqlite])
async def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opener]:
    """Opens empty stores of one kind, which are closed after the test."""
    async with AsyncExitStack() as stack:
        count = 0

        async def opener() -> Store:
            nonlocal count
            count += 1
            store: Store = await request.param(tmp_path, count)
            stack.push_async_callback(store.close)
            return store

        yield opener


@pytest.fixture
async def store(new_store: Opener) -> Store:
    return await new_store()
