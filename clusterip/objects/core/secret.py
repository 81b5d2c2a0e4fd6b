"""Secret: its fields."""

from __future__ import annotations

from clusterip.objects.meta import Object


class Secret(Object):
    immutable: bool | None = None
    data: dict[str, str] = {}
    stringData: dict[str, str] = {}
    type: str = ""
