"""What a StatefulSet's status says of its Pods. Pure."""

from __future__ import annotations

from clusterip.controllers import pods as pod_facts
from clusterip.controllers.statefulset.identity import revision_of
from clusterip.controllers.statefulset.steps import View, terminating
from clusterip.objects.apps.statefulset import StatefulSetStatus


def status_of(view: View, collisions: int) -> StatefulSetStatus:
    """The counts; when all Pods are of the new template, it becomes the current one."""
    stateful_set = view.stateful_set
    status = StatefulSetStatus(
        observedGeneration=stateful_set.metadata.generation,
        currentRevision=view.current_revision,
        updateRevision=view.update_revision,
        collisionCount=collisions,
        conditions=stateful_set.status.conditions,
    )
    for pod in view.members().values():
        status.replicas += 1
        if pod.status.phase == "Running" and pod_facts.is_ready(pod):
            status.readyReplicas += 1
            status.availableReplicas += view.available(pod)
        if not terminating(pod):
            status.currentReplicas += revision_of(pod) == view.current_revision
            status.updatedReplicas += revision_of(pod) == view.update_revision
    wanted = stateful_set.spec.replicas if stateful_set.spec.replicas is not None else 1
    counts = status.updatedReplicas, status.readyReplicas, status.replicas
    if stateful_set.spec.updateStrategy.type == "RollingUpdate" and counts == (wanted, wanted, wanted):
        status.currentReplicas = status.updatedReplicas
        status.currentRevision = status.updateRevision
    return status
