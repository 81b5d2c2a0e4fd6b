"""Binding: which node a Pod is to run on. It is sent and acted on, never stored."""

from __future__ import annotations

import msgspec

from clusterip.objects.core.references import ObjectReference
from clusterip.objects.meta import Object
from clusterip.objects.registry import Resource, register_virtual


class Binding(Object):
    target: ObjectReference = msgspec.field(default_factory=ObjectReference)


BINDINGS = register_virtual(
    Resource(type=Binding, group="", version="v1", plural="bindings", namespaced=True, singular="binding")
)
