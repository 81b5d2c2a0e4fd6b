"""The lines of a watch: what changed, cut out of chunks that end anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import msgspec

from clusterip.client.errors import ApiError
from clusterip.objects import codec
from clusterip.objects.meta import Status

T = TypeVar("T")

_INITIAL_EVENTS_END = "k8s.io/initial-events-end"
_SPECIAL = frozenset(("BOOKMARK", "ERROR"))


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

    @property
    def ends_initial_events(self) -> bool:
        """Whether everything that was there when the watch began has been told by now."""
        return (self.metadata.annotations or {}).get(_INITIAL_EVENTS_END) == "true"


class LineSplitter:
    """Turns chunks into whole lines; what follows the last line break waits for the next chunk."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        return [line for line in self.feed_block(chunk).split(b"\n") if line]

    def feed_block(self, chunk: bytes) -> bytes:
        """The whole lines as they are, in one piece; empty if there is none yet."""
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._rest += chunk
            return b""
        block, self._rest = self._rest + chunk[:end], chunk[end:]
        return block


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


class EventReader(Generic[T]):
    """Reads the events of a watch straight into objects of one type.

    ``not_understood`` is told of objects that are not of that type, which are left out: one object from a
    newer or broken writer must not hide all others.
    """

    def __init__(
        self, type_: type[T], not_understood: Callable[[bytes, msgspec.ValidationError], None]
    ) -> None:
        self._type = type_
        self._not_understood = not_understood
        self._lines = LineSplitter()
        wanted: Any = WatchEvent[type_]  # type: ignore[valid-type]
        self._decoder: msgspec.json.Decoder[WatchEvent[T]] = msgspec.json.Decoder(wanted)

    def feed(self, chunk: bytes) -> Iterator[WatchEvent[T] | Bookmark]:
        """The events that a chunk completes. Raises as ``parse_event`` does, after those before."""
        block = self._lines.feed_block(chunk)
        if not block:
            return
        try:
            events = self._decoder.decode_lines(block)
        except msgspec.DecodeError:
            # Rare: an object with nulls in it, or one that is not understood. Line by line, then.
            for line in block.split(b"\n"):
                if line:
                    yield from self._slowly(line)
            return
        for number, event in enumerate(events):
            if event.type in _SPECIAL:
                yield from self._slowly([line for line in block.split(b"\n") if line][number])
            else:
                yield event

    def _slowly(self, line: bytes) -> Iterator[WatchEvent[T] | Bookmark]:
        event = parse_event(line)
        if event.type == "BOOKMARK":
            yield codec.decode(event.object, Bookmark)
            return
        try:
            yield WatchEvent(event.type, codec.decode(event.object, self._type))
        except msgspec.ValidationError as error:
            self._not_understood(bytes(event.object), error)
            yield codec.decode(event.object, Bookmark)  # so far the watch has come nevertheless
