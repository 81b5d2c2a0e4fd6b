"""What the status of a ReplicaSet, or a ReplicationController, says of its Pods. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from clusterip.controllers import pods as pod_facts
from clusterip.objects import times
from clusterip.objects.apps.replicaset import ReplicaSet, ReplicaSetCondition, ReplicaSetStatus
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.replicationcontroller import (
    ReplicationController,
    ReplicationControllerCondition,
    ReplicationControllerStatus,
)

FAILURE = "ReplicaFailure"

C = TypeVar("C", ReplicaSetCondition, ReplicationControllerCondition)


def status_of(
    replica_set: ReplicaSet, active: Sequence[Pod], terminating: int, failure: Exception | None, now: float
) -> ReplicaSetStatus:
    """The status. ``failure`` is why Pods could not be created or deleted; ``now`` Unix time in seconds."""
    spec, known = replica_set.spec, replica_set.status.conditions
    counts = _count(active, spec.template.metadata.labels, spec.minReadySeconds, now)
    return ReplicaSetStatus(
        replicas=len(active),
        fullyLabeledReplicas=counts.fully_labeled,
        readyReplicas=counts.ready,
        availableReplicas=counts.available,
        terminatingReplicas=terminating,
        observedGeneration=replica_set.metadata.generation,
        conditions=_conditions(known, ReplicaSetCondition, spec.replicas, len(active), failure),
    )


def controller_status_of(
    controller: ReplicationController, active: Sequence[Pod], failure: Exception | None, now: float
) -> ReplicationControllerStatus:
    """As ``status_of``, for a ReplicationController."""
    spec, known = controller.spec, controller.status.conditions
    labels = spec.template.metadata.labels if spec.template is not None else {}
    counts = _count(active, labels, spec.minReadySeconds, now)
    return ReplicationControllerStatus(
        replicas=len(active),
        fullyLabeledReplicas=counts.fully_labeled,
        readyReplicas=counts.ready,
        availableReplicas=counts.available,
        observedGeneration=controller.metadata.generation,
        conditions=_conditions(known, ReplicationControllerCondition, spec.replicas, len(active), failure),
    )


@dataclass(frozen=True, slots=True)
class _Counts:
    fully_labeled: int
    ready: int
    available: int


def _count(active: Sequence[Pod], labels: Mapping[str, str], min_ready_seconds: int, now: float) -> _Counts:
    waits = [pod_facts.seconds_until_available(pod, min_ready_seconds, now) for pod in active]
    return _Counts(
        fully_labeled=sum(labels.items() <= pod.metadata.labels.items() for pod in active),
        ready=sum(wait is not None for wait in waits),
        available=sum(wait == 0 for wait in waits),
    )


def _conditions(
    known: list[C], condition: type[C], wanted: int | None, active: int, failure: Exception | None
) -> list[C]:
    told = [each for each in known if each.type == FAILURE]
    if failure is None:
        return [each for each in known if each not in told]
    if told:
        return known  # since when is told already
    added = condition(
        type=FAILURE,
        status="True",
        reason="FailedCreate" if active < (wanted or 0) else "FailedDelete",
        message=str(failure),
        lastTransitionTime=times.now(),
    )
    known = list(known)
    known.append(added)
    return known
