"""What a client wrote that no field takes, or wrote twice: a typing error in nearly every case.

``fieldValidation=Strict`` refuses it, ``Warn`` tells it, in the words of ``sigs.k8s.io/json``.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from clusterip.apiserver.shapes import ANYTHING, count_keys, shape_of
from clusterip.objects.fields import fields_of, is_struct, item_type
from clusterip.objects.go_text import quoted
from clusterip.objects.strict import unknown_fields

LIMIT = 100
"""How many problems are told of one object."""

_APART = re.compile(rb'"\s+:')


def strict_errors(body: bytes, type_: Any) -> tuple[list[str], bytes | None]:
    """The unknown and the duplicate fields of JSON that is to become a ``type_``, in the order of the text.

    ``unknown field "spec.ports[0].foo"``, ``duplicate field "spec.type"``. What is below an unknown field is
    not told again. If there are duplicates, the text is also given with each key once, as Go's decoder reads
    it: a later object adds to the one before, anything else replaces it.
    """
    tree = msgspec.json.decode(body)
    # Every key is followed by a colon; when there are no more of these than keys in what was decoded, then no
    # key was there twice, and the slower reader that keeps duplicates need not be asked.
    colons = body.count(b'":') + len(_APART.findall(body))
    if colons <= count_keys(tree, shape_of(type_)):
        return [], None
    if colons <= count_keys(tree, ANYTHING):
        return unknown_in(tree, type_), None
    pairs = json.loads(body, object_pairs_hook=_Pairs)
    walk = _Walk()
    walk.value(pairs, type_, "")
    found = list(dict.fromkeys(walk.found))[:LIMIT]
    return found, msgspec.json.encode(_merged(pairs)) if walk.duplicates else None


def unknown_in(tree: Any, type_: Any) -> list[str]:
    """As ``strict_errors``, of a tree, which has no duplicates any more."""
    return [f"unknown field {quoted(path)}" for path in unknown_fields(tree, type_)[:LIMIT]]


def duplicate_keys(body: bytes, tree: Any) -> list[str]:
    """The keys that JSON has twice, whatever they are keys of."""
    if body.count(b'":') + len(_APART.findall(body)) <= count_keys(tree, ANYTHING):
        return []
    walk = _Walk()
    walk.value(json.loads(body, object_pairs_hook=_Pairs), None, "")
    return list(dict.fromkeys(walk.found))[:LIMIT]


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object, duplicates and all."""


def _merged(tree: Any) -> Any:
    if isinstance(tree, _Pairs):
        result: dict[str, Any] = {}
        for key, value in tree:
            later, before = _merged(value), result.get(key)
            result[key] = _joined(before, later) if isinstance(before, dict) else later
        return result
    return [_merged(value) for value in tree] if isinstance(tree, list) else tree


def _joined(before: dict[str, Any], later: Any) -> Any:
    if later is None:
        return before
    if not isinstance(later, dict):
        return later
    both = {key: value for key, value in before.items() if key not in later}
    for key, value in later.items():
        old = before.get(key)
        both[key] = _joined(old, value) if isinstance(old, dict) else value
    return both


class _Walk:
    def __init__(self) -> None:
        self.found: list[str] = []
        self.duplicates = False

    def value(self, tree: Any, type_: Any, path: str) -> None:
        if isinstance(tree, dict | _Pairs):
            members = tree.items() if isinstance(tree, dict) else tree
            if is_struct(type_):
                self._struct(members, type_, path)
            else:
                self._map(members, item_type(type_), path)
        elif isinstance(tree, list):
            item = item_type(type_)
            for i, each in enumerate(tree):
                if isinstance(each, dict | list):
                    self.value(each, item, f"{path}[{i}]")

    def _duplicate(self, where: str) -> None:
        self.duplicates = True
        self.found.append(f"duplicate field {quoted(where)}")

    def _struct(self, members: Any, type_: Any, path: str) -> None:
        fields = fields_of(type_)
        seen = set()
        for name, value in members:
            where = f"{path}.{name}" if path else name
            field = fields.get(name)
            if field is None:
                self.found.append(f"unknown field {quoted(where)}")
                continue
            if name in seen:
                self._duplicate(where)
            seen.add(name)
            if isinstance(value, dict | list):
                self.value(value, field.type, where)

    def _map(self, members: Any, item: Any, path: str) -> None:
        seen = set()
        for key, value in members:
            where = f"{path}.{key}" if path else key
            if key in seen:
                self._duplicate(where)
            seen.add(key)
            if isinstance(value, dict | list):
                self.value(value, item, where)
