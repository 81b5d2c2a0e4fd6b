"""ServiceCIDR: a range of addresses to take ClusterIPs from, one for each IP family."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from clusterip.objects import names, times
from clusterip.objects.addresses import is_ipv6, validate_canonical_cidr
from clusterip.objects.base import ListMap, Struct
from clusterip.objects.errors import ErrorList, Path, go_struct, invalid, required
from clusterip.objects.meta import Condition, Object
from clusterip.objects.metadata import IMMUTABLE, validate_object_meta, validate_object_meta_update
from clusterip.objects.registry import Column, Resource, register
from clusterip.objects.strategy import drop_status, keep_spec, keep_status
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN


class ServiceCIDRSpec(Struct):
    """One range, or two of different IP families. They cannot be changed."""

    cidrs: list[str] = []


class ServiceCIDRStatus(Struct):
    conditions: Annotated[list[Condition], ListMap(("type",), merge="type")] = []


class ServiceCIDR(Object):
    spec: ServiceCIDRSpec = msgspec.field(default_factory=ServiceCIDRSpec)
    status: ServiceCIDRStatus = msgspec.field(default_factory=ServiceCIDRStatus)


_CIDRS = Path("spec").child("cidrs")


def _validate(service_cidr: ServiceCIDR) -> ErrorList:
    errors = validate_object_meta(service_cidr.metadata, namespaced=False, name_rule=names.dns_subdomain)
    return errors + _validate_spec(service_cidr.spec)


def _validate_spec(spec: ServiceCIDRSpec) -> ErrorList:
    if not spec.cidrs:
        return [required(_CIDRS, "at least one CIDR required")]
    if len(spec.cidrs) > 2:
        return [invalid(_CIDRS, go_struct(CIDRs=spec.cidrs), "may only hold up to 2 values")]
    errors: ErrorList = []
    for i, cidr in enumerate(spec.cidrs):
        errors += validate_canonical_cidr(_CIDRS.item(i), cidr)
    if not errors and len(spec.cidrs) == 2 and len({_is_ipv6(cidr) for cidr in spec.cidrs}) == 1:
        message = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        errors.append(invalid(_CIDRS, spec.cidrs, message))
    return errors


def _is_ipv6(cidr: str) -> bool:
    return is_ipv6(cidr.partition("/")[0])


def _validate_update(new: ServiceCIDR, old: ServiceCIDR) -> ErrorList:
    """The ranges stay, but a second one may come, to make a single-stack cluster dual-stack."""
    errors = validate_object_meta_update(new.metadata, old.metadata)
    before, after = old.spec.cidrs, new.spec.cidrs
    grown = len(before) == 1 and len(after) == 2
    if len(before) != len(after) and not grown:
        return [*errors, invalid(_CIDRS, after, IMMUTABLE)]
    for i, (a, b) in enumerate(zip(before, after, strict=False)):
        if a != b:
            errors.append(invalid(_CIDRS.item(i), b, IMMUTABLE))
    return errors + _validate_spec(new.spec) if grown else errors


def _validate_status_update(new: ServiceCIDR, old: ServiceCIDR) -> ErrorList:
    return validate_object_meta_update(new.metadata, old.metadata)


def _row(service_cidr: ServiceCIDR) -> list[Any]:
    meta = service_cidr.metadata
    return [meta.name, ",".join(service_cidr.spec.cidrs), times.age(meta.creationTimestamp)]


SERVICECIDRS = register(
    Resource(
        type=ServiceCIDR,
        group="networking.k8s.io",
        version="v1",
        plural="servicecidrs",
        namespaced=False,
        singular="servicecidr",
        status=True,
        prepare_create=drop_status(ServiceCIDRStatus),
        prepare_update=keep_status,
        prepare_status_update=keep_spec,
        validate=_validate,
        validate_update=_validate_update,
        validate_status_update=_validate_status_update,
        columns=(NAME_COLUMN, Column("CIDRs", description="The ranges of addresses."), AGE_COLUMN),
        row=_row,
    )
)
