"""Namespace: its fields and its place in the API."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clusterip.objects.base import ListMap, Struct
from clusterip.objects.meta import Object
from clusterip.objects.registry import Resource, register


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


NAMESPACES = register(
    Resource(
        type=Namespace,
        group="",
        version="v1",
        plural="namespaces",
        namespaced=False,
        singular="namespace",
        short_names=("ns",),
        status=True,
    )
)
