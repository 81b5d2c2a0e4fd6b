"""Lease: its fields."""

from __future__ import annotations

import msgspec

from clusterip.objects.base import Struct
from clusterip.objects.meta import Object


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
