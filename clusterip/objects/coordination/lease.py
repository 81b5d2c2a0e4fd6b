"""Lease: a lock that runs out, for leader election and for the heartbeats of nodes."""

from __future__ import annotations

from typing import Any

import msgspec

from clusterip.objects import names, times
from clusterip.objects.base import Struct
from clusterip.objects.enums import CoordinatedLeaseStrategy
from clusterip.objects.errors import ErrorList, Path, forbidden, invalid
from clusterip.objects.meta import Object
from clusterip.objects.metadata import validate_object_meta, validate_object_meta_update
from clusterip.objects.registry import Column, Resource, register
from clusterip.objects.rules import not_negative
from clusterip.objects.scalars import Int32, MicroTime
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN


class LeaseSpec(Struct):
    """Who holds the lease, and until when if not renewed."""

    holderIdentity: str | None = None
    leaseDurationSeconds: Int32 | None = None
    acquireTime: MicroTime | None = None
    renewTime: MicroTime | None = None
    leaseTransitions: Int32 | None = None
    strategy: CoordinatedLeaseStrategy | None = None
    preferredHolder: str | None = None


class Lease(Object):
    spec: LeaseSpec = msgspec.field(default_factory=LeaseSpec)


def _validate(lease: Lease) -> ErrorList:
    rule = names.dns_subdomain
    errors = validate_object_meta(lease.metadata, namespaced=True, name_rule=rule, qualified=False)
    return errors + _validate_spec(lease.spec)


def _validate_update(new: Lease, old: Lease) -> ErrorList:
    return validate_object_meta_update(new.metadata, old.metadata, qualified=False) + _validate_spec(new.spec)


def _validate_spec(spec: LeaseSpec) -> ErrorList:
    path = Path("spec")
    errors: ErrorList = []
    if spec.leaseDurationSeconds is not None and spec.leaseDurationSeconds <= 0:
        where = path.child("leaseDurationSeconds")
        errors.append(invalid(where, spec.leaseDurationSeconds, "must be greater than 0"))
    errors += not_negative(path.child("leaseTransitions"), spec.leaseTransitions)
    if spec.preferredHolder and not spec.strategy:
        where = path.child("preferredHolder")
        errors.append(forbidden(where, "may only be specified if `strategy` is defined"))
    return errors


def _row(lease: Lease) -> list[Any]:
    meta = lease.metadata
    return [meta.name, lease.spec.holderIdentity or "", times.age(meta.creationTimestamp)]


LEASES = register(
    Resource(
        type=Lease,
        group="coordination.k8s.io",
        version="v1",
        plural="leases",
        namespaced=True,
        singular="lease",
        validate=_validate,
        validate_update=_validate_update,
        columns=(NAME_COLUMN, Column("Holder", description="Who holds it."), AGE_COLUMN),
        row=_row,
    )
)
