"""Kubernetes' messages as the JSON that they stand for.

Which number is which field comes from ``fields.txt``; which fields stand in their parent's JSON (Go's
``json:",inline"``) follows from the kinds' own types: a field of a message that the type does not have.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from clusterip.objects.fields import fields_of, is_struct, item_type
from clusterip.objects.protobuf import wire
from clusterip.objects.protobuf.wire import NotProtobuf

_DEPTH = 100


class _Field(NamedTuple):
    name: str
    kind: str
    repeated: bool
    is_map: bool


def decode(message: str, data: bytes, type_: Any, depth: int = 0) -> Any:
    """A message as plain data. ``type_`` is the Python type that it will become, or None.

    Raises:
        NotProtobuf: it is not such a message.
    """
    special = _SPECIAL.get(message)
    if special is not None:
        return special(data)
    if depth > _DEPTH:
        raise NotProtobuf("the message is nested too deeply")
    table = _table(message)
    known = fields_of(type_) if type_ is not None else {}
    tree: dict[str, Any] = {}
    for number, raw in wire.fields(data):
        field = table.get(number)
        if field is None:
            continue
        inner = known[field.name].type if field.name in known else None
        if field.is_map:
            key, value = _entry(field, raw, item_type(inner), depth)
            tree.setdefault(field.name, {})[key] = value
        elif field.repeated:
            tree.setdefault(field.name, []).append(_value(field.kind, raw, item_type(inner), depth))
        else:
            value = _value(field.kind, raw, inner, depth)
            if inner is None and type_ is not None and isinstance(value, dict):
                tree.update(_inlined(field.kind, raw, type_, depth))
            else:
                tree[field.name] = value
    return tree


def _inlined(kind: str, raw: int | bytes, type_: Any, depth: int) -> dict[str, Any]:
    """A message whose fields belong to its parent."""
    value = _value(kind, raw, type_, depth)
    return value if isinstance(value, dict) else {}


def _value(kind: str, raw: int | bytes, type_: Any, depth: int) -> Any:
    if kind in _NUMBERS:
        if not isinstance(raw, int):
            raise NotProtobuf("proto: wrong wireType for a number")
        return _NUMBERS[kind](raw)
    if kind in ("double", "float"):
        return wire.double(raw)
    if not isinstance(raw, bytes):
        raise NotProtobuf(f"proto: wrong wireType for {kind}")
    if kind == "string":
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise NotProtobuf("proto: a string is not valid UTF-8") from None
    if kind == "bytes":
        return base64.b64encode(raw).decode()
    return decode(kind, raw, type_ if type_ is not None and is_struct(type_) else None, depth + 1)


def _entry(field: _Field, raw: int | bytes, type_: Any, depth: int) -> tuple[str, Any]:
    if not isinstance(raw, bytes):
        raise NotProtobuf("proto: wrong wireType for a map")
    key, value = "", _EMPTY.get(field.kind)
    for number, part in wire.fields(raw):
        if number == 1:
            key = _value("string", part, None, depth)
        elif number == 2:
            value = _value(field.kind, part, type_, depth)
    return key, value


def _time(data: bytes, *, micro: bool = False) -> str | None:
    seconds, nanos = 0, 0
    for number, raw in wire.fields(data):
        if isinstance(raw, int):
            if number == 1:
                seconds = wire.signed(raw, 64)
            elif number == 2:
                nanos = wire.signed(raw, 32)
    if not data or (seconds, nanos) == _ZERO_TIME:
        return None
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise NotProtobuf(f"{seconds} is not a time") from None
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{nanos // 1000:06d}Z" if micro else f"{text}Z"


_ZERO_TIME = (-62135596800, 0)
"""Go's zero time, year 1."""


def _micro_time(data: bytes) -> str | None:
    return _time(data, micro=True)


def _int_or_string(data: bytes) -> int | str:
    parts = dict(wire.fields(data))
    if parts.get(1, 0) == 0:
        number = parts.get(2, 0)
        return wire.signed(number, 32) if isinstance(number, int) else 0
    text = parts.get(3, b"")
    return text.decode(errors="replace") if isinstance(text, bytes) else ""


def _quantity(data: bytes) -> str:
    text = dict(wire.fields(data)).get(1, b"")
    return text.decode(errors="replace") if isinstance(text, bytes) else ""


def _raw_json(data: bytes) -> Any:
    text = dict(wire.fields(data)).get(1, b"")
    try:
        return json.loads(text) if isinstance(text, bytes) and text else None
    except ValueError:
        raise NotProtobuf("embedded JSON cannot be read") from None


def _strings(data: bytes) -> list[str]:
    return [raw.decode(errors="replace") for _, raw in wire.fields(data) if isinstance(raw, bytes)]


_SPECIAL: dict[str, Callable[[bytes], Any]] = {
    "meta.v1.Time": _time,
    "meta.v1.MicroTime": _micro_time,
    "meta.v1.FieldsV1": _raw_json,
    "intstr.IntOrString": _int_or_string,
    "resource.Quantity": _quantity,
    "runtime.RawExtension": _raw_json,
    "authentication.v1.ExtraValue": _strings,
    "authorization.v1.ExtraValue": _strings,
    "certificates.v1.ExtraValue": _strings,
}
_NUMBERS: dict[str, Callable[[int], Any]] = {
    "bool": bool,
    "int32": lambda value: wire.signed(value, 32),
    "int64": lambda value: wire.signed(value, 64),
    "uint32": lambda value: value,
    "uint64": lambda value: value,
}
_EMPTY: dict[str, Any] = {"string": "", "bytes": "", "resource.Quantity": "0"}


@cache
def _lines() -> dict[str, str]:
    text = files(__package__).joinpath("fields.txt").read_text()
    return dict(line.split(":", 1) for line in text.splitlines())


def is_known(message: str) -> bool:
    return message in _lines()


@cache
def _table(message: str) -> dict[int, _Field]:
    """The fields of a message by number; of an unknown message none."""
    table: dict[int, _Field] = {}
    for part in filter(None, _lines().get(message, "").split(",")):
        number, name, kind = part.split(" ")
        repeated, is_map = kind.startswith("[]"), kind.startswith("{}")
        table[int(number)] = _Field(name, kind[2:] if repeated or is_map else kind, repeated, is_map)
    return table
