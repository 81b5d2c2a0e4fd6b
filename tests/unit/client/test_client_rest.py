"""The client's requests, and what it makes of answers."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.rest import Client
from clusterip.objects.apps.deployment import Deployment
from clusterip.objects.core.node import Node
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.service import Service
from clusterip.objects.meta import ObjectMeta


async def exchange(server: Any, request: Any, answer: dict[str, Any]) -> tuple[Any, Any]:
    task = asyncio.create_task(request)
    got = await server.next()
    await got.answer(answer)
    return got, await task


SERVICE = {"metadata": {"name": "s", "namespace": "ns", "resourceVersion": "5"}}


async def test_paths_and_bodies(server: Any, client: Client) -> None:
    got, found = await exchange(server, client.get(Service, "s", "ns"), SERVICE)
    assert (got.method, got.path) == ("GET", "/api/v1/namespaces/ns/services/s")
    assert found.metadata.resourceVersion == "5"

    deployment = Deployment(metadata=ObjectMeta(name="d", namespace="ns"))
    got, _ = await exchange(server, client.create(deployment), SERVICE)
    assert (got.method, got.path) == ("POST", "/apis/apps/v1/namespaces/ns/deployments")
    body = msgspec.json.decode(got.body)
    assert (body["kind"], body["apiVersion"]) == ("Deployment", "apps/v1")
    assert deployment.kind == "", "the caller's object stays as it is"

    got, _ = await exchange(server, client.update_status(deployment), SERVICE)
    assert (got.method, got.path) == ("PUT", "/apis/apps/v1/namespaces/ns/deployments/d/status")
    got, _ = await exchange(server, client.get(Node, "n"), SERVICE)
    assert got.path == "/api/v1/nodes/n"
    got, _ = await exchange(server, client.create_subresource(Pod, "p", "ns", "binding", {"x": 1}), {})
    assert (got.method, got.path, got.body) == ("POST", "/api/v1/namespaces/ns/pods/p/binding", b'{"x":1}')


async def test_delete_says_which(server: Any, client: Client) -> None:
    request = client.delete(Pod, "p", "ns", grace_period_seconds=0, propagation_policy="Orphan", uid="u")
    got, _ = await exchange(server, request, {})
    assert msgspec.json.decode(got.body) == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Orphan",
        "preconditions": {"uid": "u"},
    }


async def test_lists_come_in_pages(server: Any, client: Client) -> None:
    task = asyncio.create_task(client.list(Service, "ns", label_selector="a=b,c!=d", limit=2))
    first = await server.next()
    assert (first.query["limit"], first.query["labelSelector"]) == ("2", "a=b,c!=d")
    await first.answer(
        {"metadata": {"resourceVersion": "7", "continue": "more"}, "items": [SERVICE, SERVICE]}
    )
    second = await server.next()
    assert second.query["continue"] == "more"
    await second.answer({"metadata": {"resourceVersion": "7"}, "items": [SERVICE]})
    found = await task
    assert (len(found.items), found.metadata.resourceVersion) == (3, "7")


async def test_null_lists_of_go_servers(server: Any, client: Client) -> None:
    _, found = await exchange(server, client.list(Service), {"metadata": {}, "items": None})
    assert found.items == []


async def test_refusals_say_why(server: Any, client: Client) -> None:
    task = asyncio.create_task(client.get(Service, "s", "ns"))
    await (await server.next()).refuse(404, "NotFound", 'services "s" not found')
    with pytest.raises(ApiError, match='services "s" not found') as refused:
        await task
    assert refused.value.is_not_found
    assert (refused.value.code, refused.value.reason) == (404, "NotFound")

    task = asyncio.create_task(client.get(Service, "s", "ns"))
    await (await server.next()).answer("no Status at all", 502)
    with pytest.raises(ApiError) as refused:
        await task
    assert refused.value.code == 502


async def test_asks_again_when_told_to(server: Any, client: Client) -> None:
    task = asyncio.create_task(client.get(Service, "s", "ns"))
    await (await server.next()).refuse(429, "TooManyRequests", "slow down", "Retry-After: 0\r\n")
    await (await server.next()).answer(SERVICE)
    assert (await task).metadata.name == "s"


async def test_a_server_that_is_away(server: Any, client: Client) -> None:
    await server.stop()
    with pytest.raises(Unreachable, match=r"cannot reach the API server at http://127\.0\.0\.1:"):
        await client.get(Service, "s", "ns")
    await server.start()


async def test_a_server_that_does_not_answer(server: Any, client: Client) -> None:
    with pytest.raises(Unreachable, match="did not answer in time"):
        await client.request("GET", "/version", seconds=0.2)


async def test_watch_until_the_server_ends_it(server: Any, client: Client) -> None:
    async def read() -> list[tuple[str, str]]:
        watch = client.watch(Service, "ns", resource_version="7")
        return [(e.type, e.object.metadata.name or e.object.metadata.resourceVersion) async for e in watch]

    task = asyncio.create_task(read())
    got = await server.next()
    assert got.query == {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": "7"}
    await got.begin()
    event = msgspec.json.encode({"type": "ADDED", "object": SERVICE}) + b"\n"
    await got.chunk(event[:10])
    await got.chunk(event[10:])
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}
    await got.chunk(msgspec.json.encode(bookmark) + b"\n")
    await got.end()
    assert await task == [("ADDED", "s"), ("BOOKMARK", "9")]


async def test_each_answer_is_told(server: Any, client: Client) -> None:
    told: list[tuple[str, str]] = []
    client.answered = lambda method, code: told.append((method, code))
    asked = asyncio.create_task(client.request("GET", "/x"))
    await (await server.next()).refuse(404, "NotFound", "no")
    with pytest.raises(ApiError):
        await asked
    asked = asyncio.create_task(client.request("GET", "/x"))
    for _ in range(2):  # a kept connection may just have been closed: it is tried once more on a new one
        (await server.next()).drop()
    with pytest.raises(Unreachable):
        await asked
    assert told == [("GET", "404"), ("GET", "<error>")]
