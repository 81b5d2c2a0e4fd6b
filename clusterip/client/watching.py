"""The lines of a watch: what changed, cut out of chunks that end anywhere."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from clusterip.client.errors import ApiError
from clusterip.objects import codec
from clusterip.objects.meta import Status

T = TypeVar("T")


class WatchEvent(msgspec.Struct, Generic[T]):
    """One change. ``type`` is ``ADDED``, ``MODIFIED``, ``DELETED`` or ``BOOKMARK``."""

    type: str
    object: T


class RawEvent(msgspec.Struct):
    """A change whose object is still JSON: the type decides as what to decode it."""

    type: str
    object: msgspec.Raw


class _BookmarkMeta(msgspec.Struct):
    resourceVersion: str = ""
    annotations: dict[str, str] | None = None


class Bookmark(msgspec.Struct):
    """How far a watch has come, without a change."""

    metadata: _BookmarkMeta


class LineSplitter:
    """Turns chunks into whole lines; what follows the last line break waits for the next chunk."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        lines = chunk.split(b"\n")
        lines[0] = self._rest + lines[0] if self._rest else lines[0]
        self._rest = lines.pop()
        return [line for line in lines if line]


_decoder = msgspec.json.Decoder(RawEvent)


def parse_event(line: bytes) -> RawEvent:
    """One line of a watch.

    Raises:
        ApiError: the line is an ``ERROR`` event, such as 410 when the version is too old.
        msgspec.DecodeError: the line is not JSON.
    """
    event = _decoder.decode(line)
    if event.type == "ERROR":
        raise ApiError(codec.decode(event.object, Status))
    return event
