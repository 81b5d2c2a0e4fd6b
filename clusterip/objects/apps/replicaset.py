"""ReplicaSet: so many Pods of one template."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from clusterip.objects import names, times
from clusterip.objects.apps.counts import validate_counts
from clusterip.objects.apps.template import name_warnings, selector_text, validate_selector_and_template
from clusterip.objects.base import ListMap, Struct, always
from clusterip.objects.core.pod.defaults import set_template_defaults
from clusterip.objects.core.pod.warnings import template_warnings
from clusterip.objects.core.pod_spec import PodTemplateSpec
from clusterip.objects.enums import ReplicaSetConditionType
from clusterip.objects.errors import ErrorList, Path
from clusterip.objects.meta import LabelSelector, Object
from clusterip.objects.metadata import immutable, validate_object_meta, validate_object_meta_update
from clusterip.objects.registry import Column, Resource, Scale, register
from clusterip.objects.rules import not_negative_fields
from clusterip.objects.scalars import ConditionStatus, Int32, Int64, Time
from clusterip.objects.strategy import bump_generation, keep_spec, keep_status, start_generation
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN, container_cells, wide


class ReplicaSetSpec(Struct):
    replicas: Int32 | None = None
    minReadySeconds: Int32 = 0
    selector: LabelSelector | None = None
    template: PodTemplateSpec = msgspec.field(default_factory=PodTemplateSpec)


class ReplicaSetCondition(Struct):
    type: ReplicaSetConditionType = always("")
    status: ConditionStatus = always("")
    lastTransitionTime: Time | None = always(None)
    reason: str = ""
    message: str = ""


class ReplicaSetStatus(Struct):
    replicas: Int32 = always(0)
    fullyLabeledReplicas: Int32 = 0
    readyReplicas: Int32 = 0
    availableReplicas: Int32 = 0
    terminatingReplicas: Int32 | None = None
    observedGeneration: Int64 = 0
    conditions: Annotated[list[ReplicaSetCondition], ListMap(("type",), merge="type")] = []


class ReplicaSet(Object):
    spec: ReplicaSetSpec = msgspec.field(default_factory=ReplicaSetSpec)
    status: ReplicaSetStatus = msgspec.field(default_factory=ReplicaSetStatus)


_SPEC = Path("spec")
_STATUS = Path("status")
_COUNTS = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")


def _set_defaults(replica_set: ReplicaSet) -> None:
    if replica_set.spec.replicas is None:
        replica_set.spec.replicas = 1
    set_template_defaults(replica_set.spec.template)


def _prepare_create(replica_set: ReplicaSet) -> None:
    replica_set.status = ReplicaSetStatus()
    start_generation(replica_set)


def _prepare_update(new: ReplicaSet, old: ReplicaSet) -> None:
    keep_status(new, old)
    bump_generation(new, old)


def _validate(replica_set: ReplicaSet) -> ErrorList:
    errors = validate_object_meta(replica_set.metadata, namespaced=True, name_rule=names.dns_subdomain)
    return errors + _validate_spec(replica_set.spec)


def _validate_update(new: ReplicaSet, old: ReplicaSet) -> ErrorList:
    return (
        validate_object_meta_update(new.metadata, old.metadata)
        + _validate_spec(new.spec)
        + immutable(new.spec.selector, old.spec.selector, _SPEC.child("selector"))
    )


def _validate_spec(spec: ReplicaSetSpec) -> ErrorList:
    errors = not_negative_fields(_SPEC, spec, "replicas", "minReadySeconds")
    return errors + validate_selector_and_template(spec.selector, spec.template, _SPEC)


def _validate_status_update(new: ReplicaSet, old: ReplicaSet) -> ErrorList:
    errors = validate_object_meta_update(new.metadata, old.metadata)
    status = new.status
    others = ("observedGeneration", "terminatingReplicas")
    errors += not_negative_fields(_STATUS, status, "replicas", *_COUNTS, *others)
    errors += validate_counts(status, _STATUS, _COUNTS)
    return errors


def _warnings(replica_set: ReplicaSet) -> list[str]:
    template = replica_set.spec.template
    return name_warnings(replica_set) + template_warnings(template, _SPEC.child("template"))


def _row(replica_set: ReplicaSet) -> list[Any]:
    meta, spec, status = replica_set.metadata, replica_set.spec, replica_set.status
    return [
        meta.name,
        spec.replicas or 0,
        status.replicas,
        status.readyReplicas,
        times.age(meta.creationTimestamp),
        *container_cells(spec.template.spec.containers),
        selector_text(spec.selector),
    ]


def _set_replicas(replica_set: ReplicaSet, replicas: int) -> None:
    replica_set.spec.replicas = replicas


REPLICASETS = register(
    Resource(
        type=ReplicaSet,
        group="apps",
        version="v1",
        plural="replicasets",
        namespaced=True,
        singular="replicaset",
        short_names=("rs",),
        categories=("all",),
        status=True,
        scale=Scale(
            replicas=lambda replica_set: replica_set.spec.replicas or 0,
            set_replicas=_set_replicas,
            current=lambda replica_set: replica_set.status.replicas,
            selector=lambda replica_set: selector_text(replica_set.spec.selector),
        ),
        set_defaults=_set_defaults,
        prepare_create=_prepare_create,
        prepare_update=_prepare_update,
        prepare_status_update=keep_spec,
        validate=_validate,
        validate_update=_validate_update,
        validate_status_update=_validate_status_update,
        warnings=_warnings,
        columns=(
            NAME_COLUMN,
            Column("Desired", type="integer", description="How many Pods it shall have."),
            Column("Current", type="integer", description="How many it has."),
            Column("Ready", type="integer", description="How many of them are ready."),
            AGE_COLUMN,
            wide("Containers", "The template's containers."),
            wide("Images", "Their images."),
            wide("Selector", "The labels of its Pods."),
        ),
        row=_row,
    )
)
