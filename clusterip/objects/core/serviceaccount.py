"""ServiceAccount: its fields."""

from __future__ import annotations

from typing import Annotated

from clusterip.objects.base import ListMap
from clusterip.objects.core.references import LocalObjectReference, ObjectReference
from clusterip.objects.meta import Object


class ServiceAccount(Object):
    secrets: Annotated[list[ObjectReference], ListMap(("name",), merge="name")] = []
    imagePullSecrets: list[LocalObjectReference] = []
    automountServiceAccountToken: bool | None = None
