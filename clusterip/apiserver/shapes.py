"""Whether JSON has only fields that its type knows: one pass, for the many objects that have no others."""

from __future__ import annotations

from functools import cache
from typing import Any

from clusterip.objects.fields import fields_of, is_struct, item_type


class Shape:
    """What of a type matters for that: its fields' names, if it has any, and the shapes of what is below."""

    __slots__ = ("below", "items", "names")

    def __init__(self) -> None:
        self.names: frozenset[str] | None = None
        self.below: dict[str, Shape] = {}
        self.items = self


@cache
def shape_of(type_: Any) -> Shape:
    return _shape(type_, {})


def _shape(type_: Any, known: dict[Any, Shape]) -> Shape:
    if type_ in known:
        return known[type_]
    shape = known[type_] = Shape()  # known before it is complete, as a type may contain itself
    if is_struct(type_):
        fields = fields_of(type_)
        shape.names = frozenset(fields)
        shape.below = {name: _shape(field.type, known) for name, field in fields.items()}
        shape.items = ANYTHING
    elif (item := item_type(type_)) is not None:
        shape.items = _shape(item, known)
    return shape


ANYTHING = Shape()
"""What may have members of any name, and these in turn."""


def count_keys(tree: Any, shape: Shape) -> int:
    """How many keys the objects in decoded JSON have in all; -1 if its type does not know one of them."""
    if isinstance(tree, list):
        return _count(tree, shape.items)
    if not isinstance(tree, dict):
        return 0
    names = shape.names
    if names is None:
        below = _count(tree.values(), shape.items)
        return len(tree) + below if below >= 0 else -1
    if not tree.keys() <= names:
        return -1
    count = len(tree)
    shapes = shape.below
    for name, value in tree.items():
        if type(value) is dict or type(value) is list:
            found = count_keys(value, shapes[name])
            if found < 0:
                return -1
            count += found
    return count


def _count(values: Any, shape: Shape) -> int:
    count = 0
    for value in values:
        if type(value) is dict or type(value) is list:
            found = count_keys(value, shape)
            if found < 0:
                return -1
            count += found
    return count
