"""Validation of EndpointSlices (``pkg/apis/discovery/validation``)."""

from __future__ import annotations

from functools import lru_cache

from clusterip.objects import names
from clusterip.objects.addresses import (
    is_ipv6,
    is_ordinary_ipv4,
    validate_canonical_ip,
    validate_endpoint_ip,
    validate_ip,
)
from clusterip.objects.discovery.endpointslice.types import (
    Endpoint,
    EndpointHints,
    EndpointPort,
    EndpointSlice,
)
from clusterip.objects.errors import (
    ErrorList,
    Path,
    duplicate,
    invalid,
    invalid_each,
    required,
    too_many,
)
from clusterip.objects.metadata import (
    immutable,
    validate_labels,
    validate_object_meta,
    validate_object_meta_update,
)
from clusterip.objects.rules import PROTOCOLS, one_of

ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")

MAX_ENDPOINTS = 1000
MAX_ADDRESSES = 100
MAX_PORTS = 20000
MAX_HINTS = 8
MAX_TOPOLOGY_LABELS = 16

_ENDPOINTS = Path("endpoints")
_PORTS = Path("ports")


def validate(endpoint_slice: EndpointSlice) -> ErrorList:
    return (
        validate_object_meta(endpoint_slice.metadata, namespaced=True, name_rule=names.dns_subdomain)
        + one_of(Path("addressType"), endpoint_slice.addressType, ADDRESS_TYPES)
        + _validate_ports(endpoint_slice.ports)
        + _validate_endpoints(endpoint_slice)
    )


def validate_update(new: EndpointSlice, old: EndpointSlice) -> ErrorList:
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
        and (
            (address_type == "IPv4" and is_ordinary_ipv4(endpoint.addresses[0]))
            or _is_valid_address(endpoint.addresses[0], address_type)
        )
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
