"""Deployments: what the status says during and after a rollout."""

from __future__ import annotations

from clusterip.controllers.deployment.status import (
    condition_of,
    counted,
    is_complete,
    seconds_to_deadline,
    set_condition,
    with_progress,
)
from clusterip.objects.apps.deployment import Deployment, DeploymentStatus
from tests.support.objects import make_deployment, make_replica_set


def reasons(status: DeploymentStatus) -> dict[str, tuple[str, str]]:
    return {c.type: (c.status, c.reason) for c in status.conditions}


def test_counts_and_availability() -> None:
    deployment = make_deployment(4)
    new, old = make_replica_set("new", 2, available=1), make_replica_set("old", 3, available=2)
    status = counted(deployment, new, [old, new])
    assert (status.replicas, status.updatedReplicas, status.availableReplicas) == (5, 2, 3)
    assert status.unavailableReplicas == 2
    assert status.terminatingReplicas is None, "a set that does not count them leaves the sum unknown"
    assert reasons(status)["Available"] == ("True", "MinimumReplicasAvailable")
    old.status.availableReplicas = 1
    assert reasons(counted(deployment, new, [old, new]))["Available"][0] == "False"


def rolled(deployment: Deployment, available: int) -> DeploymentStatus:
    new = make_replica_set("new", 3, available=available)
    return with_progress(deployment, new, [new])


def test_progress_then_success() -> None:
    deployment = make_deployment(3)
    deployment.status = rolled(deployment, 1)
    progress = condition_of(deployment.status, "Progressing")
    assert progress is not None
    assert (progress.status, progress.reason) == ("True", "ReplicaSetUpdated")
    assert progress.message == 'ReplicaSet "new" is progressing.'
    assert seconds_to_deadline(deployment, deployment.status) is not None
    deployment.status = rolled(deployment, 3)
    assert is_complete(deployment, deployment.status)
    progress = condition_of(deployment.status, "Progressing")
    assert progress is not None
    assert progress.reason == "NewReplicaSetAvailable"
    assert progress.message == 'ReplicaSet "new" has successfully progressed.'
    assert seconds_to_deadline(deployment, deployment.status) is None
    assert rolled(deployment, 2).conditions[-1].reason in (
        "NewReplicaSetAvailable",
        "MinimumReplicasUnavailable",
    ), "a Pod that dies later is no rollout"


def test_no_progress_for_too_long() -> None:
    deployment = make_deployment(3)
    deployment.status = rolled(deployment, 1)
    progress = condition_of(deployment.status, "Progressing")
    assert progress is not None
    progress.lastUpdateTime = "2026-01-01T00:00:00Z"
    status = rolled(deployment, 1)
    assert reasons(status)["Progressing"] == ("False", "ProgressDeadlineExceeded")
    deployment.status = status
    assert seconds_to_deadline(deployment, status) is None


def test_without_a_deadline_nothing_is_said_of_progress() -> None:
    deployment = make_deployment(3, progressDeadlineSeconds=2**31 - 1)
    set_condition(deployment.status, "Progressing", "True", "x", "")
    assert "Progressing" not in reasons(rolled(deployment, 1))


def test_failures_of_replica_sets_show() -> None:
    deployment = make_deployment(3)
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "no"}
    new = make_replica_set("new", 3, status={"conditions": [failure]})
    assert reasons(with_progress(deployment, new, [new]))["ReplicaFailure"] == ("True", "FailedCreate")


def test_a_condition_keeps_its_times_while_nothing_changes() -> None:
    status = DeploymentStatus()
    set_condition(status, "Available", "True", "A", "a")
    status.conditions[0].lastTransitionTime = status.conditions[0].lastUpdateTime = "long ago"
    set_condition(status, "Available", "True", "A", "b")
    assert status.conditions[0].message == "a"
    set_condition(status, "Available", "True", "B", "b")
    assert status.conditions[0].lastTransitionTime == "long ago"
    assert status.conditions[0].lastUpdateTime != "long ago"
    set_condition(status, "Available", "False", "B", "b")
    assert status.conditions[0].lastTransitionTime != "long ago"
