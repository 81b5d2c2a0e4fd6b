"""Events: told once, counted after that, never in the way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clusterip.client.config import Config
from clusterip.client.credentials import TokenFile
from clusterip.client.events import EventRecorder
from clusterip.client.rest import Client
from clusterip.objects.core.pod import Pod
from clusterip.objects.meta import ObjectMeta

POD = Pod(metadata=ObjectMeta(name="p", namespace="ns", uid="u", resourceVersion="3"))


@pytest.fixture
async def recorder(client: Client) -> AsyncIterator[EventRecorder]:
    recorder = EventRecorder(client, "kubelet", "node-1")
    task = asyncio.create_task(recorder.run())
    yield recorder
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_the_same_again_is_counted(server: Any, recorder: EventRecorder) -> None:
    recorder.event(POD, "Normal", "Started", "it runs")
    first = await server.next()
    body = msgspec.json.decode(first.body)
    assert (first.method, first.path) == ("POST", "/api/v1/namespaces/ns/events")
    assert body["metadata"]["name"].startswith("p.")
    assert body["source"] == {"component": "kubelet", "host": "node-1"}
    about = body["involvedObject"]
    assert (about["kind"], about["apiVersion"], about["uid"]) == ("Pod", "v1", "u")
    await first.answer(body)

    recorder.event(POD, "Normal", "Started", "it runs")
    again = await server.next()
    assert again.method == "PATCH"
    assert msgspec.json.decode(again.body)["count"] == 2
    await again.answer({**body, "count": 2})

    recorder.event(POD, "Normal", "Started", "it runs")
    third = await server.next()
    await third.refuse(404, "NotFound", "expired meanwhile")
    fresh = await server.next()
    assert (fresh.method, msgspec.json.decode(fresh.body)["count"]) == ("POST", 3)
    await fresh.answer(body)


async def test_refusals_are_dropped_and_the_next_is_sent(server: Any, recorder: EventRecorder) -> None:
    recorder.event(POD, "Normal", "A", "a")
    recorder.event(POD, "Normal", "B", "b")
    await (await server.next()).refuse(403, "Forbidden", "no")
    assert msgspec.json.decode((await server.next()).body)["reason"] == "B"


async def test_sent_when_the_server_is_back(server: Any, recorder: EventRecorder) -> None:
    await server.stop()
    recorder.event(POD, "Normal", "A", "a")
    await asyncio.sleep(0.05)
    await server.start()
    assert msgspec.json.decode((await server.next()).body)["reason"] == "A"


async def test_one_object_cannot_drown_the_rest(client: Client) -> None:
    recorder = EventRecorder(client, "kubelet")
    for i in range(100):
        recorder.event(POD, "Warning", "BackOff", f"again {i}")
    assert recorder.waiting == 25
    recorder.event(Pod(metadata=ObjectMeta(name="q", uid="v")), "Normal", "A", "a")
    assert recorder.waiting == 26


async def test_credentials_that_are_not_there_yet_are_waited_for(server: Any, tmp_path: Path) -> None:
    credentials = _Late(tmp_path / "token")
    config = Config(server=f"http://127.0.0.1:{server.port}", credentials=credentials)
    async with Client(config) as client:
        recorder = EventRecorder(client, "kubelet")
        task = asyncio.create_task(recorder.run())
        recorder.event(POD, "Normal", "A", "a")
        async with asyncio.timeout(5):
            await credentials.asked.wait()
        (tmp_path / "token").write_text("t")
        sent = await server.next()
        assert sent.headers["authorization"] == "Bearer t"
        await sent.answer(msgspec.json.decode(sent.body))
        async with asyncio.timeout(5):
            await recorder.sent()
        assert not task.done()
        task.cancel()


class _Late(TokenFile):
    """Says when it was asked in vain."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked = asyncio.Event()

    async def authorization(self) -> str | None:
        try:
            return await super().authorization()
        finally:
            self.asked.set()
