"""``/openapi/v2`` in protobuf, the form in which older clients ask for it: kubectl 1.20 finds in it what it
explains and validates, and whether a kind can be written on trial.

The messages are those of ``github.com/google/gnostic-models/openapiv2``; only fields that our document has
are written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from clusterip.apiserver.openapi.schemas import Schema

_OPERATIONS = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}
_QUERY_PARAMETER = {"name": 4, "type": 6, "format": 7, "uniqueItems": 20}, 3
_PATH_PARAMETER = {"name": 4, "type": 5, "format": 6, "uniqueItems": 18}, 4
"""Numbers of the fields, and of the message among the kinds of parameters."""


def encode(document: Schema) -> bytes:
    """The document, as made for JSON, in protobuf."""
    info = _text(1, document["info"]["title"]) + _text(2, document["info"]["version"])
    paths = _named(2, document["paths"], _path)
    definitions = _named(1, document["definitions"], _schema)
    return _text(1, document["swagger"]) + _bytes(2, info) + _bytes(8, paths) + _bytes(9, definitions)


def _path(item: Schema) -> bytes:
    written = b"".join(
        _bytes(number, _operation(item[method])) for method, number in _OPERATIONS.items() if method in item
    )
    return written + _each(9, map(_parameter, item.get("parameters", ())))


def _operation(operation: Schema) -> bytes:
    return b"".join(
        (
            *(_text(1, tag) for tag in operation["tags"]),
            _text(5, operation["operationId"]),
            *(_text(6, type_) for type_ in operation.get("produces", ())),
            *(_text(7, type_) for type_ in operation.get("consumes", ())),
            _each(8, map(_parameter, operation["parameters"])),
            _bytes(9, _named(1, operation["responses"], _response)),
            _extensions(13, operation),
        )
    )


def _response(response: Schema) -> bytes:
    body = _text(1, response["description"])
    if "schema" in response:
        body += _bytes(2, _bytes(1, _schema(response["schema"])))
    return _bytes(1, body)


def _parameter(parameter: Schema) -> bytes:
    if parameter["in"] == "body":
        fields = _text(2, parameter["name"]) + _text(3, "body") + _flag(4, parameter.get("required", False))
        return _bytes(1, _bytes(1, fields + _bytes(5, _schema(parameter["schema"]))))
    numbers, kind = _PATH_PARAMETER if parameter["in"] == "path" else _QUERY_PARAMETER
    fields = _flag(1, parameter.get("required", False)) + _text(2, parameter["in"])
    for name, number in numbers.items():
        value = parameter.get(name, "")
        fields += _flag(number, value) if isinstance(value, bool) else _text(number, value)
    return _bytes(1, _bytes(2, _bytes(kind, fields)))


def _schema(schema: Schema) -> bytes:
    written = _text(1, schema.get("$ref", "")) + _text(2, schema.get("format", ""))
    written += _text(4, schema.get("description", ""))
    written += b"".join(_text(19, name) for name in schema.get("required", ()))
    written += b"".join(_bytes(20, _yaml(value)) for value in schema.get("enum", ()))
    more = schema.get("additionalProperties")
    if isinstance(more, bool):
        written += _bytes(21, _flag(2, more))
    elif more is not None:
        written += _bytes(21, _bytes(1, _schema(more)))
    if "type" in schema:
        written += _bytes(22, _text(1, schema["type"]))
    if "items" in schema:
        written += _bytes(23, _bytes(1, _schema(schema["items"])))
    if "properties" in schema:
        written += _bytes(25, _named(1, schema["properties"], _schema))
    return written + _extensions(31, schema)


def _extensions(number: int, schema: Schema) -> bytes:
    found = {name: value for name, value in schema.items() if name.startswith("x-")}
    return _named(number, found, _yaml)


def _yaml(value: Any) -> bytes:
    """A value of any kind, which is kept as YAML; JSON is YAML too."""
    return _text(2, json.dumps(value) + "\n")


def _named(number: int, values: dict[str, Any], write: Callable[[Any], bytes]) -> bytes:
    return _each(number, (_text(1, name) + _bytes(2, write(value)) for name, value in values.items()))


def _each(number: int, messages: Iterable[bytes]) -> bytes:
    return b"".join(_bytes(number, message) for message in messages)


def _text(number: int, text: str) -> bytes:
    return _bytes(number, text.encode()) if text else b""


def _flag(number: int, value: bool) -> bytes:
    return _varint(number << 3) + b"\x01" if value else b""


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
