"""What a DaemonSet's status says of its Pods. Pure."""

from __future__ import annotations

from clusterip.controllers import pods as pod_facts
from clusterip.controllers.daemonset.steps import View, seniority
from clusterip.objects.apps.daemonset import DaemonSetStatus


def status_of(view: View, collisions: int) -> DaemonSetStatus:
    """Each node counts once, by its oldest Pod."""
    status = DaemonSetStatus(
        observedGeneration=view.daemon_set.metadata.generation,
        collisionCount=collisions or view.daemon_set.status.collisionCount,
        conditions=view.daemon_set.status.conditions,
    )
    for node, place in view.places.items():
        present = sorted(view.by_node.get(node, ()), key=seniority)
        if not place.run:
            status.numberMisscheduled += bool(present)
            continue
        status.desiredNumberScheduled += 1
        if not present:
            continue
        status.currentNumberScheduled += 1
        status.numberReady += pod_facts.is_ready(present[0])
        status.numberAvailable += view.available(present[0])
        status.updatedNumberScheduled += view.updated(present[0])
    status.numberUnavailable = status.desiredNumberScheduled - status.numberAvailable
    return status
