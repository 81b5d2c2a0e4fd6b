"""ServiceCIDR: its fields and its place in the API."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clusterip.objects.base import ListMap, Struct
from clusterip.objects.meta import Condition, Object
from clusterip.objects.registry import Resource, register


class ServiceCIDRSpec(Struct):
    cidrs: list[str] = []


class ServiceCIDRStatus(Struct):
    conditions: Annotated[list[Condition], ListMap(("type",), merge="type")] = []


class ServiceCIDR(Object):
    spec: ServiceCIDRSpec = msgspec.field(default_factory=ServiceCIDRSpec)
    status: ServiceCIDRStatus = msgspec.field(default_factory=ServiceCIDRStatus)


SERVICECIDRS = register(
    Resource(
        type=ServiceCIDR,
        group="networking.k8s.io",
        version="v1",
        plural="servicecidrs",
        namespaced=False,
        singular="servicecidr",
        status=True,
    )
)
