"""What ``exec`` and ``attach`` need of a client's connection, whether WebSocket or SPDY is spoken on it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from clusterip.objects import codec

STDIN, STDOUT, STDERR, ERROR, RESIZE = 0, 1, 2, 3, 4
"""The streams, by the numbers that they have on a WebSocket."""

Resize = Callable[[int, int], None]
"""Is told a terminal's new width and height, in characters."""


class _Size(msgspec.Struct):
    Width: int = 0
    Height: int = 0


class Channels(ABC):
    """The streams between a client and a command."""

    plain_status = False
    """Whether the client understands only a text of what went wrong, as before version 4 of the protocol."""

    @abstractmethod
    async def send(self, channel: int, data: bytes) -> None:
        """Send data; harmless if the client has gone or does not want that channel."""

    @abstractmethod
    def receive(self, *, resize: Resize) -> AsyncIterator[bytes]:
        """The client's input as it comes; ends when the client leaves.

        ``b""`` is the end of the input while the client stays to listen.
        """

    @abstractmethod
    async def close(self) -> None:
        """No more will be sent."""

    async def copy(self, source: AsyncIterator[bytes], channel: int) -> None:
        """Send everything of ``source`` to a channel."""
        async for data in source:
            await self.send(channel, data)

    async def finish(self, status: dict[str, Any]) -> None:
        """Send how it ended and close."""
        if not self.plain_status:
            await self.send(ERROR, codec.encode(status))
        elif message := status.get("message"):
            await self.send(ERROR, message.encode())
        try:
            async with asyncio.timeout(5):
                await self.close()
        except (TimeoutError, ConnectionError):
            return  # a client that does not answer is gone as well


def resize_to(content: bytes, resize: Resize) -> None:
    """Take a size as clients send it; one that cannot be read changes nothing."""
    try:
        size = msgspec.json.decode(content, type=_Size)
    except msgspec.DecodeError:
        return
    if 0 < size.Width < 65536 and 0 < size.Height < 65536:
        resize(size.Width, size.Height)


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
