"""What a request may change of a Pod, and what a new one starts with."""

from __future__ import annotations

from clusterip.objects.core.pod.quality import quality_of_service
from clusterip.objects.core.pod.types import Pod, PodCondition, PodStatus
from clusterip.objects.strategy import bump_generation, keep_spec, keep_status, start_generation


def prepare_create(pod: Pod) -> None:
    start_generation(pod)
    _no_negative_grace(pod)
    pod.status = PodStatus(phase="Pending", qosClass=quality_of_service(pod.spec))
    if pod.spec.schedulingGates:
        pod.status.conditions.append(
            PodCondition(
                type="PodScheduled",
                status="False",
                reason="SchedulingGated",
                message="Scheduling is blocked due to non-empty scheduling gates",
            )
        )


def prepare_update(new: Pod, old: Pod) -> None:
    keep_status(new, old)
    _no_negative_grace(new)
    bump_generation(new, old)


def _no_negative_grace(pod: Pod) -> None:
    grace = pod.spec.terminationGracePeriodSeconds
    if grace is not None and grace < 0:
        pod.spec.terminationGracePeriodSeconds = 1


def prepare_status_update(new: Pod, old: Pod) -> None:
    keep_spec(new, old)
    # Kubelets of old sent owners that they did not understand; garbage collection relies on them.
    new.metadata.ownerReferences = list(old.metadata.ownerReferences)
    new.metadata.deletionTimestamp = old.metadata.deletionTimestamp
    new.status.qosClass = new.status.qosClass or old.status.qosClass
    new.status.observedGeneration = new.status.observedGeneration or old.status.observedGeneration
    observed = {condition.type: condition.observedGeneration for condition in old.status.conditions}
    for condition in new.status.conditions:
        condition.observedGeneration = condition.observedGeneration or observed.get(condition.type, 0)
