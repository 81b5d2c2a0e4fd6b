"""Thresholds of probes, and checks against real servers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from clusterip.node.pods import checks
from clusterip.node.pods.checks import CheckErrored, CheckFailed
from clusterip.node.pods.probe import Kind, Prober
from clusterip.objects.core.containers import Container, ContainerPort, HTTPGetAction, Probe, TCPSocketAction


async def outcome(kind: Kind, answers: Sequence[bool | str], **settings: Any) -> tuple[list[bool], int]:
    """What a probe concludes from a sequence of answers, and how many failures it told of."""
    results: list[bool] = []
    failures: list[str] = []
    remaining = iter(answers)
    exhausted = asyncio.Event()

    async def check(_seconds: float) -> None:
        answer = next(remaining, None)
        if answer is None:
            exhausted.set()
            await asyncio.Event().wait()
        if isinstance(answer, str):
            raise CheckErrored(answer)
        if not answer:
            raise CheckFailed("no")

    prober = Prober(
        kind,
        Probe(periodSeconds=1000, **settings),
        check,
        on_result=lambda _kind, success: results.append(success),
        on_failure=lambda _kind, message: failures.append(message),
    )
    running = asyncio.create_task(prober.run(time.time() - 100))
    while not running.done() and not exhausted.is_set():
        prober.hurry()
        await asyncio.sleep(0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return results, len(failures)


async def test_readiness_changes_after_as_many_in_a_row_as_its_thresholds_say() -> None:
    answers = [True, False, False, True, False, False, False, True, True]
    found = await outcome("Readiness", answers, failureThreshold=3, successThreshold=2)
    assert found == ([False, True], 5)


async def test_liveness_ends_with_the_container_it_condemns() -> None:
    assert await outcome("Liveness", [True, False, False, False, True], failureThreshold=2) == (
        [True, False],
        2,
    )


async def test_a_check_that_cannot_be_done_says_nothing() -> None:
    answers = [True, False, "no room", "no room", "no room", False, True]
    assert await outcome("Liveness", answers, failureThreshold=3) == ([True], 5)
    assert await outcome("Readiness", ["no room", True]) == ([True], 1)


async def test_a_startup_probe_ends_with_success() -> None:
    assert await outcome("Startup", [False, True, False], failureThreshold=5) == ([True], 1)


async def test_a_container_just_started_is_given_time() -> None:
    failures: list[str] = []
    attempts = iter([False, False, True])

    async def check(_seconds: float) -> None:
        if not next(attempts):
            raise CheckFailed("not yet")

    ready = asyncio.Event()
    prober = Prober(
        "Readiness",
        Probe(periodSeconds=1000),
        check,
        on_result=lambda _kind, success: ready.set(),
        on_failure=lambda _kind, message: failures.append(message),
    )
    running = asyncio.create_task(prober.run(time.time()))
    await asyncio.wait_for(ready.wait(), 2)
    running.cancel()
    assert failures == []


@contextlib.asynccontextmanager
async def server(answer: bytes | None) -> AsyncIterator[int]:
    """A server that gives one answer to everybody; None: never any."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    serving = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield serving.sockets[0].getsockname()[1]
    finally:
        serving.close()


@pytest.mark.parametrize("code", [200, 302, 399])
async def test_http_success(code: int) -> None:
    async with server(f"HTTP/1.1 {code} X\r\n\r\n".encode()) as port:
        container = Container(ports=[ContainerPort(name="web", containerPort=port)])
        await checks.get(HTTPGetAction(port="web", path="/ok"), container, "127.0.0.1", 1)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("/good", ""),
        ("/bad", "HTTP probe failed with statuscode: 500"),
        ("/elsewhere", ""),  # another host's health is not asked for
        ("/loop", 'Get "http://127.0.0.1:{port}/loop": stopped after 10 redirects'),
    ],
)
async def test_redirects_within_the_host_are_followed(start: str, message: str) -> None:
    answers = {
        "/good": "302 Found\r\nLOCATION: fine?x=1",
        "/fine?x=1": "200 OK",
        "/bad": "301 Moved\r\nLocation: /broken",
        "/broken": "500 Oops",
        "/elsewhere": "307 There\r\nLocation: http://192.0.2.1/",
        "/loop": "308 Here\r\nLocation: /loop",
    }

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readline()).split()[1].decode()
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {answers[path]}\r\n\r\n".encode())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as serving:
        port = serving.sockets[0].getsockname()[1]
        check = checks.get(HTTPGetAction(port=port, path=start), Container(), "127.0.0.1", 5)
        if not message:
            await check
            return
        with pytest.raises(CheckFailed) as caught:
            await check
        assert str(caught.value) == message.format(port=port)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 503 Busy\r\n\r\n", "HTTP probe failed with statuscode: 503"),
        (None, 'Get "http://127.0.0.1:{port}/": context deadline exceeded'),
        (b"", 'Get "http://127.0.0.1:{port}/": EOF'),
    ],
)
async def test_http_failure(answer: bytes | None, message: str) -> None:
    async with server(answer) as port:
        with pytest.raises(CheckFailed) as caught:
            await checks.get(HTTPGetAction(port=port), Container(), "127.0.0.1", 0.2)
        assert str(caught.value).startswith(message.format(port=port))


async def test_nobody_listens() -> None:
    async with server(b"") as port:
        pass
    refused = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    with pytest.raises(CheckFailed) as caught:
        await checks.connect(TCPSocketAction(port=port), Container(), "127.0.0.1", 1)
    assert str(caught.value) == refused
    with pytest.raises(CheckFailed) as caught:
        await checks.get(HTTPGetAction(port=port, path="x"), Container(), "127.0.0.1", 1)
    assert str(caught.value) == f'Get "http://127.0.0.1:{port}/x": {refused}'


def test_a_port_by_a_name_nobody_has() -> None:
    with pytest.raises(CheckFailed, match="couldn't find port: web"):
        checks.resolve_port("web", Container())
