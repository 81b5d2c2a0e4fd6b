"""Endpoints: its fields and its place in the API."""

from __future__ import annotations

from typing import ClassVar

from clusterip.objects.base import Struct, always
from clusterip.objects.core.references import ObjectReference
from clusterip.objects.meta import Object
from clusterip.objects.registry import Resource, register


class EndpointAddress(Struct):
    owned_whole: ClassVar[bool] = True

    ip: str = ""
    hostname: str = ""
    nodeName: str | None = None
    targetRef: ObjectReference | None = None


class EndpointPort(Struct):
    owned_whole: ClassVar[bool] = True

    name: str = ""
    port: int = always(0)
    protocol: str = ""
    appProtocol: str | None = None


class EndpointSubset(Struct):
    addresses: list[EndpointAddress] = []
    notReadyAddresses: list[EndpointAddress] = []
    ports: list[EndpointPort] = []


class Endpoints(Object):
    subsets: list[EndpointSubset] = []


ENDPOINTS = register(
    Resource(
        type=Endpoints,
        group="",
        version="v1",
        plural="endpoints",
        namespaced=True,
        singular="endpoints",
        short_names=("ep",),
    )
)
