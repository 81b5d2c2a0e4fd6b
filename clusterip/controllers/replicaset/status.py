"""What a ReplicaSet's status says of its Pods. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from clusterip.controllers import pods as pod_facts
from clusterip.objects import times
from clusterip.objects.apps.replicaset import ReplicaSet, ReplicaSetCondition, ReplicaSetStatus
from clusterip.objects.core.pod import Pod

FAILURE = "ReplicaFailure"


def status_of(
    replica_set: ReplicaSet, active: Sequence[Pod], terminating: int, failure: Exception | None, now: float
) -> ReplicaSetStatus:
    """The status. ``failure`` is why Pods could not be created or deleted; ``now`` Unix time in seconds."""
    template_labels = replica_set.spec.template.metadata.labels.items()
    minimum = replica_set.spec.minReadySeconds
    waits = [pod_facts.seconds_until_available(pod, minimum, now) for pod in active]
    return ReplicaSetStatus(
        replicas=len(active),
        fullyLabeledReplicas=sum(template_labels <= pod.metadata.labels.items() for pod in active),
        readyReplicas=sum(wait is not None for wait in waits),
        availableReplicas=sum(wait == 0 for wait in waits),
        terminatingReplicas=terminating,
        observedGeneration=replica_set.metadata.generation,
        conditions=_conditions(replica_set, len(active), failure),
    )


def next_check(replica_set: ReplicaSet, active: Sequence[Pod], now: float) -> float | None:
    """Seconds until the next Pod has been ready for long enough, or None if none waits for that."""
    minimum = replica_set.spec.minReadySeconds
    waits = (pod_facts.seconds_until_available(pod, minimum, now) for pod in active)
    return min((wait for wait in waits if wait), default=None)


def _conditions(replica_set: ReplicaSet, active: int, failure: Exception | None) -> list[ReplicaSetCondition]:
    others = [c for c in replica_set.status.conditions if c.type != FAILURE]
    if failure is None:
        return others
    known = next((c for c in replica_set.status.conditions if c.type == FAILURE), None)
    if known is not None:
        return list(replica_set.status.conditions)
    reason = "FailedCreate" if active < (replica_set.spec.replicas or 0) else "FailedDelete"
    condition = ReplicaSetCondition(
        type=FAILURE, status="True", reason=reason, message=str(failure), lastTransitionTime=times.now()
    )
    return [*others, condition]
