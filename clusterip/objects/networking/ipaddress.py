"""IPAddress: an allocated ClusterIP; its name is the address, so that no address is given out twice."""

from __future__ import annotations

from typing import Any

import msgspec

from clusterip.objects import names
from clusterip.objects.addresses import validate_canonical_ip
from clusterip.objects.base import Struct, always
from clusterip.objects.errors import ErrorList, Path, invalid_each, required
from clusterip.objects.meta import Object
from clusterip.objects.metadata import immutable, validate_object_meta, validate_object_meta_update
from clusterip.objects.registry import Column, Resource, register
from clusterip.objects.tables import NAME_COLUMN, NONE


class ParentReference(Struct):
    """The object an address belongs to, by resource and not by kind."""

    group: str = ""
    resource: str = always("")
    namespace: str = ""
    name: str = always("")


class IPAddressSpec(Struct):
    parentRef: ParentReference | None = None


class IPAddress(Object):
    spec: IPAddressSpec = msgspec.field(default_factory=IPAddressSpec)


_PARENT = Path("spec").child("parentRef")


def _name(value: str) -> list[str]:
    """The rule for names: an address in canonical form. Messages without the value's own text."""
    prefix = f'Invalid value: "{value}": '
    return [error.body.removeprefix(prefix) for error in validate_canonical_ip("", value)]


def _validate(address: IPAddress) -> ErrorList:
    errors = validate_object_meta(address.metadata, namespaced=False, name_rule=_name)
    return errors + _validate_parent(address.spec.parentRef)


def _validate_parent(parent: ParentReference | None) -> ErrorList:
    if parent is None:
        return [required(_PARENT)]
    errors: ErrorList = []
    if parent.group:
        errors += invalid_each(_PARENT.child("group"), parent.group, names.dns_subdomain(parent.group))
    for name in ("resource", "name", "namespace"):
        value = getattr(parent, name)
        if value:
            errors += invalid_each(_PARENT.child(name), value, names.path_segment(value))
        elif name != "namespace":
            errors.append(required(_PARENT.child(name)))
    return errors


def _validate_update(new: IPAddress, old: IPAddress) -> ErrorList:
    return (
        _validate_parent(new.spec.parentRef)
        + validate_object_meta_update(new.metadata, old.metadata)
        + immutable(new.spec.parentRef, old.spec.parentRef, _PARENT)
    )


def _row(address: IPAddress) -> list[Any]:
    parent = address.spec.parentRef
    shown = NONE
    if parent is not None:
        group = f".{parent.group}" if parent.group else ""
        parts = [f"{parent.resource}{group}".lower(), parent.namespace, parent.name]
        shown = "/".join(part for part in parts if part)
    return [address.metadata.name, shown]


IPADDRESSES = register(
    Resource(
        type=IPAddress,
        group="networking.k8s.io",
        version="v1",
        plural="ipaddresses",
        namespaced=False,
        singular="ipaddress",
        short_names=("ip",),
        validate=_validate,
        validate_update=_validate_update,
        columns=(NAME_COLUMN, Column("ParentRef", description="Whose address it is.")),
        row=_row,
    )
)
