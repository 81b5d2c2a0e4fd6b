"""A Deployment's status: counts, and whether it is available and making progress. Pure."""

from __future__ import annotations

import time
from collections.abc import Sequence

from clusterip.controllers.deployment.limits import max_unavailable, replicas_of
from clusterip.controllers.deployment.scaling import size
from clusterip.controllers.moments import unix_time
from clusterip.objects import times
from clusterip.objects.apps.deployment import Deployment, DeploymentCondition, DeploymentStatus
from clusterip.objects.apps.replicaset import ReplicaSet

PROGRESSING = "Progressing"
AVAILABLE = "Available"
REPLICA_FAILURE = "ReplicaFailure"
TIMED_OUT = "ProgressDeadlineExceeded"
NEW_SET_AVAILABLE = "NewReplicaSetAvailable"
PAUSED = "DeploymentPaused"

_NO_DEADLINE = 2**31 - 1


def has_deadline(deployment: Deployment) -> bool:
    return deployment.spec.progressDeadlineSeconds not in (None, _NO_DEADLINE)


def condition_of(status: DeploymentStatus, type_: str) -> DeploymentCondition | None:
    return next((c for c in status.conditions if c.type == type_), None)


def set_condition(status: DeploymentStatus, type_: str, value: str, reason: str, message: str) -> None:
    """Record a condition. One with the same value and reason stays as it was, times included."""
    known = condition_of(status, type_)
    if known is not None and (known.status, known.reason) == (value, reason):
        return
    now = times.now()
    since = known.lastTransitionTime if known is not None and known.status == value else now
    remove_condition(status, type_)
    status.conditions.append(
        DeploymentCondition(
            type=type_,
            status=value,
            reason=reason,
            message=message,
            lastUpdateTime=now,
            lastTransitionTime=since,
        )
    )


def remove_condition(status: DeploymentStatus, type_: str) -> None:
    status.conditions = [c for c in status.conditions if c.type != type_]


def counted(deployment: Deployment, new: ReplicaSet | None, sets: Sequence[ReplicaSet]) -> DeploymentStatus:
    """The status by the numbers, with the conditions as they were except ``Available``."""
    available = sum(rs.status.availableReplicas for rs in sets)
    status = DeploymentStatus(
        observedGeneration=deployment.metadata.generation,
        replicas=sum(rs.status.replicas for rs in sets),
        updatedReplicas=new.status.replicas if new is not None else 0,
        readyReplicas=sum(rs.status.readyReplicas for rs in sets),
        availableReplicas=available,
        unavailableReplicas=max(0, sum(map(size, sets)) - available),
        terminatingReplicas=_terminating(sets),
        conditions=list(deployment.status.conditions),
        collisionCount=deployment.status.collisionCount,
    )
    if available >= replicas_of(deployment) - max_unavailable(deployment):
        reason, message = "MinimumReplicasAvailable", "Deployment has minimum availability."
        set_condition(status, AVAILABLE, "True", reason, message)
    else:
        reason, message = "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
        set_condition(status, AVAILABLE, "False", reason, message)
    return status


def with_progress(
    deployment: Deployment, new: ReplicaSet | None, sets: Sequence[ReplicaSet]
) -> DeploymentStatus:
    """``counted``, and what a rollout in its course says of itself."""
    status = counted(deployment, new, sets)
    known = condition_of(deployment.status, PROGRESSING)
    if not has_deadline(deployment):
        remove_condition(status, PROGRESSING)
    elif not (
        status.replicas == status.updatedReplicas and known is not None and known.reason == NEW_SET_AVAILABLE
    ):
        _judge_progress(deployment, new, status, known)
    failure = _failure(new, sets)
    if failure is None:
        remove_condition(status, REPLICA_FAILURE)
    else:
        set_condition(status, REPLICA_FAILURE, failure.status, failure.reason, failure.message)
    return status


def is_complete(deployment: Deployment, status: DeploymentStatus) -> bool:
    """Whether all Pods are of the current version and available, and nothing else is left."""
    counts = {status.updatedReplicas, status.replicas, status.availableReplicas}
    current = status.observedGeneration >= deployment.metadata.generation
    return counts == {replicas_of(deployment)} and current


def seconds_to_deadline(deployment: Deployment, status: DeploymentStatus) -> float | None:
    """How long a rollout may still go without progress, or None if nobody waits for any."""
    progress = condition_of(status, PROGRESSING)
    if not has_deadline(deployment) or progress is None:
        return None
    since = unix_time(progress.lastUpdateTime)
    if since is None or progress.reason == TIMED_OUT or is_complete(deployment, status):
        return None
    return since + (deployment.spec.progressDeadlineSeconds or 0) - time.time()


def _judge_progress(
    deployment: Deployment,
    new: ReplicaSet | None,
    status: DeploymentStatus,
    known: DeploymentCondition | None,
) -> None:
    name = f'ReplicaSet "{new.metadata.name}"' if new else f'Deployment "{deployment.metadata.name}"'
    if is_complete(deployment, status):
        message = f"{name} has successfully progressed."
        set_condition(status, PROGRESSING, "True", NEW_SET_AVAILABLE, message)
    elif _has_progressed(deployment.status, status):
        # The one condition whose update time means something: the deadline counts from it.
        since = known.lastTransitionTime if known is not None and known.status == "True" else None
        remove_condition(status, PROGRESSING)
        set_condition(status, PROGRESSING, "True", "ReplicaSetUpdated", f"{name} is progressing.")
        if since is not None:
            status.conditions[-1].lastTransitionTime = since
    elif _has_timed_out(deployment, status):
        message = f"{name} has timed out progressing."
        set_condition(status, PROGRESSING, "False", TIMED_OUT, message)


def _has_progressed(old: DeploymentStatus, new: DeploymentStatus) -> bool:
    return (
        new.updatedReplicas > old.updatedReplicas
        or new.replicas - new.updatedReplicas < old.replicas - old.updatedReplicas
        or new.readyReplicas > old.readyReplicas
        or new.availableReplicas > old.availableReplicas
    )


def _has_timed_out(deployment: Deployment, status: DeploymentStatus) -> bool:
    progress = condition_of(status, PROGRESSING)
    if progress is None or progress.reason == NEW_SET_AVAILABLE:
        return False
    if progress.reason == TIMED_OUT:
        return True
    since = unix_time(progress.lastUpdateTime)
    deadline = deployment.spec.progressDeadlineSeconds or 0
    return since is not None and since + deadline < time.time()


def _failure(new: ReplicaSet | None, sets: Sequence[ReplicaSet]) -> DeploymentCondition | None:
    """What keeps Pods from being created; the current ReplicaSet's trouble before the others'."""
    for rs in ([new] if new is not None else []) + list(sets):
        for c in rs.status.conditions:
            if c.type == REPLICA_FAILURE:
                return DeploymentCondition(status=c.status, reason=c.reason, message=c.message)
    return None


def _terminating(sets: Sequence[ReplicaSet]) -> int | None:
    counts = [rs.status.terminatingReplicas for rs in sets]
    return None if None in counts else sum(count or 0 for count in counts)
