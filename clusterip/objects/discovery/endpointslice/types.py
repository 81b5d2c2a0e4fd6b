"""The fields of an EndpointSlice."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from clusterip.objects.base import ListSet, Struct, always, always_list
from clusterip.objects.core.references import ObjectReference
from clusterip.objects.enums import AddressType, Protocol
from clusterip.objects.meta import Object
from clusterip.objects.scalars import Int32


class EndpointConditions(Struct):
    """Whether an endpoint takes traffic; unset counts as ready, and serving follows ready."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ForNode(Struct):
    name: str = always("")


class ForZone(Struct):
    name: str = always("")


class EndpointHints(Struct):
    """For which zones and nodes an endpoint should be used, if they have the choice."""

    forZones: list[ForZone] = []
    forNodes: list[ForNode] = []


class Endpoint(Struct):
    """One or more addresses of the same Pod; consumers use the first."""

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
    protocol: Protocol | None = None
    port: Int32 | None = None
    appProtocol: str | None = None


class EndpointSlice(Object):
    addressType: AddressType = always("")
    endpoints: list[Endpoint] = always_list()
    ports: list[EndpointPort] = always_list()
