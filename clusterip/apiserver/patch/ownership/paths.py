"""Sets of fields, and their form in ``fieldsV1``.

A path is the elements from the object to a field, each as ``fieldsV1`` writes it: ``f:NAME`` for a member,
``k:{"KEY":VALUE}`` for an item of a list with keys, ``v:VALUE`` for an item of a list of scalars.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

import msgspec

Path = tuple[str, ...]
FieldSet = frozenset[Path]

ITSELF = "."
"""In ``fieldsV1``, says that a field with owned parts is itself owned too."""

_encode = msgspec.json.Encoder(order="sorted").encode


def member(name: str) -> str:
    return f"f:{name}"


def keyed(keys: Mapping[str, Any]) -> str:
    return f"k:{_encode(keys).decode()}"


def valued(value: Any) -> str:
    return f"v:{_encode(value).decode()}"


def from_fields_v1(fields: Mapping[str, Any]) -> FieldSet:
    """The paths in a ``fieldsV1``.

    Raises:
        ValueError: it is not one.
    """
    found: set[Path] = set()
    _collect(fields, (), found)
    return frozenset(found)


def _collect(fields: Mapping[str, Any], path: Path, found: set[Path]) -> None:
    for element, below in fields.items():
        if element == ITSELF:
            found.add(path)
            continue
        if element[:2] not in ("f:", "k:", "v:", "i:") or not isinstance(below, Mapping):
            raise ValueError(f"{element!r} is not a field in fieldsV1")
        if below:
            _collect(below, (*path, element), found)
        else:
            found.add((*path, element))


def to_fields_v1(paths: Iterable[Path]) -> dict[str, Any]:
    """The ``fieldsV1`` of some paths."""
    fields: dict[str, Any] = {}
    for path in sorted(paths):
        node = fields
        for element in path:
            node = node.setdefault(element, {})
        node[ITSELF] = {}
    _drop_itself(fields)
    return fields


def _drop_itself(fields: dict[str, Any]) -> None:
    """Leave ``.`` out where nothing stands beside it."""
    for below in fields.values():
        if below.keys() == {ITSELF}:
            below.clear()
        else:
            _drop_itself(below)


def with_parents(paths: Set[Path]) -> set[Path]:
    """The paths and the members on the way to them, which go when nobody owns anything in them."""
    found = set(paths)
    for path in paths:
        found.update(path[:end] for end in range(1, len(path)) if path[end - 1].startswith("f:"))
    return found


def show(path: Path) -> str:
    """A path as messages write it: ``.spec.ports[port=80,protocol="TCP"].name``."""
    return "".join(map(_show, path))


def _show(element: str) -> str:
    kind, text = element[:2], element[2:]
    if kind == "f:":
        return f".{text}"
    if kind == "k:":
        keys = msgspec.json.decode(text)
        return "[" + ",".join(f"{name}={_encode(value).decode()}" for name, value in keys.items()) + "]"
    return f"[={text}]"
