"""StatefulSet: numbered Pods of one template, each with a name and storage that stay its own."""

from __future__ import annotations

from typing import Any

from clusterip.objects import times
from clusterip.objects.apps.statefulset.claims import claim_warnings
from clusterip.objects.apps.statefulset.types import (
    RollingUpdateStatefulSetStrategy,
    StatefulSet,
    StatefulSetCondition,
    StatefulSetOrdinals,
    StatefulSetPersistentVolumeClaimRetentionPolicy,
    StatefulSetSpec,
    StatefulSetStatus,
    StatefulSetUpdateStrategy,
)
from clusterip.objects.apps.statefulset.validation import (
    ORDERED_READY,
    RETAIN,
    ROLLING_UPDATE,
    validate,
    validate_status_update,
    validate_update,
)
from clusterip.objects.apps.template import selector_text
from clusterip.objects.core.pod.defaults import set_template_defaults
from clusterip.objects.core.pod.warnings import template_warnings
from clusterip.objects.errors import Path
from clusterip.objects.registry import Column, Resource, Scale, register
from clusterip.objects.strategy import bump_generation, keep_spec, keep_status, start_generation
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN, container_cells, wide

__all__ = [
    "STATEFULSETS",
    "RollingUpdateStatefulSetStrategy",
    "StatefulSet",
    "StatefulSetCondition",
    "StatefulSetOrdinals",
    "StatefulSetPersistentVolumeClaimRetentionPolicy",
    "StatefulSetSpec",
    "StatefulSetStatus",
    "StatefulSetUpdateStrategy",
]


def _set_defaults(stateful_set: StatefulSet) -> None:
    spec = stateful_set.spec
    spec.podManagementPolicy = spec.podManagementPolicy or ORDERED_READY
    strategy = spec.updateStrategy
    if not strategy.type:
        strategy.type = ROLLING_UPDATE
        strategy.rollingUpdate = strategy.rollingUpdate or RollingUpdateStatefulSetStrategy()
    rolling = strategy.rollingUpdate
    if strategy.type == ROLLING_UPDATE and rolling is not None:
        rolling.partition = rolling.partition or 0
    retention = spec.persistentVolumeClaimRetentionPolicy or StatefulSetPersistentVolumeClaimRetentionPolicy()
    spec.persistentVolumeClaimRetentionPolicy = retention
    retention.whenDeleted = retention.whenDeleted or RETAIN
    retention.whenScaled = retention.whenScaled or RETAIN
    if spec.replicas is None:
        spec.replicas = 1
    if spec.revisionHistoryLimit is None:
        spec.revisionHistoryLimit = 10
    set_template_defaults(spec.template)
    for claim in spec.volumeClaimTemplates:
        claim.kind, claim.apiVersion = "PersistentVolumeClaim", "v1"
        claim.spec.volumeMode = claim.spec.volumeMode or "Filesystem"
        claim.status.phase = claim.status.phase or "Pending"


def _prepare_create(stateful_set: StatefulSet) -> None:
    stateful_set.status = StatefulSetStatus()
    start_generation(stateful_set)


def _prepare_update(new: StatefulSet, old: StatefulSet) -> None:
    keep_status(new, old)
    bump_generation(new, old)


def _warnings(stateful_set: StatefulSet) -> list[str]:
    path = Path("spec")
    warnings = template_warnings(stateful_set.spec.template, path.child("template"))
    warnings += claim_warnings(stateful_set.spec.volumeClaimTemplates, path.child("volumeClaimTemplates"))
    if (stateful_set.spec.revisionHistoryLimit or 0) < 0:
        warnings.append(
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; "
            "a value >= 0 is recommended"
        )
    return warnings


def _row(stateful_set: StatefulSet) -> list[Any]:
    meta, spec, status = stateful_set.metadata, stateful_set.spec, stateful_set.status
    return [
        meta.name,
        f"{status.readyReplicas}/{spec.replicas or 0}",
        times.age(meta.creationTimestamp),
        *container_cells(spec.template.spec.containers),
    ]


def _set_replicas(stateful_set: StatefulSet, replicas: int) -> None:
    stateful_set.spec.replicas = replicas


STATEFULSETS = register(
    Resource(
        type=StatefulSet,
        group="apps",
        version="v1",
        plural="statefulsets",
        namespaced=True,
        singular="statefulset",
        short_names=("sts",),
        categories=("all",),
        status=True,
        scale=Scale(
            replicas=lambda stateful_set: stateful_set.spec.replicas or 0,
            set_replicas=_set_replicas,
            current=lambda stateful_set: stateful_set.status.replicas,
            selector=lambda stateful_set: selector_text(stateful_set.spec.selector),
        ),
        set_defaults=_set_defaults,
        prepare_create=_prepare_create,
        prepare_update=_prepare_update,
        prepare_status_update=keep_spec,
        validate=validate,
        validate_update=validate_update,
        validate_status_update=validate_status_update,
        warnings=_warnings,
        columns=(
            NAME_COLUMN,
            Column("Ready", description="How many of the wanted Pods are ready."),
            AGE_COLUMN,
            wide("Containers", "The template's containers."),
            wide("Images", "Their images."),
        ),
        row=_row,
    )
)
