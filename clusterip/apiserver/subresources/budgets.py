"""Whether a Pod may be evicted now, by the PodDisruptionBudgets that guard it.

As ``pkg/registry/core/pod/storage/eviction.go``: a budget says how many Pods may still go; each eviction
takes one of them, and whoever keeps the budget's status counts anew.
"""

from __future__ import annotations

from typing import Any

from clusterip.apiserver import status
from clusterip.apiserver.generic import Objects
from clusterip.objects import times
from clusterip.objects.core.pod import Pod
from clusterip.objects.meta import StatusCause
from clusterip.objects.policy.poddisruptionbudget import (
    ALWAYS_ALLOW,
    PODDISRUPTIONBUDGETS,
    PodDisruptionBudget,
)
from clusterip.objects.selectors import SelectorError, from_label_selector

_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
_CAUSE = "DisruptionBudget"
_UNGUARDED = ("Succeeded", "Failed", "Pending")
_DISRUPTED_LIMIT = 2000


async def take(objects: Objects, pod: Pod, *, dry_run: bool) -> None:
    """Take one disruption from the budget that guards the Pod, if any does.

    Raises:
        StatusError: 429 if the budget has none left, 500 if several budgets guard the Pod.
    """
    if pod.status.phase in _UNGUARDED or pod.metadata.deletionTimestamp is not None:
        return
    found = _guards(objects, pod)
    if len(found) > 1:
        message = (
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
        raise status.failure(500, "", message)
    if found and not _may_go_unready(pod, found[0]):
        await _decrement(objects, found[0], pod.metadata.name, dry_run)


def _guards(objects: Objects, pod: Pod) -> list[PodDisruptionBudget]:
    found = []
    for entry in objects.cache.of(PODDISRUPTIONBUDGETS).entries(pod.metadata.namespace):
        budget: PodDisruptionBudget = entry.decode()
        try:
            selector = from_label_selector(budget.spec.selector)
        except SelectorError:
            continue  # validation keeps it out; it selects nothing
        if selector.matches(pod.metadata.labels):
            found.append(budget)
    return found


def _may_go_unready(pod: Pod, budget: PodDisruptionBudget) -> bool:
    """Whether the Pod is not ready and so not missed."""
    if any(condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions):
        return False
    state = budget.status
    return budget.spec.unhealthyPodEvictionPolicy == ALWAYS_ALLOW or (
        state.currentHealthy >= state.desiredHealthy > 0
    )


async def _decrement(objects: Objects, budget: PodDisruptionBudget, pod: str, dry_run: bool) -> None:
    def take_one(current: PodDisruptionBudget | None) -> Any:
        if current is None:
            raise status.not_found(PODDISRUPTIONBUDGETS, budget.metadata.name)
        _check(current)
        current.status.disruptionsAllowed -= 1
        current.status.disruptedPods = {**current.status.disruptedPods, pod: times.now()}
        return current

    meta = budget.metadata
    await objects.update(
        PODDISRUPTIONBUDGETS, meta.namespace, meta.name, take_one, subresource="status", dry_run=dry_run
    )


def _check(budget: PodDisruptionBudget) -> None:
    name, state = budget.metadata.name, budget.status
    if state.observedGeneration < budget.metadata.generation:
        message = f"The disruption budget {name} is still being processed by the server."
        raise status.too_many_requests(_REFUSED, 10, StatusCause(reason=_CAUSE, message=message))
    if len(state.disruptedPods) > _DISRUPTED_LIMIT:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise status.forbidden(PODDISRUPTIONBUDGETS, name, why)
    if state.disruptionsAllowed > 0:
        return
    if state.currentHealthy <= state.desiredHealthy:
        message = (
            f"The disruption budget {name} needs {state.desiredHealthy} healthy pods "
            f"and has {state.currentHealthy} currently"
        )
    else:
        message = f"The disruption budget {name} does not allow evicting pods currently"
    raise status.too_many_requests(_REFUSED, 0, StatusCause(reason=_CAUSE, message=message))
