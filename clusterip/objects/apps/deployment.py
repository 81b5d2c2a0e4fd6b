"""Deployment: so many Pods of one template, replaced bit by bit when the template changes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from clusterip.objects import names, times
from clusterip.objects.apps.counts import validate_counts
from clusterip.objects.apps.template import name_warnings, selector_text, validate_selector_and_template
from clusterip.objects.base import IntOrString, ListMap, RetainKeys, Struct, always
from clusterip.objects.core.pod.defaults import set_template_defaults
from clusterip.objects.core.pod.warnings import template_warnings
from clusterip.objects.core.pod_spec import PodTemplateSpec
from clusterip.objects.enums import DeploymentConditionType, DeploymentStrategyType
from clusterip.objects.errors import (
    ErrorList,
    Path,
    forbidden,
    go_struct,
    invalid,
    invalid_each,
    not_supported,
    required,
)
from clusterip.objects.meta import LabelSelector, Object
from clusterip.objects.metadata import immutable, validate_object_meta, validate_object_meta_update
from clusterip.objects.registry import Column, Resource, Scale, register
from clusterip.objects.rules import not_negative, not_negative_fields
from clusterip.objects.scalars import ConditionStatus, Int32, Int64, Time
from clusterip.objects.strategy import bump_generation, keep_spec, keep_status, start_generation
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN, container_cells, wide


class RollingUpdateDeployment(Struct):
    """How many Pods may be missing or too many meanwhile, as number or percentage."""

    maxUnavailable: IntOrString | None = None
    maxSurge: IntOrString | None = None


class DeploymentStrategy(Struct):
    """How Pods of the old template make way for those of the new."""

    type: DeploymentStrategyType = ""
    rollingUpdate: RollingUpdateDeployment | None = None


class DeploymentSpec(Struct):
    replicas: Int32 | None = None
    selector: LabelSelector | None = None
    template: PodTemplateSpec = msgspec.field(default_factory=PodTemplateSpec)
    strategy: Annotated[DeploymentStrategy, RetainKeys()] = msgspec.field(default_factory=DeploymentStrategy)
    minReadySeconds: Int32 = 0
    revisionHistoryLimit: Int32 | None = None
    paused: bool = False
    progressDeadlineSeconds: Int32 | None = None


class DeploymentCondition(Struct):
    type: DeploymentConditionType = always("")
    status: ConditionStatus = always("")
    lastUpdateTime: Time | None = always(None)
    lastTransitionTime: Time | None = always(None)
    reason: str = ""
    message: str = ""


class DeploymentStatus(Struct):
    observedGeneration: Int64 = 0
    replicas: Int32 = 0
    updatedReplicas: Int32 = 0
    readyReplicas: Int32 = 0
    availableReplicas: Int32 = 0
    unavailableReplicas: Int32 = 0
    terminatingReplicas: Int32 | None = None
    conditions: Annotated[list[DeploymentCondition], ListMap(("type",), merge="type")] = []
    collisionCount: Int32 | None = None


class Deployment(Object):
    spec: DeploymentSpec = msgspec.field(default_factory=DeploymentSpec)
    status: DeploymentStatus = msgspec.field(default_factory=DeploymentStatus)


RECREATE = "Recreate"
ROLLING_UPDATE = "RollingUpdate"

_SPEC = Path("spec")
_STATUS = Path("status")
_COUNTS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")


def _set_defaults(deployment: Deployment) -> None:
    spec = deployment.spec
    if spec.replicas is None:
        spec.replicas = 1
    strategy = spec.strategy
    strategy.type = strategy.type or ROLLING_UPDATE
    if strategy.type == ROLLING_UPDATE:
        rolling = strategy.rollingUpdate or RollingUpdateDeployment()
        strategy.rollingUpdate = rolling
        if rolling.maxUnavailable is None:
            rolling.maxUnavailable = "25%"
        if rolling.maxSurge is None:
            rolling.maxSurge = "25%"
    if spec.revisionHistoryLimit is None:
        spec.revisionHistoryLimit = 10
    if spec.progressDeadlineSeconds is None:
        spec.progressDeadlineSeconds = 600
    set_template_defaults(spec.template)


def _prepare_create(deployment: Deployment) -> None:
    deployment.status = DeploymentStatus()
    start_generation(deployment)


def _prepare_update(new: Deployment, old: Deployment) -> None:
    keep_status(new, old)
    # Annotations count too, since they are copied to the ReplicaSets.
    bump_generation(new, old, annotations=True)


def _prepare_status_update(new: Deployment, old: Deployment) -> None:
    keep_spec(new, old)
    new.metadata.labels = dict(old.metadata.labels)


def _validate(deployment: Deployment) -> ErrorList:
    errors = validate_object_meta(deployment.metadata, namespaced=True, name_rule=names.dns_subdomain)
    return errors + _validate_spec(deployment.spec)


def _validate_update(new: Deployment, old: Deployment) -> ErrorList:
    return (
        validate_object_meta_update(new.metadata, old.metadata)
        + _validate_spec(new.spec)
        + immutable(new.spec.selector, old.spec.selector, _SPEC.child("selector"))
    )


def _validate_spec(spec: DeploymentSpec) -> ErrorList:
    errors = not_negative(_SPEC.child("replicas"), spec.replicas)
    errors += validate_selector_and_template(spec.selector, spec.template, _SPEC)
    errors += _validate_strategy(spec.strategy, _SPEC.child("strategy"))
    names = ("minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    errors += not_negative_fields(_SPEC, spec, *names)
    deadline = spec.progressDeadlineSeconds
    if deadline is not None and deadline <= spec.minReadySeconds:
        where = _SPEC.child("progressDeadlineSeconds")
        errors.append(invalid(where, deadline, "must be greater than minReadySeconds"))
    return errors


def _validate_strategy(strategy: DeploymentStrategy, path: Path) -> ErrorList:
    where = path.child("rollingUpdate")
    match strategy.type:
        case "Recreate":
            if strategy.rollingUpdate is not None:
                return [forbidden(where, "may not be specified when strategy `type` is 'Recreate'")]
            return []
        case "RollingUpdate":
            if strategy.rollingUpdate is None:
                return [required(where, "this should be defaulted and never be nil")]
            return _validate_rolling_update(strategy.rollingUpdate, where)
    rolling = strategy.rollingUpdate
    amounts = rolling and go_struct(MaxUnavailable=rolling.maxUnavailable, MaxSurge=rolling.maxSurge)
    shown = go_struct(Type=strategy.type, RollingUpdate=amounts)
    return [not_supported(path, shown, (RECREATE, ROLLING_UPDATE))]


def _validate_rolling_update(rolling: RollingUpdateDeployment, path: Path) -> ErrorList:
    unavailable, surge = rolling.maxUnavailable, rolling.maxSurge
    where = path.child("maxUnavailable")
    errors = _validate_share(unavailable, where) + _validate_share(surge, path.child("maxSurge"))
    if not _amount(unavailable) and not _amount(surge):
        errors.append(invalid(where, unavailable, "may not be 0 when `maxSurge` is 0"))
    if isinstance(unavailable, str) and _amount(unavailable) > 100:
        errors.append(invalid(where, unavailable, "must not be greater than 100%"))
    return errors


def _validate_share(share: IntOrString | None, path: Path) -> ErrorList:
    if isinstance(share, str):
        return invalid_each(path, share, names.percent(share))
    return not_negative(path, share)


def _amount(share: IntOrString | None) -> int:
    if isinstance(share, str):
        return 0 if names.percent(share) else int(share.removesuffix("%"))
    return share or 0


def _validate_status_update(new: Deployment, old: Deployment) -> ErrorList:
    errors = validate_object_meta_update(new.metadata, old.metadata)
    status = new.status
    others = ("unavailableReplicas", "terminatingReplicas", "collisionCount")
    errors += not_negative_fields(_STATUS, status, "observedGeneration", *_COUNTS, *others)
    errors += validate_counts(status, _STATUS, _COUNTS[1:])
    if (status.collisionCount or 0) < (old.status.collisionCount or 0):
        where = _STATUS.child("collisionCount")
        errors.append(invalid(where, status.collisionCount or 0, "cannot be decremented"))
    return errors


def _warnings(deployment: Deployment) -> list[str]:
    return name_warnings(deployment) + template_warnings(deployment.spec.template, _SPEC.child("template"))


def _row(deployment: Deployment) -> list[Any]:
    meta, spec, status = deployment.metadata, deployment.spec, deployment.status
    return [
        meta.name,
        f"{status.readyReplicas}/{spec.replicas or 0}",
        status.updatedReplicas,
        status.availableReplicas,
        times.age(meta.creationTimestamp),
        *container_cells(spec.template.spec.containers),
        selector_text(spec.selector),
    ]


def _set_replicas(deployment: Deployment, replicas: int) -> None:
    deployment.spec.replicas = replicas


DEPLOYMENTS = register(
    Resource(
        type=Deployment,
        group="apps",
        version="v1",
        plural="deployments",
        namespaced=True,
        singular="deployment",
        short_names=("deploy",),
        categories=("all",),
        status=True,
        scale=Scale(
            replicas=lambda deployment: deployment.spec.replicas or 0,
            set_replicas=_set_replicas,
            current=lambda deployment: deployment.status.replicas,
            selector=lambda deployment: selector_text(deployment.spec.selector),
        ),
        set_defaults=_set_defaults,
        prepare_create=_prepare_create,
        prepare_update=_prepare_update,
        prepare_status_update=_prepare_status_update,
        validate=_validate,
        validate_update=_validate_update,
        validate_status_update=_validate_status_update,
        warnings=_warnings,
        columns=(
            NAME_COLUMN,
            Column("Ready", description="How many of the wanted Pods are ready."),
            Column("Up-to-date", description="How many are made from the current template."),
            Column("Available", description="How many have been ready for long enough."),
            AGE_COLUMN,
            wide("Containers", "The template's containers."),
            wide("Images", "Their images."),
            wide("Selector", "The labels of its Pods."),
        ),
        row=_row,
    )
)
