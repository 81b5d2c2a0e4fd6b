"""Validation of containers' environment variables and of where their values come from."""

from __future__ import annotations

import re
from collections.abc import Sequence

from clusterip.objects import names
from clusterip.objects.core.containers import EnvFromSource, EnvVar, EnvVarSource
from clusterip.objects.core.references import (
    ConfigMapKeySelector,
    FileKeySelector,
    ObjectFieldSelector,
    ResourceFieldSelector,
    SecretKeySelector,
)
from clusterip.objects.errors import ErrorList, Path, invalid, invalid_each, not_supported, required
from clusterip.objects.rules import no_backsteps

FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)

_KNOWN_FIELDS = (*FIELDS, "metadata.annotations", "metadata.labels", "spec.restartPolicy", "status.phase")
_subscripted = re.compile(r"([^\[]+)\['(.*)'\]").fullmatch
_SIZES = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_ONLY_ONE = "may not have more than one field specified at a time"


def validate_environment(variables: list[EnvVar], path: Path) -> ErrorList:
    errors: ErrorList = []
    for i, variable in enumerate(variables):
        where = path.item(i)
        if variable.name:
            rule = names.environment_variable(variable.name)
            errors += invalid_each(where.child("name"), variable.name, rule)
        else:
            errors.append(required(where.child("name")))
        if variable.valueFrom is not None:
            errors += _validate_source(variable.valueFrom, variable.value, where.child("valueFrom"))
    return errors


def _validate_source(source: EnvVarSource, value: str, path: Path) -> ErrorList:
    errors: ErrorList = []
    if source.fieldRef is not None:
        errors += validate_field_ref(source.fieldRef, FIELDS, path.child("fieldRef"))
    if source.resourceFieldRef is not None:
        where = path.child("resourceFieldRef")
        errors += validate_resource_ref(source.resourceFieldRef, where, container_required=False)
    if source.configMapKeyRef is not None:
        errors += _validate_key(source.configMapKeyRef, path.child("configMapKeyRef"))
    if source.secretKeyRef is not None:
        errors += _validate_key(source.secretKeyRef, path.child("secretKeyRef"))
    if source.fileKeyRef is not None:
        errors += _validate_file_key(source.fileKeyRef, path.child("fileKeyRef"))
    count = sum(getattr(source, name) is not None for name in source.__struct_fields__)
    if count == 0:
        message = (
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or "
            "`fileKeyRef`"
        )
        errors.append(invalid(path, "", message))
    elif value:
        errors.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif count > 1:
        errors.append(invalid(path, "", _ONLY_ONE))
    return errors


def validate_environment_from(sources: list[EnvFromSource], path: Path) -> ErrorList:
    errors: ErrorList = []
    for i, source in enumerate(sources):
        where = path.item(i)
        if source.prefix:
            rule = names.environment_variable(source.prefix)
            errors += invalid_each(where.child("prefix"), source.prefix, rule)
        if source.configMapRef is not None:
            errors += _validate_name(source.configMapRef.name, where.child("configMapRef", "name"))
        if source.secretRef is not None:
            errors += _validate_name(source.secretRef.name, where.child("secretRef", "name"))
        if source.configMapRef is None and source.secretRef is None:
            errors.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif source.configMapRef is not None and source.secretRef is not None:
            errors.append(invalid(path, "", _ONLY_ONE))
    return errors


def _validate_name(name: str, path: Path) -> ErrorList:
    if not name:
        return [required(path)]
    return invalid_each(path, name, names.dns_subdomain(names.as_prefix(name)))


def _validate_key(selector: ConfigMapKeySelector | SecretKeySelector, path: Path) -> ErrorList:
    errors = invalid_each(path.child("name"), selector.name, names.dns_subdomain(selector.name))
    if not selector.key:
        return [*errors, required(path.child("key"))]
    return errors + invalid_each(path.child("key"), selector.key, names.config_key(selector.key))


def _validate_file_key(selector: FileKeySelector, path: Path) -> ErrorList:
    errors: ErrorList = []
    for name, rule in (("key", names.environment_variable), ("volumeName", names.dns_label)):
        value = getattr(selector, name)
        errors += (
            invalid_each(path.child(name), value, rule(value)) if value else [required(path.child(name))]
        )
    if not selector.path:
        return [*errors, required(path.child("path"))]
    return errors + no_backsteps(path.child("path"), selector.path)


def validate_field_ref(selector: ObjectFieldSelector, allowed: Sequence[str], path: Path) -> ErrorList:
    """Errors of a reference to a field of the Pod itself; labels and annotations by ``['key']``."""
    for name in ("apiVersion", "fieldPath"):
        if not getattr(selector, name):
            return [required(path.child(name))]
    field = selector.fieldPath
    if match := _subscripted(field):
        base, key = match.groups()
        if base == "metadata.annotations":
            return invalid_each(path, key.lower(), names.label_key(key.lower()))
        if base == "metadata.labels":
            return invalid_each(path, key, names.label_key(key))
        return [invalid(path, base, "does not support subscript")]
    if field in allowed:
        return []
    if field not in _KNOWN_FIELDS:
        message = f"error converting fieldPath: field label not supported: {field}"
        return [invalid(path.child("fieldPath"), field, message)]
    return [not_supported(path.child("fieldPath"), field, sorted(allowed))]


def validate_resource_ref(
    selector: ResourceFieldSelector, path: Path, *, container_required: bool
) -> ErrorList:
    """Errors of a reference to what a container asks for."""
    errors: ErrorList = []
    resource = selector.resource
    if container_required and not selector.containerName:
        errors.append(required(path.child("containerName")))
    elif not resource:
        errors.append(required(path.child("resource")))
    elif resource not in RESOURCES and not _is_huge_page(resource):
        errors.append(not_supported(path.child("resource"), resource, RESOURCES))
    if selector.divisor in ("0", 0):
        return errors
    divisor, where = str(selector.divisor), path.child("divisor")
    if resource.endswith(".cpu"):
        if divisor not in ("1m", "1"):
            message = "only divisor's values 1m and 1 are supported with the cpu resource"
            errors.append(invalid(where, resource, message))
    elif divisor not in _SIZES:
        kind = "hugepages" if _is_huge_page(resource) else resource.partition(".")[2]
        kind = "local ephemeral storage" if kind == "ephemeral-storage" else kind
        message = f"only divisor's values {', '.join(_SIZES)} are supported with the {kind} resource"
        errors.append(invalid(where, resource, message))
    return errors


def _is_huge_page(resource: str) -> bool:
    return resource.startswith(("requests.hugepages-", "limits.hugepages-"))
