"""The base of every Kubernetes object: typed structs that read and write Kubernetes' JSON.

Attributes carry the JSON names (``spec.clusterIP``), so a path in an error message, in the
documentation and in the code is the same text. Absent fields hold Go's zero value (``""``, ``0``,
``[]``, ``{}``) or, where Kubernetes uses a pointer and tells "unset" from "zero", ``None``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec

from clusterip.objects.scalars import Int32, Scalar

T = TypeVar("T")


class Struct(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A part of an object. Fields that hold their default are left out of its JSON.

    A subclass with ``owned_whole`` is one value to server-side apply, whose fields cannot have
    different owners (``x-kubernetes-map-type: atomic``).
    """

    owned_whole: ClassVar[bool] = False


def always(default: T) -> T:
    """A field that is written even when it holds ``default`` (Go: no ``omitempty``)."""
    field: Any = msgspec.field(default_factory=lambda: default)
    return field  # type: ignore[no-any-return]


def always_list() -> Any:
    """A list field that is written even when it is empty."""
    # Not the type itself: msgspec takes that for a default, which it leaves out.
    return msgspec.field(default_factory=_empty_list)


def _empty_list() -> list[Any]:
    return []


@dataclass(frozen=True)
class ListMap:
    """Marks a list whose items are identified by ``keys`` (``x-kubernetes-list-map-keys``).

    ``merge`` is the key by which a strategic merge patch joins items
    (``x-kubernetes-patch-merge-key``), or ``None`` if such a patch replaces the list.
    """

    keys: tuple[str, ...]
    merge: str | None = None


@dataclass(frozen=True)
class ListSet:
    """Marks a list of scalars without duplicates; ``merge`` if strategic merge patches add to it."""

    merge: bool = False


@dataclass(frozen=True)
class Atomic:
    """Marks a list, map or struct that server-side apply owns as a whole.

    ``merge`` is the strategic-merge key where lists are atomic for apply but not for patches.
    """

    merge: str | None = None


@dataclass(frozen=True)
class RetainKeys:
    """Marks a struct for which a strategic merge patch may carry ``$retainKeys``."""


Quantity = str | int | float
"""An amount as a person writes it: ``"500m"``, ``"1Gi"``, ``2``."""

RESOURCE_LIST = Scalar("v1.ResourceList")
ResourceList = Annotated[dict[str, Quantity], RESOURCE_LIST]
"""Amounts by the name of what they are amounts of (``cpu``, ``memory``)."""

IntOrString = Int32 | str
"""A number or a name, as in ``targetPort``; a string of digits stays a string."""
