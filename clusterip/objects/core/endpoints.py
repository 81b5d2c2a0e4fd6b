"""Endpoints: where a Service leads, in one object; what there was before EndpointSlices."""

from __future__ import annotations

from typing import Any, ClassVar

from clusterip.objects import names, times
from clusterip.objects.addresses import validate_endpoint_ip, validate_ip, warn_ip
from clusterip.objects.base import Struct, always
from clusterip.objects.core.references import ObjectReference
from clusterip.objects.enums import Protocol
from clusterip.objects.errors import ErrorList, Path, invalid_each, required
from clusterip.objects.meta import Object
from clusterip.objects.metadata import validate_object_meta, validate_object_meta_update
from clusterip.objects.registry import Column, Resource, register
from clusterip.objects.rules import PROTOCOLS, one_of
from clusterip.objects.scalars import Int32
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN, NONE, shortened


class EndpointAddress(Struct):
    owned_whole: ClassVar[bool] = True

    ip: str = always("")
    hostname: str = ""
    nodeName: str | None = None
    targetRef: ObjectReference | None = None


class EndpointPort(Struct):
    owned_whole: ClassVar[bool] = True

    name: str = ""
    port: Int32 = always(0)
    protocol: Protocol = ""
    appProtocol: str | None = None


class EndpointSubset(Struct):
    """Addresses that all have the same ports."""

    addresses: list[EndpointAddress] = []
    notReadyAddresses: list[EndpointAddress] = []
    ports: list[EndpointPort] = []


class Endpoints(Object):
    subsets: list[EndpointSubset] = []


MANAGED_BY = "endpoints.kubernetes.io/managed-by"
CONTROLLER = "endpoint-controller"


def _set_defaults(endpoints: Endpoints) -> None:
    for subset in endpoints.subsets:
        for port in subset.ports:
            port.protocol = port.protocol or "TCP"


def _validate(endpoints: Endpoints) -> ErrorList:
    errors = validate_object_meta(endpoints.metadata, namespaced=True, name_rule=names.dns_subdomain)
    return errors + _validate_subsets(endpoints)


def _validate_update(new: Endpoints, old: Endpoints) -> ErrorList:
    errors = validate_object_meta_update(new.metadata, old.metadata)
    # What was valid by older rules may stay as it is.
    return errors if new.subsets == old.subsets else errors + _validate_subsets(new)


def _validate_subsets(endpoints: Endpoints) -> ErrorList:
    errors: ErrorList = []
    for i, subset in enumerate(endpoints.subsets):
        path = Path("subsets").item(i)
        if not subset.addresses and not subset.notReadyAddresses:
            errors.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
        for name in ("addresses", "notReadyAddresses"):
            for j, address in enumerate(getattr(subset, name)):
                errors += _validate_address(address, path.child(name).item(j))
        for j, port in enumerate(subset.ports):
            errors += _validate_port(port, len(subset.ports) > 1, path.child("ports").item(j))
    return errors


def _validate_address(address: EndpointAddress, path: Path) -> ErrorList:
    errors = validate_ip(path.child("ip"), address.ip)
    if address.hostname:
        errors += invalid_each(path.child("hostname"), address.hostname, names.dns_label(address.hostname))
    if address.nodeName is not None:
        rule = names.dns_subdomain(address.nodeName)
        errors += invalid_each(path.child("nodeName"), address.nodeName, rule)
    return errors + validate_endpoint_ip(path.child("ip"), address.ip)


def _validate_port(port: EndpointPort, name_required: bool, path: Path) -> ErrorList:
    errors: ErrorList = []
    if port.name:
        errors += invalid_each(path.child("name"), port.name, names.dns_label(port.name))
    elif name_required:
        errors.append(required(path.child("name")))
    errors += invalid_each(path.child("port"), port.port, names.port_number(port.port))
    errors += one_of(path.child("protocol"), port.protocol, PROTOCOLS)
    if port.appProtocol is not None:
        rule = names.label_key(port.appProtocol)
        errors += invalid_each(path.child("appProtocol"), port.appProtocol, rule)
    return errors


def _warnings(endpoints: Endpoints) -> list[str]:
    if endpoints.metadata.labels.get(MANAGED_BY) == CONTROLLER:
        return []
    found: list[str] = []
    for i, subset in enumerate(endpoints.subsets):
        for name in ("addresses", "notReadyAddresses"):
            for j, address in enumerate(getattr(subset, name)):
                found += warn_ip(f"subsets[{i}].{name}[{j}].ip", address.ip)
    return found


def _row(endpoints: Endpoints) -> list[Any]:
    meta = endpoints.metadata
    shown = shortened(_addresses(endpoints)) if endpoints.subsets else NONE
    return [meta.name, shown, times.age(meta.creationTimestamp)]


def _addresses(endpoints: Endpoints) -> list[str]:
    found: list[str] = []
    for subset in endpoints.subsets:
        if not subset.ports:  # a headless Service may have none
            found += [address.ip for address in subset.addresses]
        for port in subset.ports:
            for address in subset.addresses:
                host = f"[{address.ip}]" if ":" in address.ip else address.ip
                found.append(f"{host}:{port.port}")
    return found


ENDPOINTS = register(
    Resource(
        type=Endpoints,
        group="",
        version="v1",
        plural="endpoints",
        namespaced=True,
        singular="endpoints",
        short_names=("ep",),
        set_defaults=_set_defaults,
        validate=_validate,
        validate_update=_validate_update,
        warnings=_warnings,
        columns=(NAME_COLUMN, Column("Endpoints", description="Ready addresses and ports."), AGE_COLUMN),
        row=_row,
        deprecation="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    )
)
