"""What an Ingress may say, as ``pkg/apis/networking/validation``."""

from __future__ import annotations

from clusterip.objects import names
from clusterip.objects.addresses import parse_ip, validate_ip
from clusterip.objects.core.references import TypedLocalObjectReference
from clusterip.objects.errors import ErrorList, Path, invalid, invalid_each, not_supported, required
from clusterip.objects.metadata import validate_object_meta, validate_object_meta_update
from clusterip.objects.networking.ingress.types import (
    HTTPIngressPath,
    Ingress,
    IngressBackend,
    IngressServiceBackend,
    IngressSpec,
)

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
EXACT, IMPLEMENTATION_SPECIFIC, PREFIX = "Exact", "ImplementationSpecific", "Prefix"

_NOT_AN_ADDRESS = "must be a DNS name, not an IP address"
_FORBIDDEN_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")
_FORBIDDEN_ENDS = ("/..", "/.")


def validate(ingress: Ingress) -> ErrorList:
    errors = _validate(ingress)
    annotation = ingress.metadata.annotations.get(CLASS_ANNOTATION)
    name = ingress.spec.ingressClassName
    if annotation is not None and name is not None and annotation != name:
        where = Path("annotations").child(CLASS_ANNOTATION)
        errors.append(invalid(where, annotation, "must match `ingressClassName` when both are specified"))
    return errors


def validate_update(new: Ingress, old: Ingress) -> ErrorList:
    return validate_object_meta_update(new.metadata, old.metadata) + _validate(new)


def validate_status_update(new: Ingress, old: Ingress) -> ErrorList:
    errors = validate_object_meta_update(new.metadata, old.metadata)
    known = {ingress.ip for ingress in old.status.loadBalancer.ingress}
    for i, ingress in enumerate(new.status.loadBalancer.ingress):
        path = Path("status").child("loadBalancer", "ingress").item(i)
        if ingress.ip:
            errors += validate_ip(path.child("ip"), ingress.ip, known)
        if ingress.hostname:
            where = path.child("hostname")
            errors += invalid_each(where, ingress.hostname, names.dns_subdomain(ingress.hostname))
            if parse_ip(ingress.hostname) is not None:
                errors.append(invalid(where, ingress.hostname, _NOT_AN_ADDRESS))
    return errors


def _validate(ingress: Ingress) -> ErrorList:
    errors = validate_object_meta(ingress.metadata, namespaced=True, name_rule=names.dns_subdomain)
    return errors + _validate_spec(ingress.spec, Path("spec"))


def _validate_spec(spec: IngressSpec, path: Path) -> ErrorList:
    errors: ErrorList = []
    if not spec.rules and spec.defaultBackend is None:
        message = "either `defaultBackend` or `rules` must be specified"
        errors.append(invalid(path, spec.rules, message))
    if spec.defaultBackend is not None:
        errors += _validate_backend(spec.defaultBackend, path.child("defaultBackend"))
    for i, rule in enumerate(spec.rules):
        where = path.child("rules").item(i)
        if rule.host:
            if parse_ip(rule.host) is not None:
                errors.append(invalid(where.child("host"), rule.host, _NOT_AN_ADDRESS))
            errors += _validate_host(rule.host, where.child("host"))
        if rule.http is not None:
            paths = where.child("http", "paths")
            if not rule.http.paths:
                errors.append(required(paths))
            for j, each in enumerate(rule.http.paths):
                errors += _validate_path(each, paths.item(j))
    errors += _validate_tls(spec, path.child("tls"))
    if spec.ingressClassName is not None:
        where = path.child("ingressClassName")
        errors += invalid_each(where, spec.ingressClassName, names.dns_subdomain(spec.ingressClassName))
    return errors


def _validate_tls(spec: IngressSpec, path: Path) -> ErrorList:
    errors: ErrorList = []
    for i, tls in enumerate(spec.tls):
        for j, host in enumerate(tls.hosts):
            errors += _validate_host(host, path.item(i).child("hosts").item(j))
        if tls.secretName:
            where = path.item(i).child("secretName")
            errors += invalid_each(where, tls.secretName, names.dns_subdomain(tls.secretName))
    return errors


def _validate_host(host: str, path: Path) -> ErrorList:
    rule = names.wildcard_subdomain if "*" in host else names.dns_subdomain
    return invalid_each(path, host, rule(host))


def _validate_path(path: HTTPIngressPath, where: Path) -> ErrorList:
    text, at = path.path, where.child("path")
    errors: ErrorList = []
    match path.pathType:
        case None:
            return [required(where.child("pathType"), "pathType must be specified")]
        case "Exact" | "Prefix":
            if not text.startswith("/"):
                errors.append(invalid(at, text, "must be an absolute path"))
            errors += [
                invalid(at, text, f"must not contain '{part}'")
                for part in _FORBIDDEN_IN_PATHS
                if part in text
            ]
            errors += [
                invalid(at, text, f"cannot end with '{end}'") for end in _FORBIDDEN_ENDS if text.endswith(end)
            ]
        case "ImplementationSpecific":
            if text and not text.startswith("/"):
                errors.append(invalid(at, text, "must be an absolute path"))
        case other:
            types = (EXACT, IMPLEMENTATION_SPECIFIC, PREFIX)
            errors.append(not_supported(where.child("pathType"), other, types))
    return errors + _validate_backend(path.backend, where.child("backend"))


def _validate_backend(backend: IngressBackend, path: Path) -> ErrorList:
    if backend.resource is not None and backend.service is not None:
        return [invalid(path, "", "cannot set both resource and service backends")]
    if backend.resource is not None:
        return _validate_resource(backend.resource, path.child("resource"))
    if backend.service is not None:
        return _validate_service(backend.service, path)
    return [invalid(path, "", "resource or service backend is required")]


def _validate_service(service: IngressServiceBackend, path: Path) -> ErrorList:
    where = path.child("service", "name")
    if service.name:
        errors = invalid_each(where, service.name, names.dns_label(service.name))
    else:
        errors = [required(where)]
    name, number = service.port.name, service.port.number
    if name and number:
        errors.append(invalid(path, "", "cannot set both port name & port number"))
    elif name:
        errors += invalid_each(path.child("service", "port", "name"), name, names.port_name(name))
    elif number:
        errors += invalid_each(path.child("service", "port", "number"), number, names.port_number(number))
    else:
        errors.append(required(path, "port name or number is required"))
    return errors


def _validate_resource(resource: TypedLocalObjectReference, path: Path) -> ErrorList:
    errors: ErrorList = []
    if resource.apiGroup is not None:
        group = resource.apiGroup
        errors += invalid_each(path.child("apiGroup"), group, names.dns_subdomain(group))
    for name in ("kind", "name"):
        value = getattr(resource, name)
        if value:
            errors += invalid_each(path.child(name), value, names.path_segment(value))
        else:
            errors.append(required(path.child(name)))
    return errors
