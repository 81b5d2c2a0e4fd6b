"""Informers: the local copy is right whatever the connection and the server do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from clusterip.client import informer
from clusterip.client.informer import Informer
from clusterip.client.rest import Client
from clusterip.objects.core.service import SERVICES


class Meta(msgspec.Struct):
    name: str
    namespace: str = ""
    resourceVersion: str = ""
    uid: str = ""
    labels: dict[str, str] = {}


class Thing(msgspec.Struct):
    metadata: Meta


def thing(name: str, version: int, uid: str = "", **labels: str) -> dict[str, Any]:
    meta = {"name": name, "namespace": "ns", "resourceVersion": str(version), "uid": uid or name}
    return {"metadata": {**meta, "labels": labels}, "spec": {"ignored": True}}


def listing(version: int, *items: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "ServiceList", "metadata": {"resourceVersion": str(version)}, "items": list(items)}


def line(type_: str, obj: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"type": type_, "object": obj}) + b"\n"


class Watched:
    """An informer at work and what it has told."""

    def __init__(self, client: Client) -> None:
        self.informer = Informer(client, SERVICES, Thing)
        self.changes: list[tuple[str, str]] = []
        self.batches = 0
        self.informer.on_change(self._change)
        self.informer.on_batch(self._batch)

    def _change(self, old: Thing | None, new: Thing | None) -> None:
        kind = "add" if old is None else "delete" if new is None else "update"
        obj = new or old
        assert obj is not None
        self.changes.append((kind, obj.metadata.name))

    def _batch(self) -> None:
        self.batches += 1

    def told(self) -> list[tuple[str, str]]:
        changes, self.changes = self.changes, []
        return changes


@pytest.fixture
async def streaming(client: Client) -> AsyncIterator[Watched]:
    """With a server that can stream lists."""
    watched = Watched(client)
    task = asyncio.create_task(watched.informer.run())
    yield watched
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def watched(server: Any, streaming: Watched) -> Watched:
    """With a server that cannot, as Kubernetes before 1.32."""
    await (await server.next()).refuse(422, "Invalid", "sendInitialEvents is forbidden for watch")
    return streaming


def ends(version: int) -> bytes:
    annotations = {"k8s.io/initial-events-end": "true"}
    meta = {"resourceVersion": str(version), "annotations": annotations, "creationTimestamp": None}
    return line("BOOKMARK", {"kind": "Service", "apiVersion": "v1", "metadata": meta, "spec": {}})


Until = Callable[[Callable[[], bool]], Any]


async def test_lists_then_watches_from_there(server: Any, watched: Watched, until: Until) -> None:
    first = await server.next()
    assert first.path == "/api/v1/services"
    assert first.query["resourceVersion"] == "0"
    await first.answer(listing(7, thing("a", 3), thing("b", 5)))
    watch = await server.next()
    assert watch.query["watch"] == "true"
    assert watch.query["resourceVersion"] == "7"
    await watch.begin()
    await until(lambda: watched.informer.connected)
    assert watched.told() == [("add", "a"), ("add", "b")]
    assert watched.batches == 1
    assert watched.informer.synced.is_set()
    assert watched.informer.objects["ns", "b"].metadata.resourceVersion == "5"

    await watch.chunk(
        line("ADDED", thing("c", 8)) + line("MODIFIED", thing("a", 9)) + line("DELETED", thing("b", 10))
    )
    await until(lambda: watched.batches == 2)
    assert watched.told() == [("add", "c"), ("update", "a"), ("delete", "b")]
    assert set(watched.informer.objects) == {("ns", "a"), ("ns", "c")}


async def test_events_cut_anywhere_arrive_whole(server: Any, watched: Watched, until: Until) -> None:
    await (await server.next()).answer(listing(1))
    watch = await server.next()
    await watch.begin()
    data = b"".join(line("ADDED", thing(f"é{i}", i + 2)) for i in range(5))
    for i in range(0, len(data), 7):
        await watch.chunk(data[i : i + 7])
    await until(lambda: len(watched.informer.objects) == 5)
    assert watched.told() == [("add", f"é{i}") for i in range(5)]


async def test_null_items_of_a_go_server_are_an_empty_list(server: Any, watched: Watched) -> None:
    await (await server.next()).answer({"metadata": {"resourceVersion": "1"}, "items": None})
    async with asyncio.timeout(5):
        await watched.informer.synced.wait()
    assert watched.informer.objects == {}
    assert watched.batches == 1


async def test_a_null_map_counts_as_empty(server: Any, watched: Watched, until: Until) -> None:
    item = thing("a", 1)
    item["metadata"]["labels"] = None
    await (await server.next()).answer(listing(1, item))
    await until(lambda: watched.informer.synced.is_set())
    assert watched.informer.objects["ns", "a"].metadata.labels == {}


async def test_normal_end_resumes_from_the_last_bookmark(server: Any, watched: Watched) -> None:
    await (await server.next()).answer(listing(1))
    watch = await server.next()
    await watch.begin()
    await watch.chunk(line("ADDED", thing("a", 2)))
    await watch.chunk(line("BOOKMARK", {"metadata": {"resourceVersion": "40"}}))
    await watch.end()
    again = await server.next()
    assert again.query["watch"] == "true"
    assert again.query["resourceVersion"] == "40"
    assert watched.told() == [("add", "a")]


async def test_history_lost_in_the_stream_relists_and_tells_only_differences(
    server: Any, watched: Watched, until: Until
) -> None:
    await (await server.next()).answer(listing(5, thing("same", 1), thing("changed", 2), thing("gone", 3)))
    watch = await server.next()
    await watch.begin()
    await until(lambda: watched.informer.connected)
    watched.told()
    await watch.chunk(
        line("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})
    )
    relist = await server.next()
    assert "watch" not in relist.query
    assert "resourceVersion" not in relist.query, "a relist must not go back in time"
    await relist.answer(listing(50, thing("same", 1), thing("changed", 30), thing("new", 40)))
    assert (await server.next()).query["resourceVersion"] == "50"
    assert watched.told() == [("delete", "gone"), ("update", "changed"), ("add", "new")]


async def test_history_lost_at_the_start_of_a_watch_relists(server: Any, watched: Watched) -> None:
    await (await server.next()).answer(listing(5, thing("a", 1)))
    await (await server.next()).refuse(410, "Expired", "too old resource version")
    relist = await server.next()
    assert "watch" not in relist.query


async def test_replaced_while_away_is_a_deletion_and_an_addition(
    server: Any, watched: Watched, until: Until
) -> None:
    await (await server.next()).answer(listing(5, thing("a", 1, uid="first")))
    await (await server.next()).refuse(410, "Expired", "too old resource version")
    await (await server.next()).answer(listing(9, thing("a", 8, uid="second")))
    await until(lambda: watched.batches == 2)
    assert watched.told() == [("add", "a"), ("delete", "a"), ("add", "a")]


async def test_lost_connection_keeps_objects_and_resumes(server: Any, watched: Watched, until: Until) -> None:
    await (await server.next()).answer(listing(5, thing("a", 1)))
    watch = await server.next()
    await watch.begin()
    await watch.chunk(line("MODIFIED", thing("a", 6)))
    await until(lambda: ("update", "a") in watched.changes)
    await server.stop()
    await until(lambda: not watched.informer.connected and watched.informer.last_error != "")
    assert "cannot reach the API server" in watched.informer.last_error
    assert watched.informer.objects["ns", "a"].metadata.resourceVersion == "6"
    started = asyncio.get_running_loop().time()
    await server.start()
    again = await server.next()
    assert again.query["resourceVersion"] == "6"
    assert asyncio.get_running_loop().time() - started < 2.6
    await again.begin()
    await until(lambda: watched.informer.connected)
    assert watched.informer.last_error == ""


async def test_one_broken_object_does_not_stop_the_others(
    server: Any, watched: Watched, until: Until
) -> None:
    await (await server.next()).answer(listing(1, {"metadata": {"name": 5}}, thing("a", 1)))
    watch = await server.next()
    await watch.begin()
    broken = {"metadata": {"name": [], "resourceVersion": "2"}}
    await watch.chunk(line("ADDED", broken) + line("ADDED", thing("b", 3)))
    await until(lambda: len(watched.informer.objects) == 2)


async def test_refused_list_is_tried_again_and_told(server: Any, watched: Watched, until: Until) -> None:
    await (await server.next()).refuse(403, "Forbidden", "no")
    await until(lambda: watched.informer.last_error == "403 no")
    await (await server.next()).answer(listing(1))
    await until(watched.informer.synced.is_set)


async def test_who_may_not_asks_ever_more_seldom(
    server: Any, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    delays: list[float] = []
    original = asyncio.sleep

    async def sleep(seconds: float) -> None:
        delays.append(seconds)
        await original(0)

    monkeypatch.setattr(informer.asyncio, "sleep", sleep)
    task = asyncio.create_task(Watched(client).informer.run())
    while len(delays) < 12:
        await (await server.next()).refuse(403, "Forbidden", "no")
    task.cancel()
    assert max(delays) > 20
    assert delays[0] < 0.1


async def test_indexes_follow_changes(server: Any, watched: Watched, until: Until) -> None:
    watched.informer.add_index(
        "app", lambda obj: [obj.metadata.labels["app"]] if "app" in obj.metadata.labels else []
    )
    await (await server.next()).answer(
        listing(3, thing("a", 1, app="x"), thing("b", 2, app="x"), thing("c", 3))
    )
    watch = await server.next()
    await watch.begin()
    await until(lambda: watched.informer.connected)
    names = lambda app: [obj.metadata.name for obj in watched.informer.by_index("app", app)]  # noqa: E731
    assert names("x") == ["a", "b"]
    await watch.chunk(line("MODIFIED", thing("a", 4, app="y")) + line("DELETED", thing("b", 5, app="x")))
    await until(lambda: watched.batches == 2)
    assert names("x") == []
    assert names("y") == ["a"]


async def test_a_late_handler_hears_of_what_is_there(server: Any, watched: Watched, until: Until) -> None:
    await (await server.next()).answer(listing(3, thing("a", 1)))
    await until(watched.informer.synced.is_set)
    heard: list[str] = []
    watched.informer.on_change(lambda _old, new: heard.append(new.metadata.name if new else "-"))
    assert heard == ["a"]


async def test_waiting_for_the_own_write(server: Any, watched: Watched, until: Until) -> None:
    await (await server.next()).answer(listing(10))
    watch = await server.next()
    await watch.begin()
    await until(lambda: watched.informer.connected)
    await watched.informer.reached("10")
    waiting = asyncio.create_task(watched.informer.reached("12"))
    await watch.chunk(line("ADDED", thing("a", 11)))
    await until(lambda: watched.batches == 2)
    assert not waiting.done()
    await watch.chunk(line("BOOKMARK", {"metadata": {"resourceVersion": "12"}}))
    async with asyncio.timeout(5):
        await waiting


async def test_a_server_without_any_history_is_not_stormed(server: Any, watched: Watched) -> None:
    loop = asyncio.get_running_loop()
    started, lists = loop.time(), 0
    while loop.time() - started < 0.5:
        request = await server.next()
        if "watch" in request.query:
            await request.refuse(410, "Expired", "too old resource version")
        else:
            lists += 1
            await request.answer(listing(5))
    assert 2 <= lists <= 5


async def test_a_list_is_the_beginning_of_the_watch(server: Any, streaming: Watched, until: Until) -> None:
    stream = await server.next()
    assert stream.query["sendInitialEvents"] == "true"
    assert stream.query["resourceVersionMatch"] == "NotOlderThan"
    assert stream.query["allowWatchBookmarks"] == "true"
    assert "resourceVersion" not in stream.query
    await stream.begin()
    await stream.chunk(line("ADDED", thing("a", 3)) + line("ADDED", thing("b", 4)))
    await until(lambda: len(streaming.informer.objects) == 2)
    assert streaming.batches == 0
    assert not streaming.informer.synced.is_set()
    await stream.chunk(ends(7) + line("MODIFIED", thing("a", 8)))
    await until(lambda: streaming.batches == 2)
    assert streaming.informer.synced.is_set()
    assert streaming.told() == [("add", "a"), ("add", "b"), ("update", "a")]
    await stream.end()
    again = await server.next()
    assert again.query["resourceVersion"] == "8"
    assert "sendInitialEvents" not in again.query


async def test_an_empty_collection_is_complete_too(server: Any, streaming: Watched, until: Until) -> None:
    stream = await server.next()
    await stream.begin()
    await stream.chunk(ends(7))
    await until(streaming.informer.synced.is_set)
    assert streaming.batches == 1


async def test_history_lost_is_streamed_again_and_differences_told(
    server: Any, streaming: Watched, until: Until
) -> None:
    stream = await server.next()
    await stream.begin()
    await stream.chunk(
        b"".join(line("ADDED", thing(name, 1)) for name in ("same", "changed", "gone")) + ends(5)
    )
    await until(streaming.informer.synced.is_set)
    streaming.told()
    await stream.chunk(line("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "old"}))
    again = await server.next()
    assert again.query["sendInitialEvents"] == "true"
    await again.begin()
    await again.chunk(line("ADDED", thing("changed", 30)) + line("ADDED", thing("same", 1)))
    await again.chunk(line("ADDED", thing("new", 40)) + line("ADDED", thing("short", 40)))
    await again.chunk(line("DELETED", thing("short", 41)) + ends(50))
    await until(lambda: streaming.batches == 2)
    assert streaming.told() == [("delete", "gone"), ("update", "changed"), ("add", "new")]


async def test_a_list_cut_short_is_asked_for_again(server: Any, streaming: Watched, until: Until) -> None:
    stream = await server.next()
    await stream.begin()
    await stream.chunk(line("ADDED", thing("a", 3)))
    await until(lambda: len(streaming.informer.objects) == 1)
    stream.drop()
    again = await server.next()
    assert again.query["sendInitialEvents"] == "true"
    await again.begin()
    await again.chunk(line("ADDED", thing("b", 4)) + ends(9))
    await until(streaming.informer.synced.is_set)
    assert streaming.told() == [("add", "a"), ("add", "b"), ("delete", "a")]


async def test_a_server_that_never_says_that_this_is_all_is_asked_for_a_list(
    server: Any, streaming: Watched
) -> None:
    stream = await server.next()
    await stream.begin()
    await stream.chunk(line("ADDED", thing("a", 3)))
    await stream.end()
    request = await server.next()
    assert "watch" not in request.query
    await request.answer(listing(5, thing("a", 3)))
    assert (await server.next()).query["resourceVersion"] == "5"
    assert streaming.told() == [("add", "a")]


async def test_a_server_whose_store_cannot_stream_is_asked_for_a_list(
    server: Any, streaming: Watched, until: Until
) -> None:
    stream = await server.next()
    await stream.begin()
    message = "a watch stream was requested by the client but the required storage feature is disabled"
    await stream.chunk(line("ERROR", {"kind": "Status", "code": 500, "message": message}))
    request = await server.next()
    assert "watch" not in request.query
    await request.answer(listing(5, thing("a", 3)))
    await until(streaming.informer.synced.is_set)
    await (await server.next()).refuse(410, "Expired", "too old resource version")
    again = await server.next()
    assert again.query["sendInitialEvents"] == "true", "it may be able to by now"


async def test_a_server_that_falls_silent_in_a_list(
    server: Any, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(informer, "_SILENT_SECONDS", 0.1)
    task = asyncio.create_task(Watched(client).informer.run())
    stream = await server.next()
    await stream.begin()
    assert "watch" not in (await server.next()).query
    task.cancel()


async def test_nulls_and_objects_not_understood_among_good_ones(
    server: Any, streaming: Watched, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    nulls = thing("b", 4)
    nulls["metadata"]["labels"] = None
    stream = await server.next()
    await stream.begin()
    broken = {"metadata": {"name": [], "resourceVersion": "5"}}
    await stream.chunk(line("ADDED", thing("a", 3)) + line("ADDED", nulls) + line("ADDED", broken) + ends(7))
    await until(streaming.informer.synced.is_set)
    assert streaming.told() == [("add", "a"), ("add", "b")]
    assert "object not understood" in caplog.text
    await stream.chunk(line("MODIFIED", {"metadata": {"name": [], "resourceVersion": "9"}}))
    await stream.end()
    assert (await server.next()).query["resourceVersion"] == "9"


async def test_objects_are_prepared_before_anybody_sees_them(
    server: Any, client: Client, until: Until
) -> None:
    def shorten(obj: Thing) -> None:
        obj.metadata.labels = {}

    prepared = Informer(client, SERVICES, Thing, prepare=shorten)
    seen: list[dict[str, str]] = []
    prepared.on_change(lambda _, new: seen.append(new.metadata.labels if new else {}))
    task = asyncio.create_task(prepared.run())
    stream = await server.next()
    await stream.begin()
    await stream.chunk(line("ADDED", thing("a", 3, app="x")) + ends(4))
    await until(prepared.synced.is_set)
    assert seen == [{}]
    task.cancel()
