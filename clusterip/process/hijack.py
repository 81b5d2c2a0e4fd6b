"""Taking a client's connection away from the HTTP server, to speak another protocol over it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_protocol import RequestHandler


class Hijacked(web.StreamResponse):
    """Stands for an answer that was given past the HTTP server."""

    def __init__(self) -> None:
        super().__init__(status=101)
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return


class _Protocol(asyncio.StreamReaderProtocol):
    """The connection as streams; the HTTP server, which keeps books on it, hears of its end."""

    def __init__(self, reader: asyncio.StreamReader, former: RequestHandler) -> None:
        super().__init__(reader)
        self._former = former

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._former.connection_lost(exc)


@contextlib.asynccontextmanager
async def hijack(
    request: web.BaseRequest,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """The connection of a request as streams; closed at the end, after what was written is sent.

    The request's head must ask for an upgrade, so that the HTTP server reads no further by itself.

    Raises:
        ConnectionResetError: the client has left.
    """
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has left")
    reader = asyncio.StreamReader()
    protocol = _Protocol(reader, request.protocol)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if not transport.is_reading():
        transport.resume_reading()
    writer = asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())
    try:
        yield reader, writer
    finally:
        writer.close()


def is_upgrade(request: web.BaseRequest) -> bool:
    """Whether a request asks for another protocol."""
    return any("upgrade" in value.lower() for value in request.headers.getall("Connection", []))
