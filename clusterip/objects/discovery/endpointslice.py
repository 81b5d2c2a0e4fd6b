"""EndpointSlice: its fields and its place in the API."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from clusterip.objects.base import ListSet, Struct, always_list
from clusterip.objects.core.references import ObjectReference
from clusterip.objects.meta import Object
from clusterip.objects.registry import Resource, register


class EndpointConditions(Struct):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ForNode(Struct):
    name: str = ""


class ForZone(Struct):
    name: str = ""


class EndpointHints(Struct):
    forZones: list[ForZone] = []
    forNodes: list[ForNode] = []


class Endpoint(Struct):
    addresses: Annotated[list[str], ListSet()] = always_list()
    conditions: EndpointConditions = msgspec.field(default_factory=EndpointConditions)
    hostname: str | None = None
    targetRef: ObjectReference | None = None
    deprecatedTopology: dict[str, str] = {}
    nodeName: str | None = None
    zone: str | None = None
    hints: EndpointHints | None = None


class EndpointPort(Struct):
    owned_whole: ClassVar[bool] = True

    name: str | None = None
    protocol: str | None = None
    port: int | None = None
    appProtocol: str | None = None


class EndpointSlice(Object):
    addressType: str = ""
    endpoints: list[Endpoint] = always_list()
    ports: list[EndpointPort] = always_list()


ENDPOINTSLICES = register(
    Resource(
        type=EndpointSlice,
        group="discovery.k8s.io",
        version="v1",
        plural="endpointslices",
        namespaced=True,
        singular="endpointslice",
    )
)
