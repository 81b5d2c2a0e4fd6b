"""Answers in protobuf: of servers that have no JSON, or where somebody insists on it.

JSON is what informers ask for: it is decoded in C straight into the objects, this here in Python. Upstream's
servers speak both for every built-in kind. Formats: ``k8s.io/apimachinery/pkg/runtime/serializer/protobuf``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec

from clusterip.client.errors import ApiError
from clusterip.client.listing import NotUnderstood
from clusterip.client.watching import Bookmark, WatchEvent
from clusterip.objects import codec, protobuf
from clusterip.objects.meta import Object, Status
from clusterip.objects.protobuf import NotProtobuf, wire

T = TypeVar("T")

_LENGTH = struct.Struct("!I")
_MOST_BYTES = 256 << 20  # of one event: more is no event but a mistake


def read_status(body: bytes) -> Status:
    """A ``Status`` in its envelope. Raises NotProtobuf."""
    fields = dict(wire.fields(protobuf.opened(body).message))
    code = fields.get(6, 0)
    return Status(
        status=_text(fields.get(2)),
        message=_text(fields.get(3)),
        reason=_text(fields.get(4)),
        code=wire.signed(code, 32) if isinstance(code, int) else 0,
    )


def read_list(body: bytes, type_: type[T], not_understood: NotUnderstood) -> tuple[str, Iterator[T]]:
    """A list: its resource version, and the objects one after the other.

    Raises:
        msgspec.DecodeError: it is none.
    """
    try:
        api_version, kind, message = protobuf.opened(body)
        fields = list(wire.fields(message))
        meta = dict(wire.fields(_bytes(dict(fields).get(1))))
    except NotProtobuf as error:
        raise msgspec.DecodeError(f"not a list in protobuf: {error}") from None
    item = protobuf.message_of(api_version, kind.removesuffix("List"))

    def items() -> Iterator[T]:
        for number, value in fields:
            if number != 2:
                continue
            try:
                yield _convert(item, _bytes(value), type_)
            except msgspec.ValidationError as error:
                not_understood(_bytes(value), error)

    return _text(meta.get(2)), items()


class ProtobufEventReader(Generic[T]):
    """Reads the events of a watch; as :class:`clusterip.client.watching.EventReader` in all else."""

    def __init__(self, type_: type[T], not_understood: NotUnderstood) -> None:
        self._type = type_
        self._not_understood = not_understood
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[WatchEvent[T] | Bookmark]:
        """The events that a chunk completes.

        Raises:
            ApiError: an ``ERROR`` event, after those before.
            msgspec.DecodeError: this is no watch in protobuf.
        """
        data = self._rest + chunk
        position = 0
        try:
            while len(data) - position >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(data, position)
                if length > _MOST_BYTES:
                    raise NotProtobuf(f"an event of {length} bytes")
                end = position + _LENGTH.size + length
                if len(data) < end:
                    break
                frame = data[position + _LENGTH.size : end]
                position = end
                yield self._event(frame)
        except NotProtobuf as error:
            raise msgspec.DecodeError(f"not a watch in protobuf: {error}") from None
        finally:
            self._rest = data[position:]

    def _event(self, frame: bytes) -> WatchEvent[T] | Bookmark:
        fields = dict(wire.fields(frame))
        kind = _text(fields.get(1))
        body = _bytes(dict(wire.fields(_bytes(fields.get(2)))).get(1))
        if kind == "ERROR":
            raise ApiError(read_status(body))
        api_version, name, message = protobuf.opened(body)
        item = protobuf.message_of(api_version, name)
        if kind == "BOOKMARK":
            return _convert(item, message, Bookmark)
        try:
            return WatchEvent(kind, _convert(item, message, self._type))
        except msgspec.ValidationError as error:
            self._not_understood(message, error)
            return _convert(item, message, Bookmark)


def _convert(message: str, data: bytes, type_: type[T]) -> T:
    # Fields that stand in their parent's JSON are only known from whole types; slim ones have no such.
    whole: Any = type_ if issubclass(type_, Object) else None
    return codec.convert(protobuf.decode(message, data, whole), type_)


def _bytes(value: int | bytes | None) -> bytes:
    return value if isinstance(value, bytes) else b""


def _text(value: int | bytes | None) -> str:
    return _bytes(value).decode(errors="replace")
