"""IPAddress: its fields and its place in the API."""

from __future__ import annotations

import msgspec

from clusterip.objects.base import Struct
from clusterip.objects.meta import Object
from clusterip.objects.registry import Resource, register


class ParentReference(Struct):
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""


class IPAddressSpec(Struct):
    parentRef: ParentReference | None = None


class IPAddress(Object):
    spec: IPAddressSpec = msgspec.field(default_factory=IPAddressSpec)


IPADDRESSES = register(
    Resource(
        type=IPAddress,
        group="networking.k8s.io",
        version="v1",
        plural="ipaddresses",
        namespaced=False,
        singular="ipaddress",
        short_names=("ip",),
    )
)
