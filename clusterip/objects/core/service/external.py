"""Validation of what leads in from outside: external names and addresses, load balancers."""

from __future__ import annotations

from clusterip.objects import names
from clusterip.objects.addresses import parse_ip, validate_cidr, validate_endpoint_ip, validate_ip
from clusterip.objects.core.service import predicates
from clusterip.objects.core.service.types import LoadBalancerIngress, LoadBalancerStatus, Service
from clusterip.objects.errors import (
    ErrorList,
    Path,
    forbidden,
    invalid,
    invalid_each,
    not_supported,
    required,
)

SOURCE_RANGES_ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"
IP_MODES = ("Proxy", "VIP")

_SPEC = Path("spec")
_ONLY_LOAD_BALANCER = "may only be used when `type` is 'LoadBalancer'"


def validate_external_name(service: Service) -> ErrorList:
    """Errors of an ExternalName Service: a DNS name is all that it has."""
    spec = service.spec
    errors: ErrorList = []
    for name, value in (
        ("clusterIPs", spec.clusterIPs),
        ("ipFamilies", spec.ipFamilies),
        ("ipFamilyPolicy", spec.ipFamilyPolicy),
    ):
        if value:
            errors.append(forbidden(_SPEC.child(name), "may not be set for ExternalName services"))
    where = _SPEC.child("externalName")
    name = spec.externalName.removesuffix(".")
    return errors + (invalid_each(where, name, names.dns_subdomain(name)) if name else [required(where)])


def validate_external_ips(service: Service, old: Service | None) -> ErrorList:
    keep = old.spec.externalIPs if old is not None else []
    errors: ErrorList = []
    for i, address in enumerate(service.spec.externalIPs):
        where = _SPEC.child("externalIPs").item(i)
        errors += validate_ip(where, address, keep) or validate_endpoint_ip(where, address)
    return errors


def validate_source_ranges(service: Service, old: Service | None) -> ErrorList:
    """Errors of ``loadBalancerSourceRanges``, or of the annotation from before that field existed."""
    errors: ErrorList = []
    ranges = service.spec.loadBalancerSourceRanges
    is_load_balancer = service.spec.type == predicates.LOAD_BALANCER
    if ranges:
        # Upstream's message has the Go name of the field.
        where = _SPEC.child("LoadBalancerSourceRanges")
        if not is_load_balancer:
            errors.append(forbidden(where, _ONLY_LOAD_BALANCER))
        keep = [value.strip() for value in old.spec.loadBalancerSourceRanges] if old is not None else []
        for i, value in enumerate(ranges):
            errors += validate_cidr(where.item(i), value.strip(), keep)
        return errors
    annotation = service.metadata.annotations.get(SOURCE_RANGES_ANNOTATION)
    if annotation is None:
        return errors
    where = Path("metadata").child("annotations").key(SOURCE_RANGES_ANNOTATION)
    if not is_load_balancer:
        errors.append(forbidden(where, _ONLY_LOAD_BALANCER))
    unchanged = old is not None and old.metadata.annotations.get(SOURCE_RANGES_ANNOTATION) == annotation
    if annotation.strip() and not unchanged:
        for value in annotation.split(","):
            errors += validate_cidr(where, value.strip())
    return errors


def validate_load_balancer_fields(service: Service) -> ErrorList:
    """Errors of fields that only a LoadBalancer Service has."""
    spec = service.spec
    is_load_balancer = spec.type == predicates.LOAD_BALANCER
    errors: ErrorList = []
    if spec.allocateLoadBalancerNodePorts is not None and not is_load_balancer:
        errors.append(forbidden(_SPEC.child("allocateLoadBalancerNodePorts"), _ONLY_LOAD_BALANCER))
    if spec.allocateLoadBalancerNodePorts is None and is_load_balancer:
        errors.append(required("allocateLoadBalancerNodePorts"))
    return errors + _load_balancer_class(service)


def _load_balancer_class(service: Service) -> ErrorList:
    name, where = service.spec.loadBalancerClass, _SPEC.child("loadBalancerClass")
    if name is None:
        return []
    if service.spec.type != predicates.LOAD_BALANCER:
        return [forbidden(where, _ONLY_LOAD_BALANCER)]
    return invalid_each(where, name, names.label_key(name))


def validate_load_balancer_class_update(new: Service, old: Service) -> ErrorList:
    if new.spec.type != predicates.LOAD_BALANCER:
        return _load_balancer_class(new)
    errors: ErrorList = []
    name = new.spec.loadBalancerClass
    if old.spec.type == predicates.LOAD_BALANCER and name != old.spec.loadBalancerClass:
        errors.append(invalid(_SPEC.child("loadBalancerClass"), name, "may not change once set"))
    return errors + _load_balancer_class(new)


def validate_load_balancer_status(service: Service, old: LoadBalancerStatus) -> ErrorList:
    """Errors of what a load balancer reports in status."""
    path = Path("status").child("loadBalancer", "ingress")
    ingress = service.status.loadBalancer.ingress
    if ingress and service.spec.type != predicates.LOAD_BALANCER:
        return [forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")]
    keep = [entry.ip for entry in old.ingress if entry.ip]
    errors: ErrorList = []
    for i, entry in enumerate(ingress):
        errors += _ingress(entry, keep, path.item(i))
    return errors


def _ingress(entry: LoadBalancerIngress, keep: list[str], path: Path) -> ErrorList:
    errors: ErrorList = []
    if entry.ip:
        errors += validate_ip(path.child("ip"), entry.ip, keep)
    where = path.child("ipMode")
    if entry.ipMode is None:
        if entry.ip:
            errors.append(required(where, "must be specified when `ip` is set"))
    elif not entry.ip:
        errors.append(forbidden(where, "may not be specified when `ip` is not set"))
    elif entry.ipMode not in IP_MODES:
        errors.append(not_supported(where, entry.ipMode, IP_MODES))
    if entry.hostname:
        where = path.child("hostname")
        errors += invalid_each(where, entry.hostname, names.dns_subdomain(entry.hostname))
        if parse_ip(entry.hostname) is not None:
            errors.append(invalid(where, entry.hostname, "must be a DNS name, not an IP address"))
    return errors
