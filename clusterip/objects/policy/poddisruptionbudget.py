"""PodDisruptionBudget: how many Pods of an application must stay while others are evicted."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from clusterip.objects import times
from clusterip.objects.base import IntOrString, ListMap, Struct, always
from clusterip.objects.enums import UnhealthyPodEvictionPolicyType
from clusterip.objects.errors import ErrorList, Path, invalid, not_supported
from clusterip.objects.meta import Condition, LabelSelector, Object
from clusterip.objects.metadata import (
    validate_any_object_meta,
    validate_label_selector,
    validate_object_meta_update,
)
from clusterip.objects.registry import Column, Resource, register
from clusterip.objects.rules import at_most_all, int_or_percent, not_negative_fields
from clusterip.objects.scalars import Int32, Int64
from clusterip.objects.strategy import bump_generation, keep_spec, keep_status, start_generation
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN


class PodDisruptionBudgetSpec(Struct):
    minAvailable: IntOrString | None = None
    selector: LabelSelector | None = None
    maxUnavailable: IntOrString | None = None
    unhealthyPodEvictionPolicy: UnhealthyPodEvictionPolicyType | None = None


class PodDisruptionBudgetStatus(Struct):
    """``disruptedPods`` are those being evicted, and since when."""

    observedGeneration: Int64 = 0
    disruptedPods: dict[str, str] = {}
    disruptionsAllowed: Int32 = always(0)
    currentHealthy: Int32 = always(0)
    desiredHealthy: Int32 = always(0)
    expectedPods: Int32 = always(0)
    conditions: Annotated[list[Condition], ListMap(("type",), merge="type")] = []


class PodDisruptionBudget(Object):
    spec: PodDisruptionBudgetSpec = msgspec.field(default_factory=PodDisruptionBudgetSpec)
    status: PodDisruptionBudgetStatus = msgspec.field(default_factory=PodDisruptionBudgetStatus)


ALWAYS_ALLOW, IF_HEALTHY_BUDGET = "AlwaysAllow", "IfHealthyBudget"

_SPEC = Path("spec")


def _prepare_create(budget: PodDisruptionBudget) -> None:
    budget.status = PodDisruptionBudgetStatus()
    start_generation(budget)


def _prepare_update(new: PodDisruptionBudget, old: PodDisruptionBudget) -> None:
    keep_status(new, old)
    bump_generation(new, old)


def _validate(budget: PodDisruptionBudget) -> ErrorList:
    # Upstream has no rule of its own for its name.
    return _validate_spec(budget.spec) or validate_any_object_meta(budget.metadata, namespaced=True)


def _validate_update(new: PodDisruptionBudget, old: PodDisruptionBudget) -> ErrorList:
    return validate_object_meta_update(new.metadata, old.metadata, qualified=False) + _validate_spec(new.spec)


def _validate_spec(spec: PodDisruptionBudgetSpec) -> ErrorList:
    errors: ErrorList = []
    if spec.minAvailable is not None and spec.maxUnavailable is not None:
        errors.append(invalid(_SPEC, spec, "minAvailable and maxUnavailable cannot be both set"))
    for name in ("minAvailable", "maxUnavailable"):
        value, where = getattr(spec, name), _SPEC.child(name)
        if value is not None:
            errors += int_or_percent(where, value) + at_most_all(where, value)
    errors += validate_label_selector(spec.selector, _SPEC.child("selector"))
    policy, policies = spec.unhealthyPodEvictionPolicy, (ALWAYS_ALLOW, IF_HEALTHY_BUDGET)
    if policy is not None and policy not in policies:
        errors.append(not_supported(_SPEC.child("unhealthyPodEvictionPolicy"), policy, policies))
    return errors


def _validate_status_update(new: PodDisruptionBudget, old: PodDisruptionBudget) -> ErrorList:
    counts = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    errors = validate_object_meta_update(new.metadata, old.metadata, qualified=False)
    return errors + not_negative_fields(Path("status"), new.status, *counts)


def _row(budget: PodDisruptionBudget) -> list[Any]:
    meta, spec = budget.metadata, budget.spec
    return [
        meta.name,
        _shown(spec.minAvailable),
        _shown(spec.maxUnavailable),
        budget.status.disruptionsAllowed,
        times.age(meta.creationTimestamp),
    ]


def _shown(amount: IntOrString | None) -> str:
    return "N/A" if amount is None else str(amount)


PODDISRUPTIONBUDGETS = register(
    Resource(
        type=PodDisruptionBudget,
        group="policy",
        version="v1",
        plural="poddisruptionbudgets",
        namespaced=True,
        singular="poddisruptionbudget",
        short_names=("pdb",),
        status=True,
        prepare_create=_prepare_create,
        prepare_update=_prepare_update,
        prepare_status_update=keep_spec,
        validate=_validate,
        validate_update=_validate_update,
        validate_status_update=_validate_status_update,
        columns=(
            NAME_COLUMN,
            Column("Min Available", description="How many must stay."),
            Column("Max Unavailable", description="How many may be missing."),
            Column("Allowed Disruptions", type="integer", description="How many may go now."),
            AGE_COLUMN,
        ),
        row=_row,
    )
)
