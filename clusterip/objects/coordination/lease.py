"""Lease: its fields and its place in the API."""

from __future__ import annotations

import msgspec

from clusterip.objects.base import Struct
from clusterip.objects.meta import Object
from clusterip.objects.registry import Resource, register


class LeaseSpec(Struct):
    holderIdentity: str | None = None
    leaseDurationSeconds: int | None = None
    acquireTime: str | None = None
    renewTime: str | None = None
    leaseTransitions: int | None = None
    strategy: str | None = None
    preferredHolder: str | None = None


class Lease(Object):
    spec: LeaseSpec = msgspec.field(default_factory=LeaseSpec)


LEASES = register(
    Resource(
        type=Lease,
        group="coordination.k8s.io",
        version="v1",
        plural="leases",
        namespaced=True,
        singular="lease",
    )
)
