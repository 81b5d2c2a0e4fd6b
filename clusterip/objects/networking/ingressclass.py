"""IngressClass: which controller serves the Ingresses of a class."""

from __future__ import annotations

from typing import Any

import msgspec

from clusterip.objects import names, times
from clusterip.objects.base import Struct, always
from clusterip.objects.errors import (
    ErrorList,
    Path,
    forbidden,
    invalid_each,
    not_supported,
    required,
    too_long,
)
from clusterip.objects.meta import Object
from clusterip.objects.metadata import immutable, validate_object_meta, validate_object_meta_update
from clusterip.objects.registry import Column, Resource, register
from clusterip.objects.rules import domain_prefixed_path
from clusterip.objects.strategy import bump_generation, start_generation
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN, NONE


class IngressClassParametersReference(Struct):
    """An object with more settings for the controller."""

    apiGroup: str | None = None
    kind: str = always("")
    name: str = always("")
    scope: str | None = None
    namespace: str | None = None


class IngressClassSpec(Struct):
    controller: str = ""
    parameters: IngressClassParametersReference | None = None


class IngressClass(Object):
    spec: IngressClassSpec = msgspec.field(default_factory=IngressClassSpec)


CLUSTER, NAMESPACE = "Cluster", "Namespace"
DEFAULT_ANNOTATION = "ingressclass.kubernetes.io/is-default-class"

_CONTROLLER = Path("spec").child("controller")
_CONTROLLER_LIMIT = 250


def _set_defaults(ingress_class: IngressClass) -> None:
    parameters = ingress_class.spec.parameters
    if parameters is not None and parameters.scope is None:
        parameters.scope = CLUSTER


def _validate(ingress_class: IngressClass) -> ErrorList:
    errors = validate_object_meta(ingress_class.metadata, namespaced=False, name_rule=names.dns_subdomain)
    controller = ingress_class.spec.controller
    if len(controller) > _CONTROLLER_LIMIT:
        errors.append(too_long(_CONTROLLER, _CONTROLLER_LIMIT))
    errors += domain_prefixed_path(_CONTROLLER, controller)
    return errors + _validate_parameters(ingress_class.spec.parameters, Path("spec").child("parameters"))


def _validate_parameters(parameters: IngressClassParametersReference | None, path: Path) -> ErrorList:
    if parameters is None:
        return []
    errors: ErrorList = []
    if parameters.apiGroup is not None:
        group = parameters.apiGroup
        errors += invalid_each(path.child("apiGroup"), group, names.dns_subdomain(group))
    for name in ("kind", "name"):
        value = getattr(parameters, name)
        if value:
            errors += invalid_each(path.child(name), value, names.path_segment(value))
        else:
            errors.append(required(path.child(name)))
    return errors + _validate_scope(parameters, path)


def _validate_scope(parameters: IngressClassParametersReference, path: Path) -> ErrorList:
    namespace, where = parameters.namespace, path.child("namespace")
    if parameters.scope is None:
        return [required(path.child("scope"))]
    if parameters.scope == NAMESPACE:
        if namespace is None:
            return [required(where, "`parameters.scope` is set to 'Namespace'")]
        return invalid_each(where, namespace, names.dns_label(namespace))
    if parameters.scope == CLUSTER:
        message = "`parameters.scope` is set to 'Cluster'"
        return [] if namespace is None else [forbidden(where, message)]
    return [not_supported(path.child("scope"), parameters.scope, (CLUSTER, NAMESPACE))]


def _validate_update(new: IngressClass, old: IngressClass) -> ErrorList:
    return (
        validate_object_meta_update(new.metadata, old.metadata)
        + immutable(new.spec.controller, old.spec.controller, _CONTROLLER)
        + _validate(new)
    )


def _row(ingress_class: IngressClass) -> list[Any]:
    meta, spec = ingress_class.metadata, ingress_class.spec
    name = meta.name
    if meta.annotations.get(DEFAULT_ANNOTATION) == "true":
        name += " (default)"
    parameters = NONE
    if spec.parameters is not None:
        group = f".{spec.parameters.apiGroup}" if spec.parameters.apiGroup is not None else ""
        parameters = f"{spec.parameters.kind}{group}/{spec.parameters.name}"
    return [name, spec.controller, parameters, times.age(meta.creationTimestamp)]


INGRESSCLASSES = register(
    Resource(
        type=IngressClass,
        group="networking.k8s.io",
        version="v1",
        plural="ingressclasses",
        namespaced=False,
        singular="ingressclass",
        set_defaults=_set_defaults,
        prepare_create=start_generation,
        prepare_update=bump_generation,
        validate=_validate,
        validate_update=_validate_update,
        columns=(
            NAME_COLUMN,
            Column("Controller", description="The controller that serves the class."),
            Column("Parameters", description="The object with more settings."),
            AGE_COLUMN,
        ),
        row=_row,
    )
)
