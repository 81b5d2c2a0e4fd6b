"""Streams of a command over SPDY: each is a SPDY stream that says in its header what it is.

As upstream's ``cri-streaming/pkg/streaming/remotecommand/httpstream.go``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

from clusterip.node.server.channels import ERROR, RESIZE, STDERR, STDIN, STDOUT, Channels, Resize, resize_to
from clusterip.node.server.spdy.frames import (
    GOAWAY,
    REFUSED_STREAM,
    RST_STREAM,
    SYN_STREAM,
    Frame,
    ProtocolError,
)
from clusterip.node.server.spdy.session import Session

PROTOCOLS = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
_TYPES = {"error": ERROR, "stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "resize": RESIZE}
_CREATION_SECONDS = 30.0
_LEAVING_SECONDS = 5.0


class SpdyChannels(Channels):
    """The server's side of such a session."""

    def __init__(self, session: Session, protocol: str) -> None:
        self._session = session
        self._streams: dict[int, int] = {}  # SPDY's numbers by ours
        self._early: deque[Frame] = deque()
        self._listening = False
        self._left = asyncio.Event()
        self.plain_status = protocol != PROTOCOLS[0]

    @classmethod
    async def open(cls, session: Session, protocol: str, wanted: set[int]) -> SpdyChannels:
        """Accept the streams that the request announced.

        Raises:
            TimeoutError: the client does not create them in time.
            ConnectionResetError: it has left.
        """
        channels = cls(session, protocol)
        expected = {ERROR, *wanted} - ({RESIZE} if protocol in PROTOCOLS[2:] else set())
        async with asyncio.timeout(_CREATION_SECONDS):
            while not expected <= channels._streams.keys():
                frame = await channels._next()
                if frame is None:
                    raise ConnectionResetError("the client has left")
                await channels._accept(frame)
        return channels

    async def _accept(self, frame: Frame) -> None:
        if frame.type != SYN_STREAM:
            self._early.append(frame)  # a client need not wait for all of its streams
            return
        headers = {name.lower(): value for name, value in frame.headers.items()}
        channel = _TYPES.get(headers.get("streamtype", ""))
        if channel is None:
            await self._session.reset(frame.stream, REFUSED_STREAM)
            return
        self._streams[channel] = frame.stream
        await self._session.reply(frame.stream)

    async def send(self, channel: int, data: bytes) -> None:
        stream = self._streams.get(channel)
        if stream is not None and data:
            await self._session.data(stream, data)

    async def receive(self, *, resize: Resize) -> AsyncIterator[bytes]:
        stdin, size = self._streams.get(STDIN), self._streams.get(RESIZE)
        self._listening = True
        while (frame := self._early.popleft() if self._early else await self._next()) is not None:
            if frame.type == RST_STREAM and frame.stream == stdin:
                yield b""
            elif frame.type == 0 and frame.stream == stdin:
                if frame.data:
                    yield frame.data
                if frame.fin:
                    yield b""
            elif frame.type == 0 and frame.stream == size:
                resize_to(frame.data, resize)

    async def _next(self) -> Frame | None:
        """The client's next frame; None once it has left, or says that it will."""
        try:
            frame = await self._session.receive()
        except ProtocolError:
            frame = None
        if frame is None or frame.type == GOAWAY:
            self._left.set()
            return None
        return frame

    async def close(self) -> None:
        for channel in (STDOUT, STDERR, ERROR):
            if channel in self._streams:
                await self._session.data(self._streams[channel], b"", fin=True)
        # A connection that is closed with unread input is reset, and then the client may lose what was sent.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVING_SECONDS):
                while not self._listening and await self._next() is not None:
                    pass
                await self._left.wait()
