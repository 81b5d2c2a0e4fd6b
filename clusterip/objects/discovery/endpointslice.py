"""EndpointSlice: some of the endpoints behind a Service, of one address type and with the same ports."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, ClassVar

import msgspec

from clusterip.objects import names, times
from clusterip.objects.addresses import (
    is_ipv6,
    validate_canonical_ip,
    validate_endpoint_ip,
    validate_ip,
    warn_ip,
)
from clusterip.objects.base import ListSet, Struct, always, always_list
from clusterip.objects.core.references import ObjectReference
from clusterip.objects.errors import (
    ErrorList,
    Path,
    duplicate,
    invalid,
    invalid_each,
    required,
    too_many,
)
from clusterip.objects.meta import Object
from clusterip.objects.metadata import (
    immutable,
    validate_labels,
    validate_object_meta,
    validate_object_meta_update,
)
from clusterip.objects.registry import Column, Resource, register
from clusterip.objects.rules import PROTOCOLS, one_of
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN, UNSET, shortened


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
    protocol: str | None = None
    port: int | None = None
    appProtocol: str | None = None


class EndpointSlice(Object):
    addressType: str = always("")
    endpoints: list[Endpoint] = always_list()
    ports: list[EndpointPort] = always_list()


ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
MIRRORING_CONTROLLER = "endpointslicemirroring-controller.k8s.io"

MAX_ENDPOINTS = 1000
MAX_ADDRESSES = 100
MAX_PORTS = 20000
MAX_HINTS = 8
MAX_TOPOLOGY_LABELS = 16

_ENDPOINTS = Path("endpoints")
_PORTS = Path("ports")


def _set_defaults(endpoint_slice: EndpointSlice) -> None:
    for port in endpoint_slice.ports:
        if port.name is None:
            port.name = ""
        if port.protocol is None:
            port.protocol = "TCP"


def _prepare_create(endpoint_slice: EndpointSlice) -> None:
    endpoint_slice.metadata.generation = 1
    _drop_topology(endpoint_slice)


def _prepare_update(new: EndpointSlice, old: EndpointSlice) -> None:
    unchanged = (
        new.endpoints == old.endpoints
        and new.ports == old.ports
        and new.addressType == old.addressType
        and new.metadata.labels == old.metadata.labels
    )
    new.metadata.generation = old.metadata.generation + (0 if unchanged else 1)
    _drop_topology(new)


def _drop_topology(endpoint_slice: EndpointSlice) -> None:
    # A v1beta1 field, of which v1 keeps the name only.
    for endpoint in endpoint_slice.endpoints:
        endpoint.deprecatedTopology = {}


def _validate(endpoint_slice: EndpointSlice) -> ErrorList:
    return (
        validate_object_meta(endpoint_slice.metadata, namespaced=True, name_rule=names.dns_subdomain)
        + one_of(Path("addressType"), endpoint_slice.addressType, ADDRESS_TYPES)
        + _validate_ports(endpoint_slice.ports)
        + _validate_endpoints(endpoint_slice)
    )


def _validate_update(new: EndpointSlice, old: EndpointSlice) -> ErrorList:
    errors = validate_object_meta_update(new.metadata, old.metadata)
    errors += one_of(Path("addressType"), new.addressType, ADDRESS_TYPES) + _validate_ports(new.ports)
    # What was valid by older rules may stay as it is; it also saves the work.
    if new.endpoints != old.endpoints:
        errors += _validate_endpoints(new)
    return errors + immutable(new.addressType, old.addressType, Path("addressType"))


def _validate_ports(ports: list[EndpointPort]) -> ErrorList:
    if len(ports) > MAX_PORTS:
        return [too_many(_PORTS, len(ports), MAX_PORTS)]
    errors: ErrorList = []
    seen: set[str] = set()
    for i, port in enumerate(ports):
        path, name = _PORTS.item(i), port.name or ""
        if name:
            errors += invalid_each(path.child("name"), name, names.dns_label(name))
        if name in seen:
            errors.append(duplicate(path.child("name"), name))
        seen.add(name)
        errors += one_of(path.child("protocol"), port.protocol or "", PROTOCOLS)
        if port.appProtocol is not None:
            rule = names.label_key(port.appProtocol)
            errors += invalid_each(path.child("appProtocol"), port.appProtocol, rule)
    return errors


def _validate_endpoints(endpoint_slice: EndpointSlice) -> ErrorList:
    endpoints = endpoint_slice.endpoints
    if len(endpoints) > MAX_ENDPOINTS:
        return [too_many(_ENDPOINTS, len(endpoints), MAX_ENDPOINTS)]
    errors: ErrorList = []
    address_type = endpoint_slice.addressType
    for i, endpoint in enumerate(endpoints):
        # Slices are large and change often, and nearly all endpoints are ordinary ones.
        if not _is_ordinary(endpoint, address_type):
            errors += _validate_endpoint(endpoint, address_type, _ENDPOINTS.item(i))
    return errors


def _is_ordinary(endpoint: Endpoint, address_type: str) -> bool:
    """Whether it has one valid address and nothing that is rare, and so no errors."""
    return (
        len(endpoint.addresses) == 1
        and endpoint.hostname is None
        and endpoint.hints is None
        and not endpoint.deprecatedTopology
        and _is_valid_address(endpoint.addresses[0], address_type)
        and (endpoint.nodeName is None or _is_valid_node(endpoint.nodeName))
    )


@lru_cache(maxsize=16384)
def _is_valid_address(address: str, address_type: str) -> bool:
    return not _validate_address(address, address_type, Path(""), 0)


@lru_cache(maxsize=4096)
def _is_valid_node(name: str) -> bool:
    return not names.dns_subdomain(name)


def _validate_endpoint(endpoint: Endpoint, address_type: str, path: Path) -> ErrorList:
    errors: ErrorList = []
    where = path.child("addresses")
    if not endpoint.addresses:
        errors.append(required(where, "must contain at least 1 address"))
    elif len(endpoint.addresses) > MAX_ADDRESSES:
        errors.append(too_many(where, len(endpoint.addresses), MAX_ADDRESSES))
    for i, address in enumerate(endpoint.addresses):
        errors += _validate_address(address, address_type, where, i)
    if endpoint.nodeName is not None:
        rule = names.dns_subdomain(endpoint.nodeName)
        errors += invalid_each(path.child("nodeName"), endpoint.nodeName, rule)
    if len(endpoint.deprecatedTopology) > MAX_TOPOLOGY_LABELS:
        count = len(endpoint.deprecatedTopology)
        errors.append(too_many(path.child("deprecatedTopology"), count, MAX_TOPOLOGY_LABELS))
    errors += validate_labels(endpoint.deprecatedTopology, path.child("deprecatedTopology"))
    if endpoint.hostname is not None:
        rule = names.dns_label(endpoint.hostname)
        errors += invalid_each(path.child("hostname"), endpoint.hostname, rule)
    if endpoint.hints is not None:
        errors += _validate_hints(endpoint.hints, path.child("hints"))
    return errors


def _validate_address(address: str, address_type: str, path: Path, i: int) -> ErrorList:
    where = path.item(i)
    match address_type:
        case "IPv4":
            errors = validate_ip(where, address)
            wrong_family = not errors and is_ipv6(address)
        case "IPv6":
            errors = validate_canonical_ip(where, address)
            wrong_family = not errors and not is_ipv6(address)
        case "FQDN":
            return _validate_fqdn(where, address)
        case _:
            return []
    if errors:
        return errors
    if wrong_family:
        errors.append(invalid(path, address, f"must be an {address_type} address"))
    return errors + validate_endpoint_ip(where, address)


def _validate_fqdn(path: Path, name: str) -> ErrorList:
    if not name:
        return [required(path)]
    name = name.removesuffix(".")
    if problems := names.dns_subdomain(name):
        return [invalid(path, name, ",".join(problems))]
    labels = name.split(".")
    if len(labels) < 2:
        return [invalid(path, name, "should be a domain with at least two segments separated by dots")]
    for label in labels:
        if problems := names.dns_label(label):
            return [invalid(path, label, ",".join(problems))]
    return []


def _validate_hints(hints: EndpointHints, path: Path) -> ErrorList:
    errors: ErrorList = []
    for field, entries, rule in (
        ("forZones", [zone.name for zone in hints.forZones], names.label_value),
        ("forNodes", [node.name for node in hints.forNodes], names.dns_subdomain),
    ):
        where = path.child(field)
        if len(entries) > MAX_HINTS:
            return [*errors, too_many(where, len(entries), MAX_HINTS)]
        for i, name in enumerate(entries):
            if name in entries[:i]:
                errors.append(duplicate(where.item(i).child("name"), name))
            errors += invalid_each(where.item(i).child("name"), name, rule(name))
    return errors


def _warnings(endpoint_slice: EndpointSlice) -> list[str]:
    found: list[str] = []
    if endpoint_slice.addressType == "FQDN":
        found.append("spec.addressType: FQDN endpoints are deprecated")
    if endpoint_slice.metadata.labels.get(MANAGED_BY) in (CONTROLLER, MIRRORING_CONTROLLER):
        return found
    for i, endpoint in enumerate(endpoint_slice.endpoints):
        for j, address in enumerate(endpoint.addresses):
            found += warn_ip(f"endpoints[{i}].addresses[{j}]", address)
    return found


def _row(endpoint_slice: EndpointSlice) -> list[Any]:
    meta = endpoint_slice.metadata
    ports = [
        str(port.port) if port.port is not None else "*" if port.name is None else port.name
        for port in endpoint_slice.ports
    ]
    addresses = [address for endpoint in endpoint_slice.endpoints for address in endpoint.addresses]
    return [
        meta.name,
        endpoint_slice.addressType,
        shortened(ports) or UNSET,
        shortened(addresses) or UNSET,
        times.age(meta.creationTimestamp),
    ]


ENDPOINTSLICES = register(
    Resource(
        type=EndpointSlice,
        group="discovery.k8s.io",
        version="v1",
        plural="endpointslices",
        namespaced=True,
        singular="endpointslice",
        set_defaults=_set_defaults,
        prepare_create=_prepare_create,
        prepare_update=_prepare_update,
        validate=_validate,
        validate_update=_validate_update,
        warnings=_warnings,
        columns=(
            NAME_COLUMN,
            Column("AddressType", description="IPv4, IPv6 or FQDN."),
            Column("Ports", description="The ports of each endpoint."),
            Column("Endpoints", description="Their addresses, ready or not."),
            AGE_COLUMN,
        ),
        row=_row,
    )
)
