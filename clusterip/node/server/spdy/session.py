"""A SPDY session: frames from and to a client, over a connection or in a WebSocket's messages.

There is no flow control beyond that of the connection below: upstream's implementation has none either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Protocol

from aiohttp import WSMsgType, web

from clusterip.node.server.spdy.frames import PING, Decoder, Encoder, Frame

_CHUNK = 64 * 1024


class Link(Protocol):
    """What carries the bytes of a session."""

    async def receive(self) -> bytes:
        """What came; nothing at the end. Raises OSError."""
        ...

    async def send(self, data: bytes) -> None:
        """Raises OSError."""
        ...


class StreamLink:
    """A connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self) -> bytes:
        return await self._reader.read(_CHUNK)

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


class WebSocketLink:
    """The messages of a WebSocket."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def receive(self) -> bytes:
        while True:
            message = await self._socket.receive()
            if message.type != WSMsgType.BINARY:
                return b""
            if message.data:
                data: bytes = message.data
                return data

    async def send(self, data: bytes) -> None:
        if self._socket.closed:
            raise ConnectionResetError("the client has left")
        await self._socket.send_bytes(data)


class Session:
    """The server's side of a session."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._encoder = Encoder()
        self._decoder = Decoder()
        self._received: Iterator[Frame] = iter(())
        self._sending = asyncio.Lock()

    async def receive(self) -> Frame | None:
        """The client's next frame; None once it has left. Pings are answered here.

        Raises:
            ProtocolError: the client does not speak SPDY.
        """
        while True:
            for frame in self._received:
                if frame.type == PING:
                    await self._send(self._encoder.ping(frame.data))
                else:
                    return frame
            try:
                data = await self._link.receive()
            except OSError:
                return None
            if not data:
                return None
            self._received = self._decoder.feed(data)

    async def reply(self, stream: int) -> None:
        """Accept a stream."""
        await self._send(self._encoder.reply(stream))

    async def data(self, stream: int, data: bytes, *, fin: bool = False) -> None:
        """Send data of a stream, the last of it if ``fin``."""
        await self._send(self._encoder.data(stream, data, fin=fin))

    async def reset(self, stream: int, status: int) -> None:
        """Give a stream up."""
        await self._send(self._encoder.reset(stream, status))

    async def _send(self, data: bytes) -> None:
        """Frames go out in the order in which they were made, as they share one compression."""
        async with self._sending:
            try:
                await self._link.send(data)
            except (OSError, RuntimeError):
                return  # the client has left; the reading side notices as well
