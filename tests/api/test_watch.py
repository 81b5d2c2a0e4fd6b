"""Watches: order, selectors, bookmarks, resumption after a crash, and what is told when it is too late."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import aiohttp

from tests.support.apiserver import RunningApiServer


class Watch:
    """A watch that is read event by event."""

    def __init__(self, server: RunningApiServer, path: str, accept: str = "application/json", **query: Any):
        context = ssl.create_default_context(cafile=str(server.ca_file))
        self._connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=20)
        target = f"{path}?{urlencode({'watch': 'true', **query})}"
        headers = {"Authorization": f"Bearer {server.token}", "Accept": accept}
        self._connection.request("GET", target, headers=headers)
        self.response = self._connection.getresponse()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for line in self.response:
            yield json.loads(line)

    def next(self) -> dict[str, Any]:
        return json.loads(self.response.readline())

    def close(self) -> None:
        self._connection.close()


def configmaps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def create(server: RunningApiServer, namespace: str, name: str, **labels: str) -> dict[str, Any]:
    body = {"metadata": {"name": name, "labels": labels}}
    code, created = server.request("POST", configmaps(namespace), body)
    assert code == 201, created
    result: dict[str, Any] = created
    return result


def version(obj: dict[str, Any]) -> str:
    text: str = obj["metadata"]["resourceVersion"]
    return text


def test_events_from_a_version_in_order(apiserver: RunningApiServer, namespace: str) -> None:
    start = version(create(apiserver, namespace, "first"))
    path = configmaps(namespace)
    create(apiserver, namespace, "second")
    apiserver.request(
        "PATCH", f"{path}/second", {"data": {"a": "b"}}, Content_Type="application/merge-patch+json"
    )
    apiserver.request("DELETE", f"{path}/second")
    watch = Watch(apiserver, path, resourceVersion=start)
    events = [watch.next() for _ in range(3)]
    watch.close()
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [int(version(event["object"])) for event in events]
    assert versions == sorted(set(versions))
    assert events[2]["object"]["data"] == {"a": "b"}
    assert events[0]["object"]["kind"] == "ConfigMap"


def test_without_a_version_it_starts_with_what_there_is(apiserver: RunningApiServer, namespace: str) -> None:
    create(apiserver, namespace, "a")
    watch = Watch(apiserver, configmaps(namespace))
    assert watch.next()["object"]["metadata"]["name"] == "a"
    create(apiserver, namespace, "b")
    assert watch.next()["object"]["metadata"]["name"] == "b"
    watch.close()


def test_selectors_turn_changes_into_coming_and_going(apiserver: RunningApiServer, namespace: str) -> None:
    path = configmaps(namespace)
    start = version(create(apiserver, namespace, "a", tier="back"))
    watch = Watch(apiserver, path, resourceVersion=start, labelSelector="tier=front")

    def label(tier: str) -> None:
        body = {"metadata": {"labels": {"tier": tier}}}
        apiserver.request("PATCH", f"{path}/a", body, Content_Type="application/merge-patch+json")

    label("front")
    assert watch.next()["type"] == "ADDED"
    label("back")
    gone = watch.next()
    assert gone["type"] == "DELETED"
    assert gone["object"]["metadata"]["labels"] == {"tier": "front"}
    watch.close()


def test_watch_list_ends_its_initial_events_with_a_bookmark(
    apiserver: RunningApiServer, namespace: str
) -> None:
    create(apiserver, namespace, "a")
    watch = Watch(
        apiserver,
        configmaps(namespace),
        sendInitialEvents="true",
        allowWatchBookmarks="true",
        resourceVersionMatch="NotOlderThan",
    )
    assert watch.next()["type"] == "ADDED"
    bookmark = watch.next()
    assert bookmark["type"] == "BOOKMARK"
    assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    watch.close()


def test_timeout_ends_it_properly(apiserver: RunningApiServer, namespace: str) -> None:
    watch = Watch(apiserver, configmaps(namespace), timeoutSeconds=1)
    assert list(watch) == []


def test_tables(apiserver: RunningApiServer, namespace: str) -> None:
    create(apiserver, namespace, "a")
    watch = Watch(apiserver, configmaps(namespace), accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    first = watch.next()["object"]
    assert first["kind"] == "Table"
    assert [column["name"] for column in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert first["rows"][0]["cells"][:2] == ["a", 0]
    assert first["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    create(apiserver, namespace, "b")
    assert not watch.next()["object"]["columnDefinitions"]
    watch.close()


def test_a_crash_loses_nothing_and_watchers_resume(own_apiserver: RunningApiServer) -> None:
    server = own_apiserver
    start = version(create(server, "default", "before"))
    names = [f"c{i}" for i in range(20)]
    for name in names:
        create(server, "default", name)
    server.kill()
    server.start()
    code, listed = server.request("GET", configmaps("default"))
    assert code == 200
    assert {item["metadata"]["name"] for item in listed["items"]} >= {"before", *names}
    watch = Watch(server, configmaps("default"), resourceVersion=start)
    assert [watch.next()["object"]["metadata"]["name"] for _ in names] == names
    create(server, "default", "after")
    assert watch.next()["object"]["metadata"]["name"] == "after"
    watch.close()


def test_a_version_from_the_future(apiserver: RunningApiServer, namespace: str) -> None:
    """Nothing is told before it, as with kube-apiserver, which does not refuse such a watch."""
    path = f"{configmaps(namespace)}?watch=1&resourceVersion=99999999&timeoutSeconds=1"
    assert apiserver.request("GET", path) == (200, "")


def test_a_watcher_that_does_not_read_is_dropped_and_others_go_on(
    apiserver: RunningApiServer, namespace: str
) -> None:
    slow, quick = Watch(apiserver, configmaps(namespace)), Watch(apiserver, configmaps(namespace))
    data = {"x": "y" * 900_000}
    for i in range(40):
        body = {"metadata": {"name": f"c{i}"}, "data": data}
        assert apiserver.request("POST", configmaps(namespace), body)[0] == 201
        assert quick.next()["object"]["metadata"]["name"] == f"c{i}"
    seen = 0
    with contextlib.suppress(http.client.HTTPException, OSError, ValueError):
        while slow.next():
            seen += 1
    assert seen < 40
    quick.close()
    slow.close()


def test_over_a_websocket(apiserver: RunningApiServer, namespace: str) -> None:
    """Browsers watch so; every event is a text message of its own."""

    async def events() -> list[tuple[str, str]]:
        context = ssl.create_default_context(cafile=str(apiserver.ca_file))
        headers = {"Authorization": f"Bearer {apiserver.token}"}
        target = f"{apiserver.url}{configmaps(namespace)}?watch=true&resourceVersion={start}&timeoutSeconds=5"
        seen = []
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.ws_connect(target, ssl=context) as socket,
        ):
            for _ in range(3):
                event = json.loads((await socket.receive(timeout=20)).data)
                seen.append((event["type"], event["object"]["metadata"]["name"]))
                if len(seen) == 1:
                    await asyncio.to_thread(create, apiserver, namespace, "live")
                    await asyncio.to_thread(apiserver.request, "DELETE", f"{configmaps(namespace)}/live")
            await socket.close()
        return seen

    start = version(create(apiserver, namespace, "first"))
    create(apiserver, namespace, "second")
    assert asyncio.run(events()) == [("ADDED", "second"), ("ADDED", "live"), ("DELETED", "live")]


def test_a_websocket_ends_when_time_is_up(apiserver: RunningApiServer, namespace: str) -> None:
    async def last() -> aiohttp.WSMsgType:
        context = ssl.create_default_context(cafile=str(apiserver.ca_file))
        headers = {"Authorization": f"Bearer {apiserver.token}"}
        target = f"{apiserver.url}{configmaps(namespace)}?watch=true&timeoutSeconds=1"
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.ws_connect(target, ssl=context) as socket,
        ):
            while True:
                message = await socket.receive(timeout=20)
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return message.type

    assert asyncio.run(last()) in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


def test_events_of_both_versions(apiserver: RunningApiServer, namespace: str) -> None:
    """``v1`` and ``events.k8s.io/v1`` show the same objects, each with its own names."""
    old, new = (f"{group}/namespaces/{namespace}/events" for group in ("/api/v1", "/apis/events.k8s.io/v1"))
    watches = Watch(apiserver, old), Watch(apiserver, new, fieldSelector="regarding.name=p")
    regarding = {"kind": "Pod", "namespace": namespace, "name": "p"}
    event = {
        "metadata": {"name": "e"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "a.b/c",
        "reportingInstance": "i",
        "action": "act",
        "reason": "why",
        "type": "Normal",
        "note": "text",
        "regarding": regarding,
    }
    code, created = apiserver.request("POST", new, event)
    assert (code, created["apiVersion"], created["note"]) == (201, "events.k8s.io/v1", "text")
    code, read = apiserver.request("GET", f"{old}/e")
    assert (code, read["apiVersion"], read["message"]) == (200, "v1", "text")
    assert read["involvedObject"] == regarding
    assert read["metadata"] == created["metadata"]
    series = {"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}}
    merge = "application/merge-patch+json"
    code, patched = apiserver.request("PATCH", f"{old}/e", series, Content_Type=merge)
    assert code == 200, patched
    code, listed = apiserver.request("GET", f"{new}?fieldSelector=reportingController%3Da.b/c&limit=1")
    assert (code, [item["series"]["count"] for item in listed["items"]]) == (200, [2])
    code, refused = apiserver.request("PATCH", f"{new}/e", {"note": "other"}, Content_Type=merge)
    assert (code, refused["details"]["causes"][0]["field"]) == (422, "message")
    assert apiserver.request("DELETE", f"{new}/e")[0] == 200
    assert apiserver.request("GET", f"{old}/e")[0] == 404
    for watch, text in zip(watches, ("message", "note"), strict=True):
        with contextlib.closing(watch):
            told = [watch.next() for _ in range(3)]
        assert [each["type"] for each in told] == ["ADDED", "MODIFIED", "DELETED"]
        assert {each["object"][text] for each in told} == {"text"}
