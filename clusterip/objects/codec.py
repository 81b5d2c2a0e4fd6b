"""JSON in and out of typed objects, tolerant of the nulls that Go programs write."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def encode(value: Any) -> bytes:
    """An object as compact JSON."""
    return _encoder.encode(value)


def decode(data: bytes | bytearray | memoryview | str | msgspec.Raw, type_: type[T]) -> T:
    """JSON as an object of ``type_``; unknown fields are dropped, ``null`` counts as absent.

    Raises:
        msgspec.ValidationError: a field has the wrong type.
        msgspec.DecodeError: the text is not JSON.
    """
    decoder = _decoders.get(type_)
    if decoder is None:
        decoder = _decoders[type_] = msgspec.json.Decoder(type_)
    try:
        result: T = decoder.decode(data)
    except msgspec.ValidationError:
        # Rare, and only then worth the second pass: Go writes null for empty lists and maps.
        result = msgspec.convert(without_nulls(msgspec.json.decode(data)), type_)
    return result


def convert(tree: Any, type_: type[T]) -> T:
    """Plain dicts and lists as an object of ``type_``. Raises as ``decode`` does."""
    return msgspec.convert(without_nulls(tree), type_)


def to_tree(value: Any) -> Any:
    """An object as plain dicts and lists, as patches want it."""
    return msgspec.to_builtins(value)


def copy(value: T) -> T:
    """An independent copy of a struct, list or map, at any depth.

    Through MessagePack, which for these structs is several times faster than ``copy.deepcopy``.
    """
    decoder = _copiers.get(type(value))
    if decoder is None:
        decoder = _copiers[type(value)] = msgspec.msgpack.Decoder(type(value))
    result: T = decoder.decode(_copy_encoder.encode(value))
    return result


def without_nulls(tree: Any) -> Any:
    """``tree`` with every null member of an object left out, at any depth."""
    if isinstance(tree, dict):
        return {key: without_nulls(value) for key, value in tree.items() if value is not None}
    if isinstance(tree, list):
        return [without_nulls(value) for value in tree]
    return tree


_encoder = msgspec.json.Encoder()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_copy_encoder = msgspec.msgpack.Encoder()
_copiers: dict[Any, msgspec.msgpack.Decoder[Any]] = {}
