"""DaemonSet: a Pod of one template on every node."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import msgspec

from clusterip.objects import names, times
from clusterip.objects.apps.template import must_match, name_warnings, runs_forever, selector_text
from clusterip.objects.base import IntOrString, ListMap, Struct, always
from clusterip.objects.core.pod.defaults import set_template_defaults
from clusterip.objects.core.pod.template import validate_template
from clusterip.objects.core.pod.warnings import template_warnings
from clusterip.objects.core.pod_spec import PodTemplateSpec
from clusterip.objects.enums import DaemonSetConditionType, DaemonSetUpdateStrategyType
from clusterip.objects.errors import ErrorList, Path, invalid, not_supported, required
from clusterip.objects.meta import LabelSelector, Object
from clusterip.objects.metadata import (
    immutable,
    validate_label_selector,
    validate_object_meta,
    validate_object_meta_update,
)
from clusterip.objects.registry import Column, Resource, register
from clusterip.objects.rules import amount, at_most_all, int_or_percent, not_negative_fields
from clusterip.objects.scalars import ConditionStatus, Int32, Int64, Time
from clusterip.objects.selectors import SelectorError, from_label_selector
from clusterip.objects.strategy import bump_generation, keep_spec, keep_status, start_generation
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN, container_cells, labels, wide


class RollingUpdateDaemonSet(Struct):
    """How many Pods may be missing or too many meanwhile, as number or percentage."""

    maxUnavailable: IntOrString | None = None
    maxSurge: IntOrString | None = None


class DaemonSetUpdateStrategy(Struct):
    """How Pods of the old template make way for those of the new."""

    type: DaemonSetUpdateStrategyType = ""
    rollingUpdate: RollingUpdateDaemonSet | None = None


class DaemonSetSpec(Struct):
    selector: LabelSelector | None = None
    template: PodTemplateSpec = msgspec.field(default_factory=PodTemplateSpec)
    updateStrategy: DaemonSetUpdateStrategy = msgspec.field(default_factory=DaemonSetUpdateStrategy)
    minReadySeconds: Int32 = 0
    revisionHistoryLimit: Int32 | None = None


class DaemonSetCondition(Struct):
    type: DaemonSetConditionType = always("")
    status: ConditionStatus = always("")
    lastTransitionTime: Time | None = always(None)
    reason: str = ""
    message: str = ""


class DaemonSetStatus(Struct):
    currentNumberScheduled: Int32 = always(0)
    numberMisscheduled: Int32 = always(0)
    desiredNumberScheduled: Int32 = always(0)
    numberReady: Int32 = always(0)
    observedGeneration: Int64 = 0
    updatedNumberScheduled: Int32 = 0
    numberAvailable: Int32 = 0
    numberUnavailable: Int32 = 0
    collisionCount: Int32 | None = None
    conditions: Annotated[list[DaemonSetCondition], ListMap(("type",), merge="type")] = []


class DaemonSet(Object):
    spec: DaemonSetSpec = msgspec.field(default_factory=DaemonSetSpec)
    status: DaemonSetStatus = msgspec.field(default_factory=DaemonSetStatus)


ON_DELETE = "OnDelete"
ROLLING_UPDATE = "RollingUpdate"

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
"""The annotation that still counts the changes of a DaemonSet's template, as in its first API version."""

_SPEC = Path("spec")
_STATUS = Path("status")
_COUNTS = (
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
    "collisionCount",
)


def _set_defaults(daemon_set: DaemonSet) -> None:
    spec = daemon_set.spec
    strategy = spec.updateStrategy
    strategy.type = strategy.type or ROLLING_UPDATE
    if strategy.type == ROLLING_UPDATE:
        rolling = strategy.rollingUpdate or RollingUpdateDaemonSet()
        strategy.rollingUpdate = rolling
        if rolling.maxUnavailable is None:
            rolling.maxUnavailable = 1
        if rolling.maxSurge is None:
            rolling.maxSurge = 0
    if spec.revisionHistoryLimit is None:
        spec.revisionHistoryLimit = 10
    set_template_defaults(spec.template)
    daemon_set.metadata.annotations.setdefault(TEMPLATE_GENERATION, "1")


def _prepare_create(daemon_set: DaemonSet) -> None:
    daemon_set.status = DaemonSetStatus()
    daemon_set.metadata.annotations[TEMPLATE_GENERATION] = "1"
    start_generation(daemon_set)


def _prepare_update(new: DaemonSet, old: DaemonSet) -> None:
    keep_status(new, old)
    bump_generation(new, old)
    generation = old.metadata.annotations.get(TEMPLATE_GENERATION, "1")
    if new.spec.template != old.spec.template and generation.isdigit():
        generation = str(int(generation) + 1)
    new.metadata.annotations[TEMPLATE_GENERATION] = generation


def _validate(daemon_set: DaemonSet) -> ErrorList:
    errors = validate_object_meta(daemon_set.metadata, namespaced=True, name_rule=names.dns_subdomain)
    return errors + _validate_spec(daemon_set.spec)


def _validate_update(new: DaemonSet, old: DaemonSet) -> ErrorList:
    return (
        validate_object_meta_update(new.metadata, old.metadata)
        + immutable(new.spec.selector, old.spec.selector, _SPEC.child("selector"))
        + _validate_spec(new.spec)
    )


def _validate_spec(spec: DaemonSetSpec) -> ErrorList:
    selector, template = _SPEC.child("selector"), _SPEC.child("template")
    errors = validate_label_selector(spec.selector, selector)
    with suppress(SelectorError):  # which the rules for selectors have told already
        errors += must_match(from_label_selector(spec.selector), spec.template, template)
    if spec.selector is not None and not (spec.selector.matchLabels or spec.selector.matchExpressions):
        errors.append(invalid(selector, spec.selector, "empty selector is invalid for daemonset"))
    errors += validate_template(spec.template, template)
    errors += runs_forever(spec.template, template, "DaemonSet")
    errors += not_negative_fields(_SPEC, spec, "minReadySeconds")
    errors += _validate_strategy(spec.updateStrategy, _SPEC.child("updateStrategy"))
    return errors + not_negative_fields(_SPEC, spec, "revisionHistoryLimit")


def _validate_strategy(strategy: DaemonSetUpdateStrategy, path: Path) -> ErrorList:
    if strategy.type == ON_DELETE:
        return []
    if strategy.type != ROLLING_UPDATE:
        return [not_supported(path, strategy, (ROLLING_UPDATE, ON_DELETE))]
    where, rolling = path.child("rollingUpdate"), strategy.rollingUpdate
    if rolling is None:
        return [required(where)]
    errors: ErrorList = []
    for rule in (int_or_percent, at_most_all):
        for name in ("maxUnavailable", "maxSurge"):
            errors += rule(where.child(name), getattr(rolling, name))
    if errors:
        return errors  # what is no amount cannot be compared
    if amount(rolling.maxUnavailable) and amount(rolling.maxSurge):
        message = "may not be set when maxUnavailable is non-zero"
        errors.append(invalid(where.child("maxSurge"), rolling.maxSurge, message))
    elif not amount(rolling.maxUnavailable) and not amount(rolling.maxSurge):
        errors.append(required(where.child("maxUnavailable"), "cannot be 0 when maxSurge is 0"))
    return errors


def _validate_status_update(new: DaemonSet, old: DaemonSet) -> ErrorList:
    errors = validate_object_meta_update(new.metadata, old.metadata)
    errors += not_negative_fields(_STATUS, new.status, *_COUNTS)
    collisions = new.status.collisionCount or 0
    if collisions < (old.status.collisionCount or 0):
        errors.append(invalid(_STATUS.child("collisionCount"), collisions, "cannot be decremented"))
    return errors


def _warnings(daemon_set: DaemonSet) -> list[str]:
    return name_warnings(daemon_set) + template_warnings(daemon_set.spec.template, _SPEC.child("template"))


def _row(daemon_set: DaemonSet) -> list[Any]:
    meta, spec, status = daemon_set.metadata, daemon_set.spec, daemon_set.status
    return [
        meta.name,
        status.desiredNumberScheduled,
        status.currentNumberScheduled,
        status.numberReady,
        status.updatedNumberScheduled,
        status.numberAvailable,
        labels(spec.template.spec.nodeSelector),
        times.age(meta.creationTimestamp),
        *container_cells(spec.template.spec.containers),
        selector_text(spec.selector),
    ]


DAEMONSETS = register(
    Resource(
        type=DaemonSet,
        group="apps",
        version="v1",
        plural="daemonsets",
        namespaced=True,
        singular="daemonset",
        short_names=("ds",),
        categories=("all",),
        status=True,
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
            Column("Desired", type="integer", description="How many nodes shall run its Pod."),
            Column("Current", type="integer", description="How many of them do."),
            Column("Ready", type="integer", description="On how many the Pod is ready."),
            Column("Up-to-date", type="integer", description="On how many it is of the current template."),
            Column("Available", type="integer", description="On how many it has been ready for long enough."),
            Column("Node Selector", description="Which nodes they are."),
            AGE_COLUMN,
            wide("Containers", "The template's containers."),
            wide("Images", "Their images."),
            wide("Selector", "The labels of its Pods."),
        ),
        row=_row,
    )
)
