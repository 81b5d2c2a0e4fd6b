"""ConfigMap: its fields."""

from __future__ import annotations

from clusterip.objects.meta import Object


class ConfigMap(Object):
    immutable: bool | None = None
    data: dict[str, str] = {}
    binaryData: dict[str, str] = {}
