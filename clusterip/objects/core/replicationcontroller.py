"""ReplicationController: so many Pods of one template; what there was before ReplicaSets."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from clusterip.objects import names, times
from clusterip.objects.apps.counts import validate_counts
from clusterip.objects.apps.template import must_match, name_warnings, runs_forever
from clusterip.objects.base import Atomic, ListMap, Struct, always
from clusterip.objects.core.pod.defaults import set_template_defaults
from clusterip.objects.core.pod.template import validate_template
from clusterip.objects.core.pod.warnings import template_warnings
from clusterip.objects.core.pod_spec import PodTemplateSpec
from clusterip.objects.enums import ReplicationControllerConditionType
from clusterip.objects.errors import ErrorList, Path, required
from clusterip.objects.meta import Object
from clusterip.objects.metadata import validate_object_meta, validate_object_meta_update
from clusterip.objects.registry import Column, Resource, Scale, register
from clusterip.objects.rules import not_negative, not_negative_fields
from clusterip.objects.scalars import ConditionStatus, Int32, Int64, Time
from clusterip.objects.selectors import from_map
from clusterip.objects.strategy import bump_generation, keep_spec, keep_status, start_generation
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN, container_cells, labels, wide


class ReplicationControllerSpec(Struct):
    replicas: Int32 | None = None
    minReadySeconds: Int32 = 0
    selector: Annotated[dict[str, str], Atomic()] = {}
    template: PodTemplateSpec | None = None


class ReplicationControllerCondition(Struct):
    type: ReplicationControllerConditionType = always("")
    status: ConditionStatus = always("")
    lastTransitionTime: Time | None = always(None)
    reason: str = ""
    message: str = ""


class ReplicationControllerStatus(Struct):
    replicas: Int32 = always(0)
    fullyLabeledReplicas: Int32 = 0
    readyReplicas: Int32 = 0
    availableReplicas: Int32 = 0
    observedGeneration: Int64 = 0
    conditions: Annotated[list[ReplicationControllerCondition], ListMap(("type",), merge="type")] = []


class ReplicationController(Object):
    spec: ReplicationControllerSpec = msgspec.field(default_factory=ReplicationControllerSpec)
    status: ReplicationControllerStatus = msgspec.field(default_factory=ReplicationControllerStatus)


_SPEC = Path("spec")
_STATUS = Path("status")
_COUNTS = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")


def _set_defaults(controller: ReplicationController) -> None:
    spec = controller.spec
    if spec.replicas is None:
        spec.replicas = 1
    if spec.template is not None:
        given = spec.template.metadata.labels
        if given:
            spec.selector = spec.selector or dict(given)
            controller.metadata.labels = controller.metadata.labels or dict(given)
        set_template_defaults(spec.template)


def _prepare_create(controller: ReplicationController) -> None:
    controller.status = ReplicationControllerStatus()
    start_generation(controller)


def _prepare_update(new: ReplicationController, old: ReplicationController) -> None:
    keep_status(new, old)
    bump_generation(new, old)


def _validate(controller: ReplicationController) -> ErrorList:
    errors = validate_object_meta(controller.metadata, namespaced=True, name_rule=names.dns_subdomain)
    return errors + _validate_spec(controller.spec)


def _validate_update(new: ReplicationController, old: ReplicationController) -> ErrorList:
    return validate_object_meta_update(new.metadata, old.metadata) + _validate_spec(new.spec)


def _validate_spec(spec: ReplicationControllerSpec) -> ErrorList:
    errors = not_negative(_SPEC.child("minReadySeconds"), spec.minReadySeconds)
    if not spec.selector:
        errors.append(required(_SPEC.child("selector")))
    if spec.replicas is None:
        errors.append(required(_SPEC.child("replicas")))
    errors += not_negative(_SPEC.child("replicas"), spec.replicas)
    where = _SPEC.child("template")
    if spec.template is None:
        return [*errors, required(where)]
    if spec.selector:
        errors += must_match(from_map(spec.selector), spec.template, where)
    errors += validate_template(spec.template, where)
    return errors + runs_forever(spec.template, where, "ReplicationController")


def _validate_status_update(new: ReplicationController, old: ReplicationController) -> ErrorList:
    errors = validate_object_meta_update(new.metadata, old.metadata)
    status = new.status
    errors += not_negative_fields(_STATUS, status, "replicas", *_COUNTS, "observedGeneration")
    errors += validate_counts(status, _STATUS, _COUNTS)
    return errors


def _warnings(controller: ReplicationController) -> list[str]:
    template = controller.spec.template
    of_template = template_warnings(template, _SPEC.child("template")) if template is not None else []
    return name_warnings(controller) + of_template


def _row(controller: ReplicationController) -> list[Any]:
    meta, spec, status = controller.metadata, controller.spec, controller.status
    return [
        meta.name,
        spec.replicas or 0,
        status.replicas,
        status.readyReplicas,
        times.age(meta.creationTimestamp),
        *container_cells(spec.template.spec.containers if spec.template is not None else ()),
        labels(spec.selector),
    ]


def _set_replicas(controller: ReplicationController, replicas: int) -> None:
    controller.spec.replicas = replicas


REPLICATIONCONTROLLERS = register(
    Resource(
        type=ReplicationController,
        group="",
        version="v1",
        plural="replicationcontrollers",
        namespaced=True,
        singular="replicationcontroller",
        short_names=("rc",),
        categories=("all",),
        status=True,
        scale=Scale(
            replicas=lambda controller: controller.spec.replicas or 0,
            set_replicas=_set_replicas,
            current=lambda controller: controller.status.replicas,
            selector=lambda controller: str(from_map(controller.spec.selector)),
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
        fields={"status.replicas": lambda controller: str(controller.status.replicas)},
    )
)
