"""Streams of a command over one WebSocket: ``v4.channel.k8s.io`` and ``v5.channel.k8s.io``.

Each message begins with the number of its channel. Version 5 adds a message that closes one channel,
so that a command can see the end of its input. See upstream's
``staging/src/k8s.io/apimachinery/pkg/util/remotecommand/constants.go``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from clusterip.objects import codec

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io")
_MAXIMUM_MESSAGE = 16 << 20


class _Size(msgspec.Struct):
    Width: int = 0
    Height: int = 0


class Channels:
    """The server's side of such a WebSocket."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    @classmethod
    async def open(cls, request: web.Request, first: int) -> Channels:
        """Accept a WebSocket and say so on channel ``first``, which the client waits for."""
        socket = web.WebSocketResponse(
            protocols=PROTOCOLS, max_msg_size=_MAXIMUM_MESSAGE, compress=False, heartbeat=30.0
        )
        await socket.prepare(request)
        channels = cls(socket)
        await channels.send(first, b"")
        return channels

    @property
    def response(self) -> web.WebSocketResponse:
        return self._socket

    async def send(self, channel: int, data: bytes) -> None:
        """Send data; harmless if the client has gone."""
        if not self._socket.closed:
            try:
                await self._socket.send_bytes(bytes((channel,)) + data)
            except (ConnectionError, RuntimeError):
                return  # noticed by the reading side

    async def copy(self, source: AsyncIterator[bytes], channel: int) -> None:
        """Send everything of ``source`` to a channel."""
        async for data in source:
            await self.send(channel, data)

    async def receive(self, *, resize: Callable[[int, int], None]) -> AsyncIterator[bytes]:
        """The client's input as it comes; ends when the client closes it or leaves.

        ``b""`` is the end of the input while the client stays to listen.
        """
        async for message in self._socket:
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                return
            data = message.data.encode() if message.type == WSMsgType.TEXT else message.data
            if not data:
                continue
            channel, content = data[0], data[1:]
            if channel == STDIN and content:
                yield content
            elif channel == CLOSE and content[:1] == bytes((STDIN,)):
                yield b""
            elif channel == RESIZE:
                try:
                    size = msgspec.json.decode(content, type=_Size)
                except msgspec.DecodeError:
                    continue  # a size that cannot be read changes nothing
                resize(size.Width, size.Height)

    async def finish(self, status: dict[str, Any]) -> None:
        """Send how it ended and close."""
        await self.send(ERROR, codec.encode(status))
        if not self._socket.closed:
            try:
                async with asyncio.timeout(5):
                    await self._socket.close()
            except (TimeoutError, ConnectionError):
                return  # a client that does not answer is gone as well


def success() -> dict[str, Any]:
    """The status of a command that ended with 0."""
    return {"metadata": {}, "status": "Success"}


def exit_status(code: int) -> dict[str, Any]:
    """The status of a command that ended with ``code``."""
    if code == 0:
        return success()
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failure(message: str) -> dict[str, Any]:
    """The status of a command that could not be run."""
    return {
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    }
