"""Taking a client's connection away from the HTTP server and joining it to another, byte for byte.

So it does not matter here whether WebSocket or SPDY is spoken over an upgraded connection.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

_CHUNK = 64 * 1024
_HIGH = 1024 * 1024


class Hijacked(web.StreamResponse):
    """Stands for an answer that was given past the HTTP server."""

    def __init__(self) -> None:
        super().__init__(status=101)
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return


class Relay(asyncio.Protocol):
    """Joins a request's connection to an open one until either side ends."""

    def __init__(
        self, request: web.BaseRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client has left")
        self._former = request.protocol
        self._client = transport
        self._reader = reader
        self._writer = writer
        self._writable = asyncio.Event()
        self._writable.set()
        self._draining: asyncio.Task[None] | None = None
        self._lost = False

    async def run(self, head: bytes) -> None:
        """Send ``head`` to the client, then relay until one side has ended; closes both."""
        self._client.set_protocol(self)
        if not self._client.is_reading():
            self._client.resume_reading()
        try:
            self._client.write(head)
            while data := await self._reader.read(_CHUNK):
                if self._lost:
                    break
                self._client.write(data)
                await self._writable.wait()
        except OSError:
            return  # one of the two has ended; there is nobody to tell
        finally:
            self._writer.close()
            if not self._lost:
                self._client.close()
                # The HTTP server keeps books on its connections.
                self._former.connection_lost(None)

    def data_received(self, data: bytes) -> None:
        if self._writer.is_closing():
            return
        self._writer.write(data)
        if self._draining is None and self._writer.transport.get_write_buffer_size() > _HIGH:
            self._client.pause_reading()
            self._draining = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        try:
            await self._writer.drain()
        except OSError:
            return  # seen by the reading side as well
        finally:
            self._draining = None
        if not self._client.is_closing():
            self._client.resume_reading()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._lost:
            return
        self._lost = True
        self._writable.set()
        self._writer.close()
        self._reader.feed_eof()
        self._former.connection_lost(exc)
