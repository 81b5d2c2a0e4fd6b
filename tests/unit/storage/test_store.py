"""What every store does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from clusterip.storage.store import (
    Closed,
    Compacted,
    Compare,
    Conflict,
    Delete,
    Event,
    FutureRevision,
    KeyValue,
    Put,
    Store,
)


async def put(store: Store, key: str, value: bytes = b"v") -> int:
    return await store.transact([], [Put(key, value)])


async def delete(store: Store, key: str) -> int:
    return await store.transact([], [Delete(key)])


async def keys(store: Store, prefix: str = "/", revision: int = 0) -> list[str]:
    return [item.key for item in (await store.list(prefix, revision=revision)).items]


async def take(watch: AsyncIterator[list[Event]], count: int) -> list[Event]:
    """The next ``count`` events."""
    events: list[Event] = []
    while len(events) < count:
        events += await asyncio.wait_for(anext(watch), 10)
    return events


class TestTransact:
    async def test_an_empty_store_has_a_revision_that_is_not_zero(self, store: Store) -> None:
        assert await store.revision() > 0

    async def test_each_transaction_takes_the_next_revision(self, store: Store) -> None:
        start = await store.revision()
        assert [await put(store, "/a"), await put(store, "/b"), await put(store, "/a")] == [
            start + 1,
            start + 2,
            start + 3,
        ]
        assert await store.revision() == start + 3

    async def test_a_key_knows_when_it_was_created_and_changed(self, store: Store) -> None:
        first = await put(store, "/a", b"1")
        second = await put(store, "/a", b"2")
        assert await store.get("/a") == KeyValue("/a", b"2", first, second)

    async def test_a_key_that_comes_back_is_created_anew(self, store: Store) -> None:
        await put(store, "/a")
        await delete(store, "/a")
        again = await put(store, "/a", b"2")
        assert await store.get("/a") == KeyValue("/a", b"2", again, again)

    async def test_all_changes_of_a_transaction_share_its_revision(self, store: Store) -> None:
        await put(store, "/b")
        revision = await store.transact([], [Put("/a", b"1"), Delete("/b"), Put("/c", b"3")])
        page = await store.list("/")
        assert [(item.key, item.mod_revision) for item in page.items] == [("/a", revision), ("/c", revision)]

    async def test_removing_what_is_not_there_changes_nothing(self, store: Store) -> None:
        start = await put(store, "/a")
        assert await delete(store, "/b") == start
        assert await store.revision() == start

    async def test_create_needs_the_key_to_be_absent(self, store: Store) -> None:
        created = await store.transact([Compare("/a", 0)], [Put("/a", b"1")])
        with pytest.raises(Conflict) as conflict:
            await store.transact([Compare("/a", 0)], [Put("/a", b"2")])
        assert conflict.value.key == "/a"
        assert conflict.value.current == KeyValue("/a", b"1", created, created)

    async def test_create_works_again_after_removal(self, store: Store) -> None:
        await put(store, "/a")
        await delete(store, "/a")
        await store.transact([Compare("/a", 0)], [Put("/a", b"2")])

    async def test_update_needs_the_revision_that_was_read(self, store: Store) -> None:
        first = await put(store, "/a", b"1")
        second = await store.transact([Compare("/a", first)], [Put("/a", b"2")])
        with pytest.raises(Conflict) as conflict:
            await store.transact([Compare("/a", first)], [Put("/a", b"3")])
        assert conflict.value.current == KeyValue("/a", b"2", first, second)

    async def test_conflict_on_an_absent_key_has_no_current(self, store: Store) -> None:
        with pytest.raises(Conflict) as conflict:
            await store.transact([Compare("/a", 7)], [Put("/a", b"1")])
        assert conflict.value.current is None

    async def test_one_failed_compare_prevents_every_change(self, store: Store) -> None:
        start = await put(store, "/taken")
        with pytest.raises(Conflict):
            await store.transact(
                [Compare("/free", 0), Compare("/taken", 0)], [Put("/free", b""), Put("/x", b"")]
            )
        assert await keys(store) == ["/taken"]
        assert await store.revision() == start

    async def test_a_key_may_be_changed_once_only(self, store: Store) -> None:
        with pytest.raises(ValueError, match="more than once"):
            await store.transact([], [Put("/a", b""), Delete("/a")])

    async def test_of_concurrent_creators_exactly_one_wins(self, store: Store) -> None:
        results = await asyncio.gather(
            *(store.transact([Compare("/ip", 0)], [Put("/ip", b"%d" % n)]) for n in range(50)),
            return_exceptions=True,
        )
        winners = [n for n, result in enumerate(results) if isinstance(result, int)]
        assert len(winners) == 1
        assert all(isinstance(r, Conflict) for n, r in enumerate(results) if n not in winners)
        current = await store.get("/ip")
        assert current is not None
        assert current.value == b"%d" % winners[0]

    async def test_concurrent_counters_lose_no_update(self, store: Store) -> None:
        await put(store, "/n", b"0")

        async def increment() -> None:
            while True:
                current = await store.get("/n")
                assert current is not None
                try:
                    await store.transact(
                        [Compare("/n", current.mod_revision)], [Put("/n", b"%d" % (int(current.value) + 1))]
                    )
                except Conflict:
                    continue
                return

        await asyncio.gather(*(increment() for _ in range(20)))
        current = await store.get("/n")
        assert current is not None
        assert current.value == b"20"

    async def test_concurrent_transactions_have_revisions_of_their_own(self, store: Store) -> None:
        start = await store.revision()
        revisions = await asyncio.gather(*(put(store, f"/{n}") for n in range(100)))
        assert sorted(revisions) == list(range(start + 1, start + 101))

    async def test_a_cancelled_caller_disturbs_no_one_else(self, store: Store) -> None:
        tasks = [asyncio.create_task(put(store, f"/{n}")) for n in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        assert isinstance(await tasks[0], int)
        assert isinstance(await tasks[2], int)


class TestRead:
    async def test_an_absent_key(self, store: Store) -> None:
        assert await store.get("/a") is None
        await put(store, "/a")
        await delete(store, "/a")
        assert await store.get("/a") is None

    async def test_values_are_any_bytes(self, store: Store) -> None:
        for value in (b"", b"\0\xff", b"x" * 2_000_000):
            await put(store, "/a", value)
            current = await store.get("/a")
            assert current is not None
            assert current.value == value

    async def test_an_older_revision_of_a_key(self, store: Store) -> None:
        first = await put(store, "/a", b"1")
        second = await put(store, "/a", b"2")
        third = await delete(store, "/a")
        assert [await store.get("/a", r) for r in (first, second, third)] == [
            KeyValue("/a", b"1", first, first),
            KeyValue("/a", b"2", first, second),
            None,
        ]

    async def test_list_is_sorted_and_keeps_to_its_prefix(self, store: Store) -> None:
        for key in ("/s/b/1", "/s/a/2", "/s/a/1", "/sx/a", "/r/z", "/s/a/ü"):
            await put(store, key)
        assert await keys(store, "/s/") == ["/s/a/1", "/s/a/2", "/s/a/ü", "/s/b/1"]
        assert await keys(store, "/s/a/") == ["/s/a/1", "/s/a/2", "/s/a/ü"]
        assert await keys(store, "/s/b/1") == ["/s/b/1"]
        assert await keys(store, "") == sorted(await keys(store))

    async def test_list_tells_the_revision_it_was_taken_at(self, store: Store) -> None:
        await put(store, "/a")
        last = await put(store, "/elsewhere")
        assert (await store.list("/a")).revision == last

    async def test_list_at_an_older_revision(self, store: Store) -> None:
        await put(store, "/a", b"1")
        await put(store, "/b", b"1")
        then = await store.revision()
        await put(store, "/a", b"2")
        await delete(store, "/b")
        await put(store, "/c")
        page = await store.list("/", revision=then)
        assert [(item.key, item.value) for item in page.items] == [("/a", b"1"), ("/b", b"1")]
        assert page.revision == then
        assert await keys(store) == ["/a", "/c"]

    async def test_pages_of_one_snapshot(self, store: Store) -> None:
        for n in range(7):
            await put(store, f"/{n}")
        first = await store.list("/", limit=3)
        assert ([i.key for i in first.items], first.more, first.remaining) == (["/0", "/1", "/2"], True, 4)
        await put(store, "/3x")
        await delete(store, "/4")
        second = await store.list("/", limit=3, start_after="/2", revision=first.revision)
        assert ([i.key for i in second.items], second.more, second.remaining) == (["/3", "/4", "/5"], True, 1)
        third = await store.list("/", limit=3, start_after="/5", revision=first.revision)
        assert ([i.key for i in third.items], third.more, third.remaining) == (["/6"], False, 0)

    async def test_a_page_that_takes_the_last_key_is_the_last(self, store: Store) -> None:
        await put(store, "/0")
        await put(store, "/1")
        page = await store.list("/", limit=2)
        assert (page.more, page.remaining) == (False, 0)

    async def test_a_revision_that_has_not_happened(self, store: Store) -> None:
        revision = await put(store, "/a")
        with pytest.raises(FutureRevision) as error:
            await store.list("/", revision=revision + 1)
        assert error.value.revision == revision
        with pytest.raises(FutureRevision):
            await store.get("/a", revision + 1)


class TestWatch:
    async def test_changes_that_are_made_while_watching(self, store: Store) -> None:
        watch = store.watch("/w/", await store.revision())
        waiting = asyncio.create_task(take(watch, 3))
        first = await put(store, "/w/a", b"1")
        await put(store, "/other", b"1")
        second = await put(store, "/w/a", b"2")
        third = await delete(store, "/w/a")
        old, new = KeyValue("/w/a", b"1", first, first), KeyValue("/w/a", b"2", first, second)
        assert await waiting == [
            Event("PUT", "/w/a", b"1", first, None),
            Event("PUT", "/w/a", b"2", second, old),
            Event("DELETE", "/w/a", b"2", third, new),
        ]

    async def test_changes_that_were_made_before_are_the_same(self, store: Store) -> None:
        start = await store.revision()
        live = store.watch("/", start)
        waiting = asyncio.create_task(take(live, 5))
        await put(store, "/a", b"1")
        await store.transact([], [Put("/a", b"2"), Put("/b", b"1")])
        await delete(store, "/a")
        await put(store, "/a", b"3")
        events = await waiting
        assert await take(store.watch("/", start), 5) == events
        assert await take(store.watch("/", events[0].revision), 4) == events[1:]

    async def test_changes_of_a_transaction_come_together(self, store: Store) -> None:
        start = await store.revision()
        await store.transact([], [Put(f"/{n}", b"") for n in range(20)])
        assert len(await anext(store.watch("/", start))) == 20

    async def test_history_runs_into_the_present_without_gap_or_repetition(self, store: Store) -> None:
        start = await store.revision()
        total = 600

        readers: list[tuple[int, asyncio.Task[list[int]]]] = []

        async def read(after: int) -> list[int]:
            return [e.revision for e in await take(store.watch("/", after), start + total - after)]

        for n in range(0, total, 20):
            readers += [(after, asyncio.create_task(read(after))) for after in (start, start + n // 2)]
            await asyncio.gather(*(put(store, f"/{n + i}") for i in range(20)))
        for after, reading in readers:
            assert await reading == list(range(after + 1, start + total + 1))

    async def test_a_watcher_that_does_not_keep_up_still_gets_everything(self, store: Store) -> None:
        start = await store.revision()
        watch = store.watch("/", start)
        await put(store, "/first")
        seen = await take(watch, 1)
        for _ in range(10):
            await store.transact([], [Put(f"/{n}", b"") for n in range(1000)])
        seen += await take(watch, 10_000)
        await put(store, "/last")
        seen += await take(watch, 1)
        revisions = [event.revision for event in seen]
        assert revisions == sorted(revisions)
        assert len({(event.revision, event.key) for event in seen}) == len(seen) == 10_002
        assert seen[-1].key == "/last"

    async def test_watching_from_the_future_skips_what_happens_until_then(self, store: Store) -> None:
        waiting = asyncio.create_task(take(store.watch("/", await store.revision() + 2), 1))
        await asyncio.sleep(0)
        for name in ("/1", "/2", "/3"):
            await put(store, name)
        assert (await waiting)[0].key == "/3"

    async def test_whoever_made_a_change_can_read_it_and_watchers_have_it(self, store: Store) -> None:
        watch = store.watch("/", await store.revision())
        waiting = asyncio.create_task(take(watch, 1))
        await asyncio.sleep(0)
        revision = await put(store, "/a")
        await asyncio.sleep(0)
        assert (await waiting)[0].revision == revision == await store.revision()

    async def test_closing_the_store_ends_watches(self, store: Store) -> None:
        waiting = asyncio.create_task(take(store.watch("/", await store.revision()), 1))
        await asyncio.sleep(0)
        await store.close()
        with pytest.raises(Closed):
            await waiting


class TestCompact:
    async def test_what_is_current_stays(self, store: Store) -> None:
        await put(store, "/a", b"1")
        await put(store, "/gone")
        await delete(store, "/gone")
        revision = await put(store, "/a", b"2")
        before = await store.list("/")
        await store.compact(revision)
        assert await store.list("/") == before
        assert await store.list("/", revision=revision) == before
        assert await store.revision() == revision

    async def test_older_revisions_are_refused(self, store: Store) -> None:
        first = await put(store, "/a", b"1")
        second = await put(store, "/a", b"2")
        third = await put(store, "/a", b"3")
        await store.compact(second)
        for read in (store.get("/a", first), store.list("/", revision=first), anext(store.watch("/", first))):
            with pytest.raises(Compacted) as error:
                await read
            assert error.value.revision == second
        old = await store.get("/a", second)
        assert old is not None
        assert old.value == b"2"
        assert [e.revision for e in await take(store.watch("/", second), 1)] == [third]

    async def test_later_events_keep_what_they_replaced(self, store: Store) -> None:
        first = await put(store, "/a", b"1")
        middle = await put(store, "/b")
        await delete(store, "/a")
        await store.compact(middle)
        (event,) = await take(store.watch("/", middle), 1)
        assert (event.type, event.value) == ("DELETE", b"1")
        assert event.previous == KeyValue("/a", b"1", first, first)

    async def test_compacting_twice_or_backwards_does_nothing(self, store: Store) -> None:
        revision = await put(store, "/a")
        await store.compact(revision)
        await store.compact(revision)
        await store.compact(revision - 1)
        assert await keys(store) == ["/a"]

    async def test_compares_work_on_a_compacted_store(self, store: Store) -> None:
        await put(store, "/gone")
        await delete(store, "/gone")
        revision = await put(store, "/a")
        await store.compact(revision)
        await store.transact([Compare("/gone", 0), Compare("/a", revision)], [Put("/gone", b"2")])

    async def test_commits_go_on_meanwhile(self, store: Store) -> None:
        for _ in range(30):
            await asyncio.gather(*(put(store, f"/{n}") for n in range(100)))
        compaction = asyncio.create_task(store.compact(await store.revision()))
        await put(store, "/during")
        await compaction
        assert len(await keys(store)) == 101


async def test_a_closed_store_says_so(store: Store) -> None:
    await store.close()
    for call in (store.get("/a"), store.list("/"), put(store, "/a"), anext(store.watch("/", 1))):
        with pytest.raises(Closed):
            await call
    await store.close()
