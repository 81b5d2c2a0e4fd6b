"""Snapshots: what was saved comes back, in a store of either kind, and nobody is told a wrong history."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusterip.storage.etcd.endpoints import Tls
from clusterip.storage.etcd.login import User
from clusterip.storage.etcd.store import EtcdStore
from clusterip.storage.keys import SERVERS, STATE
from clusterip.storage.open import open_store
from clusterip.storage.snapshot import BUMP, operations
from clusterip.storage.snapshot import etcd as etcd_snapshot
from clusterip.storage.snapshot.file import SnapshotError
from clusterip.storage.store import (
    Compacted,
    Compare,
    Conflict,
    Delete,
    FutureRevision,
    KeyValue,
    Put,
    Store,
    StoreError,
)
from tests.support.etcd import Etcd, running_etcd

NOBODY = (Tls(), User())
KINDS = ("sqlite", "etcd")


@pytest.fixture
def url_of(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """``url_of("etcd")`` is the URL of a store that nobody has used."""
    count = 0
    with contextlib.ExitStack() as stack:

        def make(kind: str) -> str:
            nonlocal count
            count += 1
            if kind == "sqlite":
                return f"sqlite://{tmp_path}/{count}/store.db"
            etcd = stack.enter_context(running_etcd(tmp_path / f"etcd-{count}"))
            return f"etcd://{etcd.endpoint}"

        yield make


async def _fill(store: Store) -> dict[str, bytes]:
    """Some history: keys that were changed, deleted, created again, and large ones."""
    for n in range(300):
        await store.transact((), [Put(f"/registry/configmaps/default/c{n:03}", b"x" * n)])
    for n in range(0, 300, 3):
        await store.transact((), [Put(f"/registry/configmaps/default/c{n:03}", b"changed")])
    for n in range(0, 300, 7):
        await store.transact((), [Delete(f"/registry/configmaps/default/c{n:03}")])
    for n in range(3):
        await store.transact((), [Put(f"/registry/secrets/default/s{n}", os.urandom(900_000))])
    await store.transact((), [Put("/registry/services/default/ü", "größe".encode())])
    return await _contents(store)


async def _contents(store: Store) -> dict[str, bytes]:
    items = (await store.list("/registry/")).items
    return {item.key: item.value for item in items if item.key != STATE}


async def _saved(url: str, path: Path) -> tuple[dict[str, bytes], int]:
    """Fill a store and save it; what was in it, and its revision."""
    store = await open_store(url)
    try:
        contents = await _fill(store)
        revision = await store.revision()
        if url.startswith("sqlite"):
            assert await operations.save(url, path, *NOBODY) == len(contents)  # while it is in use
    finally:
        await store.close()
    if url.startswith("etcd"):
        assert await operations.save(url, path, *NOBODY) == len(contents)
    return contents, revision


@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("source", KINDS)
async def test_everything_comes_back(
    source: str, target: str, url_of: Callable[[str], str], tmp_path: Path
) -> None:
    path = tmp_path / "snapshot"
    contents, revision = await _saved(url_of(source), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = operations.status(path)
    assert (found.keys, found.header.revision, found.header.source) == (len(contents), revision, source)
    assert found.resources == {"configmaps": 257, "secrets": 3, "services": 1}

    url = url_of(target)
    count, reached = await operations.restore(path, url, *NOBODY)
    assert (count, reached > revision + BUMP - 1) == (len(contents), True)
    store = await open_store(url)
    try:
        assert await _contents(store) == contents
        await _goes_on(store, revision)
    finally:
        await store.close()


async def _goes_on(store: Store, before: int) -> None:
    """After a restore: what is from before ``before`` is said to be gone, what comes is told."""
    newest = await store.revision()
    assert newest >= before + BUMP
    for old in (1, before, before + 1000):
        with pytest.raises(Compacted) as error:
            await asyncio.wait_for(anext(store.watch("/", old)), 10)
        assert before < error.value.revision <= newest
        with pytest.raises(Compacted):
            await store.get("/registry/secrets/default/s1", old)
        with pytest.raises(Compacted):
            await store.list("/registry/", revision=old)
    with pytest.raises(FutureRevision):
        await store.get("/registry/secrets/default/s1", newest + 1000)
    item = await store.get("/registry/services/default/ü")
    assert item is not None
    watch = store.watch("/registry/", newest)
    with pytest.raises(Conflict) as conflict:
        await store.transact([Compare(item.key, before + 1000)], [Put(item.key, b"lost")])
    assert conflict.value.current == item
    changed = await store.transact([Compare(item.key, item.mod_revision)], [Put(item.key, b"new")])
    (event,) = await asyncio.wait_for(anext(watch), 10)
    assert (event.revision, event.value, event.previous) == (changed, b"new", item)
    assert changed > newest
    assert await store.get(item.key, newest) == item
    await store.compact(changed)
    with pytest.raises(Compacted):
        await store.get(item.key, newest)


@pytest.mark.parametrize("kind", KINDS)
async def test_restoring_into_a_store_that_has_gone_on(
    kind: str, url_of: Callable[[str], str], tmp_path: Path
) -> None:
    """As after a mistake: what came after the snapshot is gone, and its revisions are not used again."""
    url, path = url_of(kind), tmp_path / "snapshot"
    contents, revision = await _saved(url, path)
    for _ in range(2):  # a second time from the shifted revisions of the first
        store = await open_store(url)
        await store.transact((), [Put("/registry/services/default/later", b"")])
        later = await store.transact((), [Delete("/registry/secrets/default/s1")])
        await store.close()
        _, reached = await operations.restore(path, url, *NOBODY)
        assert reached > later > revision
        store = await open_store(url)
        assert await _contents(store) == contents
        with pytest.raises(Compacted):
            await asyncio.wait_for(anext(store.watch("/", later)), 10)
        await store.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_snapshot_shows_one_moment(kind: str, url_of: Callable[[str], str], tmp_path: Path) -> None:
    url, path = url_of(kind), tmp_path / "snapshot"
    store = await open_store(url)
    try:
        for n in range(0, 3000, 100):
            await store.transact((), [Put(f"/registry/a/{n + i:05}", b"x" * 200) for i in range(100)])
        stop = asyncio.Event()

        async def write(writer: int) -> None:
            n = 0
            while not stop.is_set():
                # The first and the last key of the listing are written together.
                pair = [Put(f"/registry/{side}/{writer}", b"%d" % n) for side in ("0", "z")]
                await store.transact((), pair)
                n += 1

        writers = [asyncio.create_task(write(n)) for n in range(4)]
        for _ in range(5):
            await operations.save(url, path, *NOBODY)
            other = f"sqlite://{tmp_path}/other.db"
            await operations.restore(path, other, *NOBODY)
            restored = await open_store(other)
            contents = await _contents(restored)
            await restored.close()
            for writer in range(4):
                assert contents.get(f"/registry/0/{writer}") == contents.get(f"/registry/z/{writer}")
        stop.set()
        await asyncio.gather(*writers)
    finally:
        await store.close()


@pytest.mark.parametrize("change", ["a bit", "the end", "the checksum", "all"])
async def test_a_damaged_file_is_refused_and_changes_nothing(
    change: str, url_of: Callable[[str], str], tmp_path: Path
) -> None:
    url, path = url_of("sqlite"), tmp_path / "snapshot"
    contents, _ = await _saved(url, path)
    data = bytearray(path.read_bytes())
    if change == "a bit":
        data[len(data) // 2] ^= 1
    elif change == "the end":
        del data[-100:]
    elif change == "the checksum":
        data[-1] ^= 1
    else:
        data[:] = b"SQLite format 3\0" + bytes(100)
    path.write_bytes(data)
    with pytest.raises(SnapshotError, match=r"damaged or incomplete|is no snapshot"):
        await operations.restore(path, url, *NOBODY)
    with pytest.raises(SnapshotError):
        operations.status(path)
    store = await open_store(url)
    assert await _contents(store) == contents
    await store.close()


async def test_what_cannot_be_done_is_said(url_of: Callable[[str], str], tmp_path: Path) -> None:
    url, path = url_of("sqlite"), tmp_path / "snapshot"
    with pytest.raises(StoreError, match="there is no store at"):
        await operations.save(url, path, *NOBODY)
    await _saved(url, path)
    with pytest.raises(SnapshotError, match=r"cannot write .*No such file or directory"):
        await operations.save(url, tmp_path / "none" / "snapshot", *NOBODY)
    with pytest.raises(SnapshotError, match=r"cannot read .*No such file or directory"):
        await operations.restore(tmp_path / "none", url, *NOBODY)
    store = await open_store(url)
    with pytest.raises(StoreError, match="in use by another process"):
        await operations.restore(path, url, *NOBODY)
    await store.close()
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="If it is damaged, move it away"):
        await operations.restore(path, f"sqlite://{broken}", *NOBODY)
    assert [name for name in os.listdir(tmp_path) if "snapshot" in name] == ["snapshot"]


async def test_an_etcd_that_a_server_uses_is_left_alone(
    etcd: Etcd, url_of: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(etcd_snapshot, "QUIET_SECONDS", 1.0)
    path = tmp_path / "snapshot"
    contents, _ = await _saved(url_of("sqlite"), path)
    url = f"etcd://{etcd.endpoint}"
    store = await EtcdStore.open(url)
    key = Put(f"{SERVERS}10.0.0.1:6443", b"")
    await store.transact((), [key, Put("/registry/mine", b"")])
    alive = asyncio.create_task(_renew(store, key))
    try:
        with pytest.raises(StoreError, match=r"the API server at 10\.0\.0\.1:6443 uses this etcd"):
            await operations.restore(path, url, *NOBODY)
        assert await store.get("/registry/mine") is not None
    finally:
        alive.cancel()
        await asyncio.wait((alive,))
    # One that was killed has left its key, but it is silent.
    await operations.restore(path, url, *NOBODY)
    assert set(await _contents(store)) == contents.keys()
    await store.transact((), [Delete(STATE)])
    await store.close()


async def test_a_server_that_is_started_meanwhile_is_noticed(etcd: Etcd) -> None:
    url, key = f"etcd://{etcd.endpoint}", f"{SERVERS}10.0.0.9:6443"
    item = KeyValue("/registry/configmaps/default/c", b"{}", 1, 1)

    def items() -> Iterator[KeyValue]:
        etcd.ask("/v3/kv/put", key=base64.b64encode(key.encode()).decode())
        yield item

    with pytest.raises(StoreError, match=r"10\.0\.0\.9:6443 was started meanwhile"):
        await etcd_snapshot.restore(url, *NOBODY, "saved", 7, items())
    with pytest.raises(StoreError, match=r"restoring the snapshot saved .* do it again"):
        await open_store(url)
    store = await EtcdStore.open(url)
    try:
        await store.transact((), [Delete(key)])
        await etcd_snapshot.restore(url, *NOBODY, "saved", 7, [item])
        assert await _contents(store) == {item.key: b"{}"}
    finally:
        await store.transact((), [Delete(STATE)])
        await store.close()


async def _renew(store: Store, key: Put) -> None:
    while True:
        await store.transact((), [key])
        await asyncio.sleep(0.1)


async def test_a_restore_that_was_killed_can_be_done_again(
    url_of: Callable[[str], str], tmp_path: Path
) -> None:
    path = tmp_path / "snapshot"
    source = url_of("sqlite")
    store = await open_store(source)
    for n in range(0, 20_000, 500):
        await store.transact((), [Put(f"/registry/a/{n + i:05}", b"x" * 500) for i in range(500)])
    contents, revision = await _contents(store), await store.revision()
    await store.close()
    await operations.save(source, path, *NOBODY)

    url = url_of("etcd")
    script = (
        "import asyncio, sys; from pathlib import Path; "
        "from clusterip.storage.etcd.endpoints import Tls; from clusterip.storage.etcd.login import User; "
        "from clusterip.storage.snapshot import operations; "
        "asyncio.run(operations.restore(Path(sys.argv[1]), sys.argv[2], Tls(), User()))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(path), url)
    watching = await EtcdStore.open(url)
    written = 0
    async for events in watching.watch("/registry/a/", 1):
        written += len(events)
        if written > 500:
            process.kill()
            break
    await process.wait()
    assert 500 < len((await watching.list("/registry/a/")).items) < len(contents)
    await watching.close()
    with pytest.raises(StoreError, match=r"restoring the snapshot .*snapshot into etcd.* do it again"):
        await open_store(url)
    _, reached = await operations.restore(path, url, *NOBODY)
    assert reached >= revision + BUMP
    store = await open_store(url)
    assert await _contents(store) == contents
    await store.close()
