"""ConfigMap: its fields and its place in the API."""

from __future__ import annotations

from clusterip.objects.meta import Object
from clusterip.objects.registry import Resource, register


class ConfigMap(Object):
    immutable: bool | None = None
    data: dict[str, str] = {}
    binaryData: dict[str, str] = {}


CONFIGMAPS = register(
    Resource(
        type=ConfigMap,
        group="",
        version="v1",
        plural="configmaps",
        namespaced=True,
        singular="configmap",
        short_names=("cm",),
    )
)
