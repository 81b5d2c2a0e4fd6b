"""JSON in and out of typed objects, tolerant of the nulls that Go programs write."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from clusterip.objects.base import Quantity
from clusterip.objects.fields import fields_of, is_struct, item_type

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
        result = msgspec.convert(without_nulls(msgspec.json.decode(data), type_), type_)
    return result


def convert(tree: Any, type_: type[T]) -> T:
    """Plain dicts and lists as an object of ``type_``. Raises as ``decode`` does."""
    return msgspec.convert(without_nulls(tree, type_), type_)


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


def without_nulls(tree: Any, type_: Any = None) -> Any:
    """What ``tree`` means to Go's decoder where it says ``null``, at any depth.

    A member of a struct is absent. With ``type_`` known, an item of a list or a map is the zero value of its
    type, and free-form JSON is left alone; without it, what would be a map counts as a struct.
    """
    if isinstance(tree, dict):
        if is_struct(type_):
            fields = fields_of(type_)
            return {
                key: without_nulls(value, fields[key].type if key in fields else None)
                for key, value in tree.items()
                if value is not None
            }
        item = item_type(type_)
        if item is not None:
            return {key: _item_without_nulls(value, item) for key, value in tree.items()}
        if type_ is Any:
            return tree
        return {key: without_nulls(value) for key, value in tree.items() if value is not None}
    if isinstance(tree, list):
        item = item_type(type_)
        return [_item_without_nulls(value, item) for value in tree] if type_ is not Any else tree
    return tree


def _item_without_nulls(value: Any, type_: Any) -> Any:
    if value is not None:
        return without_nulls(value, type_)
    if is_struct(type_):
        return {}
    zero = _ZEROS.get(typing.get_origin(type_) or type_, _none)()
    return 0 if type_ == Quantity else zero


def _none() -> None:
    return None


_ZEROS: dict[Any, Callable[[], Any]] = {kind: kind for kind in (str, int, float, bool, list, dict)}


_encoder = msgspec.json.Encoder()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_copy_encoder = msgspec.msgpack.Encoder()
_copiers: dict[Any, msgspec.msgpack.Decoder[Any]] = {}
