"""Informers: the local copy is right whatever the connection and the server do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

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
async def watched(client: Client) -> AsyncIterator[Watched]:
    watched = Watched(client)
    task = asyncio.create_task(watched.informer.run())
    yield watched
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


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
