"""IPAddress: its fields."""

from __future__ import annotations

import msgspec

from clusterip.objects.base import Struct
from clusterip.objects.meta import Object


class ParentReference(Struct):
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""


class IPAddressSpec(Struct):
    parentRef: ParentReference | None = None


class IPAddress(Object):
    spec: IPAddressSpec = msgspec.field(default_factory=IPAddressSpec)
