"""What is particular to the SQLite store."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusterip.storage.compaction import compact_periodically
from clusterip.storage.open import open_store
from clusterip.storage.sqlite import SQLiteStore
from clusterip.storage.sqlite_database import Reader, Transaction, Writer
from clusterip.storage.store import Compacted, Delete, Event, Put, StoreError


async def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    store = await SQLiteStore.open(tmp_path / "store.db")
    revision = await store.transact([], [Put("/a", b"1")])
    before = await store.list("/")
    await store.close()
    store = await SQLiteStore.open(tmp_path / "store.db")
    assert await store.list("/") == before
    assert await store.transact([], [Put("/a", b"2")]) == revision + 1
    await store.close()


async def test_the_revision_survives_compaction_of_its_last_change(tmp_path: Path) -> None:
    store = await SQLiteStore.open(tmp_path / "store.db")
    await store.transact([], [Put("/a", b"1")])
    revision = await store.transact([], [Delete("/a")])
    await store.compact(revision)
    await store.close()
    store = await SQLiteStore.open(tmp_path / "store.db")
    assert await store.revision() == revision
    with pytest.raises(Compacted):
        await store.list("/", revision=revision - 1)
    await store.close()


async def test_commits_are_synced_and_logged_ahead(tmp_path: Path) -> None:
    store = await SQLiteStore.open(tmp_path / "store.db")
    connection = store._writer._connection
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    await store.close()


async def test_transactions_that_arrive_together_share_a_commit(tmp_path: Path) -> None:
    store = await SQLiteStore.open(tmp_path / "store.db")
    groups: list[int] = []
    commit = store._writer.commit

    def count(transactions: list[Transaction]) -> object:
        groups.append(len(transactions))
        return commit(transactions)

    store._writer.commit = count  # type: ignore[method-assign, assignment]
    await asyncio.gather(*(store.transact([], [Put(f"/{n}", b"")]) for n in range(32)))
    assert groups == [32]
    await store.close()


async def test_a_failed_commit_is_reported_and_leaves_no_trace(tmp_path: Path) -> None:
    store = await SQLiteStore.open(tmp_path / "store.db")
    start = await store.transact([], [Put("/a", b"1")])

    async def watch() -> list[Event]:
        return await anext(store.watch("/", start))

    watching = asyncio.create_task(watch())
    connection = store._writer._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")

    results = await asyncio.gather(
        store.transact([], [Put("/a", b"2")]),
        store.transact([], [Put("/big", b"x" * 1_000_000)]),
        return_exceptions=True,
    )
    assert all(isinstance(result, StoreError) and "is full" in str(result) for result in results)
    assert await store.revision() == start
    assert [item.value for item in (await store.list("/")).items] == [b"1"]
    assert not watching.done()

    connection.execute("PRAGMA max_page_count = 100000")
    assert await store.transact([], [Put("/a", b"3")]) == start + 1
    assert [event.value for event in await watching] == [b"3"]
    await store.close()


async def test_only_one_process_has_the_store(tmp_path: Path) -> None:
    store = await SQLiteStore.open(tmp_path / "store.db")
    code = (
        "import asyncio, sys\n"
        "from clusterip.storage.open import open_store\n"
        "asyncio.run(open_store(sys.argv[1]))"
    )
    other = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", code, f"sqlite://{tmp_path}/store.db"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert other.returncode
    assert "is in use by another process" in other.stderr
    await store.close()
    await (await open_store(f"sqlite://{tmp_path}/store.db")).close()


async def test_files_that_are_no_stores(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is not a database, only some text" * 100)
    with pytest.raises(StoreError, match="not a database"):
        await SQLiteStore.open(tmp_path / "text")

    foreign = sqlite3.connect(tmp_path / "foreign")
    foreign.execute("CREATE TABLE theirs (x)")
    foreign.close()
    with pytest.raises(StoreError, match="another program"):
        await SQLiteStore.open(tmp_path / "foreign")

    newer = await SQLiteStore.open(tmp_path / "newer")
    newer._writer._connection.execute("PRAGMA user_version = 99")
    await newer.close()
    with pytest.raises(StoreError, match="store format 99"):
        await SQLiteStore.open(tmp_path / "newer")

    with pytest.raises(StoreError, match="cannot open the store"):
        await SQLiteStore.open(tmp_path / "text" / "below-a-file")


@pytest.mark.parametrize("url", ["mysql://x/y", "store.db", "sqlite://store.db", "sqlite:///", "sqlite:"])
async def test_urls_that_name_no_store(url: str) -> None:
    with pytest.raises(StoreError, match="sqlite:///"):
        await open_store(url)


async def test_an_idle_store_has_no_tasks_and_uses_no_time(tmp_path: Path) -> None:
    store = await SQLiteStore.open(tmp_path / "store.db")
    await store.transact([], [Put("/a", b"1")])
    await store.get("/a")
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    used = time.process_time()
    await asyncio.sleep(0.3)
    assert time.process_time() - used < 0.02
    await store.close()


async def test_compaction_returns_the_space(tmp_path: Path) -> None:
    store = await SQLiteStore.open(tmp_path / "store.db")
    rows = "SELECT count(*) FROM changes"
    for _ in range(5):
        await asyncio.gather(*(store.transact([], [Put(f"/{n}", b"x" * 1000)]) for n in range(300)))
    await store.transact([], [Delete(f"/{n}") for n in range(100)])
    await store.compact(await store.revision())
    assert store._writer._connection.execute(rows).fetchone() == (200,)
    await store.close()


async def test_periodic_compaction_keeps_one_interval(tmp_path: Path) -> None:
    compacted: asyncio.Queue[int] = asyncio.Queue()

    class Telling(SQLiteStore):
        async def compact(self, revision: int) -> None:
            await super().compact(revision)
            await compacted.put(revision)

    store = await Telling.open(tmp_path / "store.db")
    first = await store.transact([], [Put("/a", b"1")])
    compacting = asyncio.create_task(compact_periodically(store, interval=0.05))
    await asyncio.sleep(0)
    last = await store.transact([], [Put("/a", b"2")])
    assert await compacted.get() == first
    assert await store.get("/a", first) is not None
    assert await compacted.get() == last
    with pytest.raises(Compacted):
        await store.get("/a", first)
    compacting.cancel()
    await store.close()


KEYS = st.sampled_from(["/a/1", "/a/2", "/b", "/b/1", "/ab"])
CHANGES = st.dictionaries(KEYS, st.none() | st.binary(max_size=3), max_size=4)


@given(
    transactions=st.lists(CHANGES, max_size=25),
    compactions=st.lists(st.integers(1, 25), max_size=3),
    limit=st.integers(1, 4),
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_kept_revision_reads_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    transactions: list[dict[str, bytes | None]],
    compactions: list[int],
    limit: int,
) -> None:
    """Against a model: a dictionary copied at each revision."""
    path = str(tmp_path_factory.mktemp("model") / "store.db")
    writer, reader = Writer(path), Reader(path)
    state: dict[str, bytes] = {}
    states = {writer.revision: state}
    for changes in transactions:
        asked = [Delete(key) if value is None else Put(key, value) for key, value in changes.items()]
        (outcome,) = writer.commit([Transaction([], asked)]).outcomes
        assert isinstance(outcome, int)
        gone = {key for key, value in changes.items() if value is None}
        puts = {key: value for key, value in changes.items() if value is not None}
        state = {key: value for key, value in state.items() if key not in gone} | puts
        assert (outcome in states) == (states.get(outcome) == state and not puts)
        states[outcome] = state
    for upto in compactions:
        if writer.compacted < upto <= writer.revision:
            writer.compact(upto)
    for revision, state in states.items():
        if revision < writer.compacted:
            with pytest.raises(Compacted):
                reader.page("/", revision, "", 0)
            continue
        for prefix in ("/", "/a/", "/b", "/x"):
            wanted = [(key, value) for key, value in sorted(state.items()) if key.startswith(prefix)]
            found, start = [], ""
            while True:
                page = reader.page(prefix, revision, start, limit)
                found += [(item.key, item.value) for item in page.items]
                assert page.remaining == len(wanted) - len(found)
                if not page.more:
                    break
                start = page.items[-1].key
            assert found == wanted
        replayed = dict(state)
        for event in reader.history("/", revision, writer.revision):
            assert (event.previous.value if event.previous else None) == replayed.get(event.key)
            if event.type == "PUT":
                replayed[event.key] = event.value
            else:
                assert replayed.pop(event.key) == event.value
        assert replayed == states[writer.revision]
    reader.close()
    writer.close()
