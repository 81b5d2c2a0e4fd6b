"""Who owns what in an object that is created: its creator all of it.

The same as ``track`` finds by comparing with nothing at all, but straight into the form of ``fieldsV1``:
creating is what an API server does most, and most objects are created by somebody who does not apply.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from clusterip.apiserver.patch.ownership.paths import ITSELF
from clusterip.apiserver.patch.ownership.values import Position, Tree
from clusterip.objects.codec import to_tree
from clusterip.objects.fields import fields_of

NOBODYS_METADATA = frozenset(
    (
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    )
)
"""What the server sets of an object's metadata has no owner."""


def created_fields(tree: Tree, type_: Any) -> Tree:
    """The ``fieldsV1`` of everything in a new object but its status, if its kind keeps that apart."""
    rest = {name: value for name, value in tree.items() if name not in ("kind", "apiVersion")}
    if "status" in fields_of(type_):
        rest.pop("status", None)
    metadata = rest.get("metadata")
    if metadata:
        rest["metadata"] = {k: v for k, v in metadata.items() if k not in NOBODYS_METADATA}
    return _differing(_empty(type_), rest, Position(type_)) or {}


@cache
def _empty(type_: Any) -> Tree:
    """What an object has of which nothing was said. Not to be changed."""
    return to_tree(type_())  # type: ignore[no-any-return]


def _differing(old: Any, new: Any, position: Position) -> Tree | None:
    """What of ``new`` is not in ``old``; None if there is nothing."""
    before = [] if old is None else position.parts(old)
    after = position.parts(new)
    if before is None or after is None or not (before or after):
        return {} if old != new else None
    known = {element: value for element, value, _ in before}
    fields: Tree = {}
    for element, value, place in sorted(after, key=_element):
        if element not in known:
            if value is not None:
                fields[element] = _all(value, place)
        elif value is not None and (below := _differing(known[element], value, place)) is not None:
            fields[element] = below
    return fields or None


def _all(value: Any, position: Position) -> Tree:
    parts = position.parts(value)
    if not parts:
        return {}
    fields: Tree = {ITSELF: {}}
    for element, below, place in sorted(parts, key=_element):
        if below is not None:
            fields[element] = _all(below, place)
    return fields if len(fields) > 1 else {}


def _element(part: tuple[str, Any, Position]) -> str:
    return part[0]
