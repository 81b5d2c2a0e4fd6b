"""A server that plays a script over real HTTP, byte by byte, so that tests decide where chunks end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from clusterip.client.config import Config
from clusterip.client.rest import Client


class Exchange:
    """One request and the connection to answer it on."""

    def __init__(
        self, method: str, target: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter
    ) -> None:
        parts = urlsplit(target)
        self.headers = headers
        self.method, self.path, self.body = method, parts.path, body
        self.query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self._writer = writer

    async def answer(self, tree: object, code: int = 200, headers: str = "") -> None:
        await self.answer_bytes(msgspec.json.encode(tree), "application/json", code, headers)

    async def answer_bytes(self, body: bytes, content_type: str, code: int = 200, headers: str = "") -> None:
        head = f"HTTP/1.1 {code} X\r\nContent-Type: {content_type}\r\n{headers}"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await self._writer.drain()

    async def refuse(self, code: int, reason: str, message: str, headers: str = "") -> None:
        status = {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code}
        await self.answer(status, code, headers)

    async def begin(self, content_type: str = "application/json") -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
        self._writer.write(head.encode())
        await self._writer.drain()

    async def chunk(self, data: bytes) -> None:
        self._writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await self._writer.drain()

    async def end(self) -> None:
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    def drop(self) -> None:
        self._writer.transport.abort()


class ScriptedServer:
    """Hands each request to the test, which answers when and how it likes."""

    def __init__(self) -> None:
        self.requests: asyncio.Queue[Exchange] = asyncio.Queue()
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def next(self) -> Exchange:
        async with asyncio.timeout(5):
            return await self.requests.get()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *fields = head.decode().split("\r\n")
                headers = {
                    name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)
                }
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                method, target, _ = line.split()
                await self.requests.put(Exchange(method, target, headers, body, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(server: ScriptedServer) -> AsyncIterator[Client]:
    async with Client(Config(server=f"http://127.0.0.1:{server.port}")) as client:
        yield client


Until = Callable[[Callable[[], bool]], Awaitable[None]]


@pytest.fixture
def until() -> Until:
    """Wait for something that nothing tells of; five seconds at most."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    return wait
