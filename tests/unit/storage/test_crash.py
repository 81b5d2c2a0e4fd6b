"""A store survives ``kill -9``: what it confirmed is there, what it announced is there, nothing is torn."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from clusterip.storage.open import open_store
from clusterip.storage.store import Store
from tests.support.etcd import Etcd, etcd_cluster, running_etcd

WRITER = Path(__file__).with_name("crash_writer.py")

Said = list[tuple[str, str, int]]
"""What the writer said: "acknowledged" or "watched", the key and the revision."""


async def _write_until_killed(
    url: str, lines: int, half_way: Callable[[], Awaitable[None]] | None = None
) -> Said:
    """Let the writer run until it has said so many lines, one of its watcher among them, then kill it.

    Returns what it said.

    ``half_way`` is done when half of the lines have been said, while the writer goes on.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(WRITER), url, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    said = []
    watching = False
    async for line in process.stdout:
        said.append(line)
        if len(said) == lines // 2 and half_way is not None:
            await half_way()
        watching = watching or line.startswith(b"watched")
        if len(said) >= lines and watching and process.returncode is None:
            process.kill()
    await process.wait()
    return [
        (what.decode(), key.decode(), int(revision))
        for what, key, revision in (line.split() for line in said if line.endswith(b"\n"))
    ]


async def _check(store: Store, said: Said, newest: int) -> None:
    """That all of what was said holds, given that the store was at ``newest`` before."""
    assert await store.revision() >= max(revision for _, _, revision in said)
    assert min(revision for _, _, revision in said) > newest
    for what, key, revision in said:
        if key.startswith("-"):
            assert await store.get(key[1:], revision) is None
            assert await store.get(key[1:]) is None
        elif what == "acknowledged":
            there = await store.get(key, revision)
            assert there is not None
            assert (there.mod_revision, there.create_revision) == (revision, revision)
    happened = {
        (event.key, event.revision) for events in [await anext(store.watch("/", newest))] for event in events
    }
    watched = {(key, revision) for what, key, revision in said if what == "watched"}
    assert watched
    assert {pair for pair in watched if pair[1] <= max(r for _, r in happened)} <= happened
    pairs = (await store.list("/pair/")).items
    for a, b in zip(pairs[::2], pairs[1::2], strict=True):
        assert (a.value, a.mod_revision) == (b.value, b.mod_revision)


async def _rounds(url: str, count: int, half_way: Callable[[], Awaitable[None]] | None = None) -> None:
    newest = 0
    for round_ in range(count):
        said = await _write_until_killed(url, 200 + 157 * round_, half_way)
        store = await open_store(url)
        try:
            newest = newest or min(revision for _, _, revision in said) - 1
            await _check(store, said, newest)
            newest = await store.revision()
        finally:
            await store.close()


@pytest.mark.parametrize("kind", ["sqlite", "etcd"])
async def test_the_writer_is_killed(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if kind == "sqlite":
        await _rounds(f"sqlite://{tmp_path}/store.db", 6)
    else:
        etcd: Etcd = request.getfixturevalue("etcd")
        await _rounds(f"etcd://{etcd.endpoint}", 6)


async def test_etcd_is_killed_under_the_writer(tmp_path: Path) -> None:
    with running_etcd(tmp_path) as etcd:

        async def again() -> None:
            etcd.kill()
            await asyncio.to_thread(etcd.start)

        await _rounds(f"etcd://{etcd.endpoint}", 4, again)


async def test_etcd_is_killed_and_the_writer_with_it(tmp_path: Path) -> None:
    """Whoever comes back finds what was confirmed, on every member."""
    with etcd_cluster(tmp_path) as members:
        url = "etcd://" + ",".join(member.endpoint for member in members)
        newest = 0
        for round_ in range(2):
            said = await _write_until_killed(url, 300 + 157 * round_)
            for member in members:
                member.kill()
            for member in members:
                member.spawn()
            for member in members:
                await asyncio.to_thread(member.wait)
            for member in members:
                store = await open_store(f"etcd://{member.endpoint}")
                try:
                    await _check(store, said, newest or min(revision for _, _, revision in said) - 1)
                finally:
                    await store.close()
            newest = max(revision for _, _, revision in said)
