"""Health and metrics over HTTP, asked by a real client."""

from __future__ import annotations

import asyncio
import http.client
import socket
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY, Counter

from clusterip.process.health import HealthServer, Page


class Served:
    def __init__(self, server: HealthServer, port: int) -> None:
        self.server = server
        self.port = port

    async def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        def fetch() -> tuple[int, str]:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request(method, path)
            response = connection.getresponse()
            found = response.status, response.read().decode()
            connection.close()
            return found

        return await asyncio.to_thread(fetch)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    server = HealthServer("test")
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    await server.start(listening)
    yield Served(server, port)
    await server.close()


async def test_all_is_well_until_a_check_says_why_not(served: Served) -> None:
    assert await served.get("/healthz") == (200, "ok")
    assert await served.get("/readyz") == (200, "ok")
    served.server.ready_check("synced", lambda: "no list yet")
    assert await served.get("/livez") == (200, "ok")
    status, body = await served.get("/readyz")
    assert (status, body) == (500, "[+]ping ok\n[-]synced failed: no list yet\nreadyz check failed\n")
    served.server.add_check("loop", lambda: "stuck")
    assert (await served.get("/healthz"))[0] == 500
    assert served.server.failures(ready=True) == {"loop": "stuck", "synced": "no list yet"}


async def test_verbose_exclude_and_single_checks(served: Served) -> None:
    served.server.ready_check("synced", lambda: "no list yet")
    assert await served.get("/livez?verbose") == (200, "[+]ping ok\nlivez check passed\n")
    assert await served.get("/readyz?exclude=synced") == (200, "ok")
    assert await served.get("/readyz/ping") == (200, "ok")
    assert await served.get("/readyz/synced") == (500, "no list yet\n")
    assert (await served.get("/readyz/other"))[0] == 404


async def test_a_check_that_raises_fails(served: Served) -> None:
    def broken() -> None:
        raise RuntimeError("bug")

    served.server.add_check("broken", broken)
    assert (await served.get("/healthz"))[0] == 500
    assert (await served.get("/metrics"))[0] == 200


async def test_metrics_are_those_of_prometheus_client(served: Served) -> None:
    counter = Counter("test_things", "Things.")
    try:
        counter.inc(3)
        status, body = await served.get("/metrics")
    finally:
        REGISTRY.unregister(counter)
    assert status == 200
    assert "test_things_total 3.0\n" in body


async def test_other_pages_and_what_is_none(served: Served) -> None:
    served.server.add_page("/health", lambda: Page(200, b"OK"))
    assert await served.get("/health") == (200, "OK")
    assert await served.get("/health", "HEAD") == (200, "")
    assert (await served.get("/"))[0] == 404
    assert (await served.get("/health", "PUT"))[0] == 405


async def test_a_connection_serves_many_requests(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    writer.write(request * 3 + request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer.count(b"200 OK") == 4


@pytest.mark.parametrize(
    "rubbish", [b"\r\n\r\n", b"x" * 100_000, b"GET /healthz\r\n\r\n", b"\0\xff \r\n\r\n"]
)
async def test_rubbish_ends_the_connection_not_the_server(served: Served, rubbish: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(rubbish)
    await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert await served.get("/healthz") == (200, "ok")


async def test_addresses_that_mean_nowhere() -> None:
    server = HealthServer("test")
    await server.start("")
    await server.start("0")
    await server.close()
