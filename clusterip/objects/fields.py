"""What a kind's type says about its fields: their types, and how lists and maps merge.

Patches walk plain JSON beside the type: start with the kind's type, ask ``field_type`` (and ``item_type``
for lists and maps) for the next step, and ``list_semantics`` for how a field's value joins another::

    field_type(Service, "spec")               # ServiceSpec
    list_semantics(ServiceSpec, "ports")      # ListMap(keys=("port", "protocol"), merge="port")
    item_type(field_type(ServiceSpec, "ports"))  # ServicePort

Everything is computed once per type and cached.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from clusterip.objects.base import Atomic, ListMap, ListSet, RetainKeys, Struct
from clusterip.objects.scalars import Scalar

Semantics = ListMap | ListSet | Atomic


@dataclass(frozen=True)
class Field:
    """One field of a struct.

    ``type`` is without ``None`` and markers. ``semantics`` is ``None`` for scalars, for maps and
    structs that merge member by member, and for unmarked lists, which merge as atomic ones do. ``scalar``
    is what Kubernetes knows of the value beyond its Python type.
    """

    name: str
    attribute: str
    type: Any
    nullable: bool
    semantics: Semantics | None = None
    retain_keys: bool = False
    scalar: Scalar | None = None


@cache
def fields_of(type_: Any) -> Mapping[str, Field]:
    """The fields of a struct type by JSON name; empty for anything else (a map, a scalar)."""
    if not is_struct(type_):
        return {}
    hints = typing.get_type_hints(type_, include_extras=True)
    names = zip(type_.__struct_encode_fields__, type_.__struct_fields__, strict=True)
    return {name: _field(name, attribute, hints[attribute]) for name, attribute in names}


def field_type(type_: Any, json_name: str) -> Any | None:
    """The type of a struct's field, or of a map's value; ``None`` if there is no such field."""
    field = fields_of(type_).get(json_name)
    if field is not None:
        return field.type
    return item_type(type_) if typing.get_origin(type_) is dict else None


def list_semantics(type_: Any, json_name: str) -> Semantics | None:
    """How the field merges: see ``base``. ``None`` if it is unmarked or does not exist."""
    field = fields_of(type_).get(json_name)
    return field.semantics if field is not None else None


def retains_keys(type_: Any, json_name: str) -> bool:
    """Whether strategic merge patches may name the keys to keep (``$retainKeys``) in this field."""
    field = fields_of(type_).get(json_name)
    return field is not None and field.retain_keys


@cache
def item_type(type_: Any) -> Any | None:
    """The type of a list's items or a map's values; ``None`` for anything else."""
    item = _item(type_)
    return None if item is None else _unmarked(item)[0]


@cache
def item_scalar(type_: Any) -> Scalar | None:
    """What Kubernetes knows of a list's items or a map's values, if they are scalars with a name."""
    item = _item(type_)
    return None if item is None else _scalar(_unmarked(item)[1])


def _item(type_: Any) -> Any | None:
    origin, arguments = typing.get_origin(type_), typing.get_args(type_)
    if origin is list:
        return arguments[0]
    return arguments[1] if origin is dict else None


def _unmarked(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without its markers, and the markers."""
    if typing.get_origin(hint) is typing.Annotated:
        inner, *markers = typing.get_args(hint)
        return inner, tuple(markers)
    return hint, ()


def _scalar(markers: tuple[Any, ...]) -> Scalar | None:
    return next((marker for marker in markers if isinstance(marker, Scalar)), None)


def is_struct(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, msgspec.Struct)


def _field(name: str, attribute: str, hint: Any) -> Field:
    hint, markers = _unmarked(hint)
    nullable = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(hint) if member is not types.NoneType]
        nullable = len(members) < len(typing.get_args(hint))
        if len(members) == 1:
            hint, inner = _unmarked(members[0])
            markers += inner
        else:
            hint = typing.Union[tuple(members)]  # noqa: UP007
    semantics = next((m for m in markers if isinstance(m, ListMap | ListSet | Atomic)), None)
    if semantics is None and is_struct(hint) and issubclass(hint, Struct) and hint.owned_whole:
        semantics = Atomic()
    retain_keys = any(isinstance(marker, RetainKeys) for marker in markers)
    return Field(name, attribute, hint, nullable, semantics, retain_keys, _scalar(markers))
