"""A budget's status from its Pods. Pure (``pkg/controller/disruption``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from clusterip.controllers import pods as pod_facts
from clusterip.controllers.moments import unix_time
from clusterip.controllers.scaled import scaled
from clusterip.objects import times
from clusterip.objects.core.pod import Pod
from clusterip.objects.meta import Condition
from clusterip.objects.policy.poddisruptionbudget import (
    PodDisruptionBudget,
    PodDisruptionBudgetSpec,
    PodDisruptionBudgetStatus,
)

DISRUPTION_ALLOWED = "DisruptionAllowed"

_DELETION_SECONDS = 120.0  # so long after its eviction a Pod may take until it is being deleted


@dataclass
class Evicted:
    """The Pods whose eviction was allowed and that are still here, and since when.

    ``recheck`` is in how many seconds the next of them counts as a healthy Pod again, ``overdue`` are
    those that did so now.
    """

    since: dict[str, str] = field(default_factory=dict)
    overdue: list[Pod] = field(default_factory=list)
    recheck: float | None = None


def needs_scale(spec: PodDisruptionBudgetSpec) -> bool:
    """Whether the budget is a share of the Pods that there should be, not of those that there are."""
    return spec.maxUnavailable is not None or isinstance(spec.minAvailable, str)


def desired_healthy(spec: PodDisruptionBudgetSpec, expected: int) -> int:
    """How many Pods have to stay healthy, of ``expected`` ones."""
    if spec.maxUnavailable is not None:
        return max(expected - scaled(spec.maxUnavailable, expected, up=True), 0)
    return scaled(spec.minAvailable, expected, up=True) if spec.minAvailable is not None else 0


def evicted(budget: PodDisruptionBudget, pods: Sequence[Pod], now: float) -> Evicted:
    """``now`` is Unix time in seconds."""
    result = Evicted()
    for pod in pods:
        since = budget.status.disruptedPods.get(pod.metadata.name)
        if since is None or pod.metadata.deletionTimestamp is not None:
            continue
        left = (unix_time(since) or 0.0) + _DELETION_SECONDS - now
        if left < 0:
            result.overdue.append(pod)
            continue
        result.since[pod.metadata.name] = since
        result.recheck = left if result.recheck is None else min(result.recheck, left)
    return result


def status_of(
    budget: PodDisruptionBudget, pods: Sequence[Pod], gone: Evicted, expected: int
) -> PodDisruptionBudgetStatus:
    desired = desired_healthy(budget.spec, expected)
    healthy = sum(
        pod_facts.is_ready(pod)
        and pod.metadata.deletionTimestamp is None
        and pod.metadata.name not in gone.since
        for pod in pods
    )
    # Without Pods nothing is allowed: the first ones may come before this is counted anew.
    allowed = max(healthy - desired, 0) if expected > 0 else 0
    generation = budget.metadata.generation
    verdict = ("True", "SufficientPods", "") if allowed else ("False", "InsufficientPods", "")
    return PodDisruptionBudgetStatus(
        observedGeneration=generation,
        disruptedPods=gone.since,
        disruptionsAllowed=allowed,
        currentHealthy=healthy,
        desiredHealthy=desired,
        expectedPods=expected,
        conditions=with_verdict(budget.status.conditions, *verdict, generation),
    )


def with_verdict(
    known: Sequence[Condition], status: str, reason: str, message: str, generation: int
) -> list[Condition]:
    """The conditions with the one that says whether evictions are allowed."""
    others = [each for each in known if each.type != DISRUPTION_ALLOWED]
    before = next((each for each in known if each.type == DISRUPTION_ALLOWED), None)
    since = before.lastTransitionTime if before is not None and before.status == status else times.now()
    verdict = Condition(
        type=DISRUPTION_ALLOWED,
        status=status,
        reason=reason,
        message=message,
        observedGeneration=generation,
        lastTransitionTime=since,
    )
    return [*others, verdict]
