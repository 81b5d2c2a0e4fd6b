"""Secret: its fields and its place in the API."""

from __future__ import annotations

from clusterip.objects.meta import Object
from clusterip.objects.registry import Resource, register


class Secret(Object):
    immutable: bool | None = None
    data: dict[str, str] = {}
    stringData: dict[str, str] = {}
    type: str = ""


SECRETS = register(
    Resource(
        type=Secret,
        group="",
        version="v1",
        plural="secrets",
        namespaced=True,
        singular="secret",
    )
)
