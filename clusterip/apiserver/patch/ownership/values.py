"""Objects seen as fields that can have owners: taking them apart, comparing, merging, removing."""

from __future__ import annotations

from collections import deque
from collections.abc import Set
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from clusterip.apiserver.patch.ownership.paths import FieldSet, Path, keyed, member, valued
from clusterip.objects.base import Atomic, ListMap, ListSet, Struct
from clusterip.objects.fields import Semantics, fields_of, is_struct, item_type

Tree = dict[str, Any]

_KEY_DEFAULTS = {"protocol": "TCP"}
"""What a key of a list item is when the item leaves it out."""


@dataclass(frozen=True)
class Position:
    """A place in an object: the type of what is there and how it merges."""

    type: Any
    semantics: Semantics | None = None

    @property
    def is_map(self) -> bool:
        """Whether the members' names are the user's own, as labels' are, rather than the type's."""
        return not is_struct(self.type)

    def parts(self, value: Any) -> list[tuple[str, Any, Position]] | None:
        """What has owners of its own within a value; None if the value has one owner as a whole."""
        if isinstance(value, dict) and not isinstance(self.semantics, Atomic):
            return [(member(name), below, _member(self.type, name)) for name, below in value.items()]
        if isinstance(value, list) and isinstance(self.semantics, ListMap | ListSet):
            items = _items(self.type)
            return [(self._element(item), item, items) for item in value]
        return None

    def _element(self, item: Any) -> str:
        if isinstance(self.semantics, ListMap) and isinstance(item, dict):
            found = {key: item.get(key, _KEY_DEFAULTS.get(key)) for key in self.semantics.keys}
            return keyed({key: value for key, value in found.items() if value is not None})
        return valued(item)


@cache
def _member(type_: Any, name: str) -> Position:
    known = fields_of(type_).get(name)
    if known is not None:
        return Position(known.type, known.semantics)
    return _items(type_)


@cache
def _items(type_: Any) -> Position:
    item: Any = item_type(type_)
    whole = is_struct(item) and issubclass(item, Struct) and item.owned_whole
    return Position(item, Atomic() if whole else None)


def field_set(tree: Tree, type_: Any) -> FieldSet:
    """The fields that whoever applies ``tree`` owns."""
    found: set[Path] = set()
    _collect(tree, Position(type_), (), found)
    return frozenset(found)


def _collect(value: Any, position: Position, path: Path, found: set[Path]) -> None:
    parts = position.parts(value)
    if parts is None:
        found.add(path)
        return
    for element, below, place in parts:
        below_path = (*path, element)
        _collect(below, place, below_path, found)
        if below in (None, {}) or position.is_map:
            found.add(below_path)


@dataclass
class Comparison:
    """How a new object differs from the old one."""

    added: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)

    @property
    def set(self) -> Set[Path]:
        """The fields that the new object sets otherwise than the old one."""
        return self.added | self.modified

    def outside(self, first: str | None) -> Comparison:
        """The differences that are not below the member ``first``."""
        found = [{p for p in paths if p[0] != first} for paths in (self.added, self.removed, self.modified)]
        return Comparison(*found)


def compare(old: Tree, new: Tree, type_: Any) -> Comparison:
    result = Comparison()
    _compare(old, new, Position(type_), (), result)
    return result


def _compare(old: Any, new: Any, position: Position, path: Path, result: Comparison) -> None:
    """``None`` stands for absent."""
    before = [] if old is None else position.parts(old)
    after = [] if new is None else position.parts(new)
    if before is None or after is None or not (before or after):
        if old is None:
            result.added.add(path)
        elif new is None:
            result.removed.add(path)
        elif old != new:
            result.modified.add(path)
        return
    left = {element: (value, place) for element, value, place in before}
    right = {element: (value, place) for element, value, place in after}
    for element in left.keys() | right.keys():
        was, place = left.get(element) or (None, right[element][1])
        now, _ = right.get(element, (None, place))
        if was is now:
            continue
        below = (*path, element)
        _compare(was, now, place, below, result)
        if element not in left:
            result.added.add(below)
        elif element not in right:
            result.removed.add(below)


def merge(live: Tree, config: Tree, type_: Any) -> Tree:
    """``live`` with the fields of ``config`` set; neither is modified."""
    merged: Tree = _merge(live, config, Position(type_))
    return merged


def _merge(live: Any, config: Any, position: Position) -> Any:
    theirs, ours = position.parts(live), position.parts(config)
    if theirs is None or ours is None or type(live) is not type(config):
        return config
    if isinstance(config, dict):
        merged = dict(live)
        for name, value in config.items():
            merged[name] = _merge(live.get(name), value, _member(position.type, name))
        return merged
    found = {element: item for element, item, _ in reversed(theirs)}
    wanted = {element: item for element, item, _ in ours}
    place = _items(position.type)
    return [
        _merge(found.get(element), wanted[element], place) if element in wanted else found[element]
        for element in _in_order([part[0] for part in theirs], list(wanted))
    ]


def _in_order(left: list[str], right: list[str]) -> list[str]:
    """The items of both lists: those of ``right`` in its order, the others where they were among them."""
    only_left = set(left) - set(right)
    shared = deque(element for element in right if element in left)
    rest = deque(left)
    order: list[str] = []
    for element in right:
        while rest and rest[0] != element:
            if rest[0] in only_left:
                order.append(rest.popleft())
            elif shared and shared[0] == rest[0]:
                break  # `right` gets there later
            else:
                rest.popleft()
        if rest and rest[0] == element:
            rest.popleft()
        if shared and shared[0] == element:
            shared.popleft()
        order.append(element)
    return order + [element for element in rest if element in only_left]


def remove(tree: Tree, paths: Set[Path], type_: Any) -> Tree:
    """``tree`` without the fields at ``paths`` and what is below them; it is not modified."""
    removed: Tree = _remove(tree, paths, Position(type_), ())
    return removed


def _remove(value: Any, paths: Set[Path], position: Position, path: Path) -> Any:
    parts = position.parts(value)
    if parts is None:
        return value
    kept = [
        (element, _remove(below, paths, place, (*path, element)))
        for element, below, place in parts
        if (*path, element) not in paths
    ]
    if isinstance(value, dict):
        return {element[2:]: below for element, below in kept}
    return [below for _, below in kept]
