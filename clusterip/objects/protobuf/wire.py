"""Protobuf's wire format: a message as field numbers and raw values."""

from __future__ import annotations

import struct
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class NotProtobuf(ValueError):
    """The bytes are not a message as it should be; the message says what is wrong."""


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message in order: number, and an integer or bytes.

    Raises:
        NotProtobuf: it ends in the middle, or has a wire type that is no longer used.
    """
    position, end = 0, len(data)
    while position < end:
        tag, position = varint(data, position)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, position = varint(data, position)
            yield number, value
            continue
        if kind == BYTES:
            length, position = varint(data, position)
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise NotProtobuf(f"proto: illegal wireType {kind}")
        if position + length > end:
            raise NotProtobuf("unexpected EOF")
        yield number, data[position : position + length]
        position += length


def varint(data: bytes, position: int) -> tuple[int, int]:
    """The integer at ``position``, and where it ends."""
    value = shift = 0
    while True:
        if position >= len(data):
            raise NotProtobuf("unexpected EOF")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift >= 64:
            raise NotProtobuf("proto: integer overflow")


def signed(value: int, bits: int) -> int:
    """An ``int32`` or ``int64`` from its varint."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def double(value: int | bytes) -> float:
    if not isinstance(value, bytes) or len(value) not in (4, 8):
        raise NotProtobuf("proto: wrong wireType for a floating point number")
    number: float = struct.unpack("<d" if len(value) == 8 else "<f", value)[0]
    return number
