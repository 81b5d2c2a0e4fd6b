"""ServiceAccount: its fields and its place in the API."""

from __future__ import annotations

from typing import Annotated

from clusterip.objects.base import ListMap
from clusterip.objects.core.references import LocalObjectReference, ObjectReference
from clusterip.objects.meta import Object
from clusterip.objects.registry import Resource, register


class ServiceAccount(Object):
    secrets: Annotated[list[ObjectReference], ListMap(("name",), merge="name")] = []
    imagePullSecrets: list[LocalObjectReference] = []
    automountServiceAccountToken: bool | None = None


SERVICEACCOUNTS = register(
    Resource(
        type=ServiceAccount,
        group="",
        version="v1",
        plural="serviceaccounts",
        namespaced=True,
        singular="serviceaccount",
        short_names=("sa",),
    )
)
