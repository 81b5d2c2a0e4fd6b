"""How events reach a watcher: as the chunks of a response, or over a WebSocket."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from multidict import CIMultiDict

from clusterip.apiserver.authn import WEBSOCKET_PREFIX
from clusterip.apiserver.call import Call, header_of

SLOW_BYTES = 16 * 1024 * 1024
"""How much may wait to be sent to a watcher before it is dropped. It comes back where it was."""

BUFFERED_BYTES = 64 * 1024
"""How much may wait before the beginning of a watch is no longer added to."""

Count = Callable[[list[bytes]], None]


class WatchStream(Protocol):
    """Where a watch's events go. ``ended`` is done when no more can be sent."""

    ended: asyncio.Future[None]

    def send(self, frames: list[bytes]) -> None: ...

    async def drain(self) -> None:
        """Wait until most of what was sent is on its way. Raises ConnectionError: the client has left."""
        ...

    def end(self) -> None: ...

    async def close(self) -> None:
        """Send what still waits and say goodbye."""
        ...


async def open_stream(call: Call, content_type: str, count: Count) -> tuple[WatchStream, web.StreamResponse]:
    """Answer a watch's request and have the connection ready for events; each is counted by ``count``.

    Raises:
        ConnectionResetError: the client has left.
    """
    if call.request.headers.get("Upgrade", "").lower() == "websocket":
        socket = web.WebSocketResponse(autoping=True, protocols=_protocols(call))
        await socket.prepare(call.request)
        return _SocketStream(socket, count), socket
    transport = call.request.transport
    if transport is None:
        raise ConnectionResetError("the client has left")
    transport.set_write_buffer_limits(high=BUFFERED_BYTES)
    headers = CIMultiDict({"Content-Type": content_type, "Cache-Control": "no-cache, private"})
    for warning in call.told:
        headers.add("Warning", header_of(warning))
    response = web.StreamResponse(headers=headers)
    response.enable_chunked_encoding()
    await response.prepare(call.request)
    return _ChunkedStream(transport, call.request.protocol, count), response


def _protocols(call: Call) -> tuple[str, ...]:
    """The subprotocols offered, whatever they are called: a browser that names some wants one of them back.

    Not the one that is a token (``k8s.io/apiserver/pkg/authentication/request/websocket``).
    """
    offered = call.request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    names = (each.strip() for each in offered)
    return tuple(each for each in names if each and not each.startswith(WEBSOCKET_PREFIX))


class _ChunkedStream:
    """The body of a response: chunks written straight to the connection.

    An event is encoded once, and writing it costs no task switch for any of its watchers.
    """

    __slots__ = ("_count", "_protocol", "_transport", "ended")

    def __init__(self, transport: asyncio.WriteTransport, protocol: BaseProtocol, count: Count) -> None:
        self._transport = transport
        self._protocol = protocol
        self._count = count
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send(self, frames: list[bytes]) -> None:
        transport = self._transport
        if transport.is_closing():
            self.end()
            return
        self._count(frames)
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        if transport.get_write_buffer_size() > SLOW_BYTES:
            transport.abort()
            self.end()

    async def drain(self) -> None:
        await self._protocol._drain_helper()  # the HTTP server's own, as we write past it

    def end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    async def close(self) -> None:
        return None


class _SocketStream:
    """A WebSocket, on which every event is a text message of its own, as browsers want it."""

    def __init__(self, socket: web.WebSocketResponse, count: Count) -> None:
        self._socket = socket
        self._count = count
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._more = asyncio.Event()
        self._sent = asyncio.Event()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks = [asyncio.create_task(each) for each in (self._write(), self._read())]

    def send(self, frames: list[bytes]) -> None:
        self._count(frames)
        self._waiting.extend(frames)
        self._size += sum(map(len, frames))
        self._more.set()
        if self._size > SLOW_BYTES:
            self._waiting.clear()
            self.end()

    async def drain(self) -> None:
        while self._size > BUFFERED_BYTES and not self.ended.done():
            self._sent.clear()
            await self._sent.wait()

    def end(self) -> None:
        self._sent.set()
        if not self.ended.done():
            self.ended.set_result(None)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        with suppress(ConnectionError):
            await self._flush()
            await self._socket.close()

    async def _write(self) -> None:
        try:
            while True:
                await self._more.wait()
                self._more.clear()
                await self._flush()
        except ConnectionError:
            self.end()

    async def _flush(self) -> None:
        while self._waiting:
            frame = self._waiting.popleft()
            self._size -= len(frame)
            await self._socket.send_str(frame.decode())
            self._sent.set()

    async def _read(self) -> None:
        """Nothing is expected from the client but that it leaves."""
        async for _ in self._socket:
            pass
        self.end()
