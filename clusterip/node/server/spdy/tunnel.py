"""kubectl's port forwarding: SPDY/3.1 in the messages of a WebSocket.

For every connection the client opens two streams with the same ``requestID``: ``error``, on which it
is told what went wrong, and ``data``. See ``client-go/tools/portforward``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from aiohttp import WSMsgType, web

from clusterip.node.server.spdy.frames import (
    CANCEL,
    PING,
    REFUSED_STREAM,
    RST_STREAM,
    SYN_STREAM,
    Decoder,
    Encoder,
    Frame,
    ProtocolError,
)

PROTOCOL = "SPDY/3.1+portforward.k8s.io"
_CHUNK = 32 * 1024
_QUEUED = 64

Connect = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""Opens a connection to a port of the Pod. Raises OSError."""


class _Pair:
    """The two streams of one forwarded connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.error = 0
        self.data = 0
        self.input: asyncio.Queue[bytes] = asyncio.Queue(_QUEUED)  # b"" is its end
        self.task: asyncio.Task[None] | None = None


class Tunnel:
    """Serves one such WebSocket."""

    def __init__(self, socket: web.WebSocketResponse, connect: Connect) -> None:
        self._socket = socket
        self._connect = connect
        self._encoder = Encoder()
        self._sending = asyncio.Lock()
        self._pairs: dict[str, _Pair] = {}
        self._by_stream: dict[int, _Pair] = {}

    async def run(self) -> None:
        """Forward until the client leaves."""
        decoder = Decoder()
        try:
            async for message in self._socket:
                if message.type != WSMsgType.BINARY:
                    break
                for frame in decoder.feed(message.data):
                    await self._handle(frame)
        except ProtocolError:
            await self._socket.close(code=1002)
        finally:
            tasks = [pair.task for pair in self._pairs.values() if pair.task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _handle(self, frame: Frame) -> None:
        if frame.type == SYN_STREAM:
            await self._open(frame)
        elif frame.type == PING:
            await self._send(self._encoder.ping(frame.data))
        elif frame.type == RST_STREAM:
            pair = self._by_stream.pop(frame.stream, None)
            if pair and pair.data == frame.stream and pair.task:
                pair.task.cancel()
        elif frame.type == 0:
            pair = self._by_stream.get(frame.stream)
            if pair and pair.data == frame.stream:
                if frame.data:
                    await pair.input.put(frame.data)
                if frame.fin:
                    await pair.input.put(b"")

    async def _open(self, frame: Frame) -> None:
        headers = {name.lower(): value for name, value in frame.headers.items()}
        kind, port = headers.get("streamtype", ""), headers.get("port", "")
        if kind not in ("error", "data") or not port.isdigit() or not 0 < int(port) < 65536:
            await self._send(self._encoder.reset(frame.stream, REFUSED_STREAM))
            return
        pair = self._pairs.setdefault(headers.get("requestid", ""), _Pair(int(port)))
        self._by_stream[frame.stream] = pair
        if kind == "error":
            pair.error = frame.stream
        else:
            pair.data = frame.stream
        await self._send(self._encoder.reply(frame.stream))
        if pair.error and pair.data and pair.task is None:
            pair.task = asyncio.create_task(self._forward(headers.get("requestid", ""), pair))

    async def _forward(self, request: str, pair: _Pair) -> None:
        try:
            reader, writer = await self._connect(pair.port)
        except OSError as error:
            text = f"an error occurred forwarding {pair.port}: {error}"
            await self._send(self._encoder.data(pair.error, text.encode(), fin=True))
            await self._send(self._encoder.reset(pair.data, CANCEL))
            self._forget(request, pair)
            return
        feeding = asyncio.create_task(_feed(writer, pair.input))
        try:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(_CHUNK):
                    await self._send(self._encoder.data(pair.data, data))
            await self._send(self._encoder.data(pair.data, b"", fin=True))
            await self._send(self._encoder.data(pair.error, b"", fin=True))
            await feeding
        finally:
            feeding.cancel()
            writer.close()
            self._forget(request, pair)

    def _forget(self, request: str, pair: _Pair) -> None:
        self._pairs.pop(request, None)
        for stream in (pair.error, pair.data):
            self._by_stream.pop(stream, None)
        while not pair.input.empty():  # whoever waits to put something in may go on
            pair.input.get_nowait()

    async def _send(self, data: bytes) -> None:
        async with self._sending:
            if not self._socket.closed:
                with contextlib.suppress(ConnectionError, RuntimeError):
                    await self._socket.send_bytes(data)


async def _feed(writer: asyncio.StreamWriter, source: asyncio.Queue[bytes]) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.get():
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
