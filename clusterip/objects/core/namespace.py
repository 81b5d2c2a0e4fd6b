"""Namespace: a room for names, and what is deleted together."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from clusterip.objects import names, times
from clusterip.objects.base import ListMap, Struct, always
from clusterip.objects.enums import FinalizerName, NamespaceConditionType, NamespacePhase
from clusterip.objects.errors import ErrorList, Path, invalid, invalid_each
from clusterip.objects.meta import Object
from clusterip.objects.metadata import validate_object_meta, validate_object_meta_update
from clusterip.objects.registry import Column, Resource, register
from clusterip.objects.scalars import ConditionStatus, Time
from clusterip.objects.strategy import keep_spec, keep_status
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN


class NamespaceSpec(Struct):
    """Who still has to clean up before the Namespace may go."""

    finalizers: list[FinalizerName] = []


class NamespaceCondition(Struct):
    type: NamespaceConditionType = always("")
    status: ConditionStatus = always("")
    lastTransitionTime: Time | None = always(None)
    reason: str = ""
    message: str = ""


class NamespaceStatus(Struct):
    phase: NamespacePhase = ""
    conditions: Annotated[list[NamespaceCondition], ListMap(("type",), merge="type")] = []


class Namespace(Object):
    spec: NamespaceSpec = msgspec.field(default_factory=NamespaceSpec)
    status: NamespaceStatus = msgspec.field(default_factory=NamespaceStatus)


FINALIZER = "kubernetes"
"""In ``spec.finalizers`` of every Namespace until all in it is gone."""

NAME_LABEL = "kubernetes.io/metadata.name"

_STANDARD_FINALIZERS = (FINALIZER, "orphan", "foregroundDeletion")


def _set_defaults(namespace: Namespace) -> None:
    _label_with_name(namespace)
    namespace.status.phase = namespace.status.phase or "Active"


def _label_with_name(namespace: Namespace) -> None:
    if namespace.metadata.name:
        namespace.metadata.labels[NAME_LABEL] = namespace.metadata.name


def _prepare_create(namespace: Namespace) -> None:
    namespace.status = NamespaceStatus(phase="Active")
    if FINALIZER not in namespace.spec.finalizers:
        namespace.spec.finalizers.append(FINALIZER)


def _prepare_update(new: Namespace, old: Namespace) -> None:
    # Only the finalize subresource may change spec.finalizers.
    new.spec.finalizers = list(old.spec.finalizers)
    keep_status(new, old)


def _validate(namespace: Namespace) -> ErrorList:
    errors = validate_object_meta(namespace.metadata, namespaced=False, name_rule=names.dns_label)
    return errors + validate_finalizers(namespace)


def validate_finalizers(namespace: Namespace) -> ErrorList:
    """Errors of ``spec.finalizers``, which the ``finalize`` subresource replaces."""
    errors: ErrorList = []
    path = Path("spec").child("finalizers")
    for finalizer in namespace.spec.finalizers:
        errors += invalid_each(path, finalizer, names.label_key(finalizer))
        if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            message = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(invalid(path, finalizer, message))
    return errors


def _validate_update(new: Namespace, old: Namespace) -> ErrorList:
    return validate_object_meta_update(new.metadata, old.metadata) + validate_finalizers(new)


def _validate_status_update(new: Namespace, old: Namespace) -> ErrorList:
    errors = validate_object_meta_update(new.metadata, old.metadata)
    deleted = new.metadata.deletionTimestamp is not None
    wanted, state = ("Terminating", "not empty") if deleted else ("Active", "empty")
    if new.status.phase != wanted:
        message = f"may only be '{wanted}' if `deletionTimestamp` is {state}"
        errors.append(invalid("status.Phase", new.status.phase, message))
    return errors


def _row(namespace: Namespace) -> list[Any]:
    meta = namespace.metadata
    return [meta.name, namespace.status.phase, times.age(meta.creationTimestamp)]


NAMESPACES = register(
    Resource(
        type=Namespace,
        group="",
        version="v1",
        plural="namespaces",
        namespaced=False,
        singular="namespace",
        short_names=("ns",),
        status=True,
        set_defaults=_set_defaults,
        prepare_create=_prepare_create,
        prepare_update=_prepare_update,
        prepare_status_update=keep_spec,
        validate=_validate,
        validate_update=_validate_update,
        validate_status_update=_validate_status_update,
        canonicalize=_label_with_name,
        columns=(NAME_COLUMN, Column("Status", description="Whether it is being deleted."), AGE_COLUMN),
        row=_row,
        fields={
            "status.phase": lambda namespace: namespace.status.phase,
        },
    )
)
