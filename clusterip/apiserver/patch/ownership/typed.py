"""Whether a configuration that is applied fits its type, in the words of ``structured-merge-diff``."""

from __future__ import annotations

import typing
from typing import Any

from clusterip.apiserver.patch.errors import go_value
from clusterip.apiserver.patch.ownership.paths import Path, show
from clusterip.apiserver.patch.ownership.values import Position
from clusterip.objects.base import IntOrString, ListMap, ListSet, Quantity
from clusterip.objects.fields import fields_of, is_struct, item_type
from clusterip.objects.go_text import quoted

_WANTED = {str: "string", bool: "boolean", int: "numeric", float: "numeric"}


def typing_errors(config: dict[str, Any], type_: Any) -> list[str]:
    """What is wrong, as ``.spec.foo: field not declared in schema``; empty if all fits."""
    found: list[str] = []
    _walk(config, Position(type_), (), found)
    return found


def _walk(value: Any, position: Position, path: Path, found: list[str]) -> None:
    type_ = position.type
    if value is None or type_ is Any or type_ is None:
        return
    if is_struct(type_) or typing.get_origin(type_) is dict:
        if not isinstance(value, dict):
            found.append(f"{show(path)}: expected map, got {_shown(value)}")
            return
        fields = fields_of(type_)
        for name, below in value.items():
            if is_struct(type_) and name not in fields:
                found.append(f"{show(path)}.{name}: field not declared in schema")
                continue
            known = fields.get(name)
            place = Position(known.type, known.semantics) if known else Position(item_type(type_))
            _walk(below, place, (*path, f"f:{name}"), found)
    elif typing.get_origin(type_) is list:
        if not isinstance(value, list):
            found.append(f"{show(path)}: expected list, got {_shown(value)}")
            return
        _list(value, position, path, found)
    elif not _fits(value, type_):
        found.append(f"{show(path)}: expected {_WANTED.get(type_, 'string')}, got {_shown(value)}")


def _list(value: list[Any], position: Position, path: Path, found: list[str]) -> None:
    keyed = isinstance(position.semantics, ListMap | ListSet)
    seen: set[str] = set()
    items = Position(item_type(position.type))
    elements = [name for name, _, _ in position.parts(value) or ()] if keyed else []
    for i, item in enumerate(value):
        step = elements[i] if keyed else f"i:{i}"
        if keyed and step in seen:
            found.append(f"{show(path)}: duplicate entries for key {show((step,))}")
        seen.add(step)
        _walk(item, items, (*path, step), found)


def _fits(value: Any, type_: Any) -> bool:
    if type_ in (Quantity, IntOrString):
        return isinstance(value, str | int | float) and not isinstance(value, bool)
    if type_ is bool:
        return isinstance(value, bool)
    if type_ in (int, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str)


def _shown(value: Any) -> str:
    """A JSON value as Go's library prints its wrapper of it."""
    if isinstance(value, list):
        return f"&{{{go_value(value)}}}"
    if isinstance(value, dict):
        return f"&{go_value(value)}"
    text = quoted(value) if isinstance(value, str) else go_value(value)
    return f"&value.valueUnstructured{{Value:{text}}}"
