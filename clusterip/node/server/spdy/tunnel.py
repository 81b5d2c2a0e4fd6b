"""kubectl's port forwarding over SPDY/3.1.

For every connection the client opens two streams with the same ``requestID``: ``error``, on which it
is told what went wrong, and ``data``. See ``client-go/tools/portforward``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from clusterip.node.server.spdy.frames import (
    CANCEL,
    GOAWAY,
    REFUSED_STREAM,
    RST_STREAM,
    SYN_STREAM,
    Frame,
)
from clusterip.node.server.spdy.session import Session

PROTOCOL = "portforward.k8s.io"
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
    """Serves one session."""

    def __init__(self, session: Session, connect: Connect) -> None:
        self._session = session
        self._connect = connect
        self._pairs: dict[str, _Pair] = {}
        self._by_stream: dict[int, _Pair] = {}

    async def run(self) -> None:
        """Forward until the client leaves.

        Raises:
            ProtocolError: it does not speak SPDY.
        """
        try:
            while (frame := await self._session.receive()) is not None and frame.type != GOAWAY:
                await self._handle(frame)
        finally:
            tasks = [pair.task for pair in self._pairs.values() if pair.task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _handle(self, frame: Frame) -> None:
        if frame.type == SYN_STREAM:
            await self._open(frame)
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
            await self._session.reset(frame.stream, REFUSED_STREAM)
            return
        pair = self._pairs.setdefault(headers.get("requestid", ""), _Pair(int(port)))
        self._by_stream[frame.stream] = pair
        if kind == "error":
            pair.error = frame.stream
        else:
            pair.data = frame.stream
        await self._session.reply(frame.stream)
        if pair.error and pair.data and pair.task is None:
            pair.task = asyncio.create_task(self._forward(headers.get("requestid", ""), pair))

    async def _forward(self, request: str, pair: _Pair) -> None:
        try:
            reader, writer = await self._connect(pair.port)
        except OSError as error:
            await self._session.data(pair.error, str(error).encode(), fin=True)
            await self._session.reset(pair.data, CANCEL)
            self._forget(request, pair)
            return
        feeding = asyncio.create_task(_feed(writer, pair.input))
        try:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(_CHUNK):
                    await self._session.data(pair.data, data)
            await self._session.data(pair.data, b"", fin=True)
            await self._session.data(pair.error, b"", fin=True)
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


async def _feed(writer: asyncio.StreamWriter, source: asyncio.Queue[bytes]) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.get():
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
