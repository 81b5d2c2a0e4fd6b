"""Namespace: its fields."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clusterip.objects.base import ListMap, Struct
from clusterip.objects.meta import Object


class NamespaceSpec(Struct):
    finalizers: list[str] = []


class NamespaceCondition(Struct):
    type: str = ""
    status: str = ""
    lastTransitionTime: str | None = None
    reason: str = ""
    message: str = ""


class NamespaceStatus(Struct):
    phase: str = ""
    conditions: Annotated[list[NamespaceCondition], ListMap(("type",), merge="type")] = []


class Namespace(Object):
    spec: NamespaceSpec = msgspec.field(default_factory=NamespaceSpec)
    status: NamespaceStatus = msgspec.field(default_factory=NamespaceStatus)
