"""The ReplicationControllers' controller: a ReplicaSet's, for the kind there was before."""

from __future__ import annotations

from collections.abc import Sequence

from clusterip.controllers.context import Context
from clusterip.controllers.copying import deep_copy
from clusterip.controllers.replicaset.replicas import ReplicasController
from clusterip.controllers.replicaset.status import controller_status_of
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.pod_spec import PodTemplateSpec
from clusterip.objects.core.replicationcontroller import REPLICATIONCONTROLLERS, ReplicationController
from clusterip.objects.selectors import NOTHING, Selector, from_map


class ReplicationManager(ReplicasController[ReplicationController]):
    name = "replicationcontroller-controller"
    component = "replication-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context, REPLICATIONCONTROLLERS)

    def selector_of(self, owner: ReplicationController) -> Selector:
        return from_map(owner.spec.selector) if owner.spec.selector else NOTHING

    def template_of(self, owner: ReplicationController) -> PodTemplateSpec:
        return owner.spec.template or PodTemplateSpec()

    def wanted(self, owner: ReplicationController) -> int:
        return owner.spec.replicas if owner.spec.replicas is not None else 1

    def min_ready_seconds(self, owner: ReplicationController) -> int:
        return owner.spec.minReadySeconds

    def with_status(
        self,
        owner: ReplicationController,
        active: Sequence[Pod],
        terminating: int,
        failure: Exception | None,
        now: float,
    ) -> ReplicationController | None:
        status = controller_status_of(owner, active, failure, now)
        if status == owner.status:
            return None
        changed = deep_copy(owner)
        changed.status = status
        return changed
