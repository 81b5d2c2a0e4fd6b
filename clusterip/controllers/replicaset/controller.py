"""The ReplicaSets' controller."""

from __future__ import annotations

from collections.abc import Sequence

from clusterip.controllers.context import Context
from clusterip.controllers.copying import deep_copy
from clusterip.controllers.replicaset.replicas import ReplicasController
from clusterip.controllers.replicaset.status import status_of
from clusterip.objects.apps.replicaset import REPLICASETS, ReplicaSet
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.pod_spec import PodTemplateSpec
from clusterip.objects.selectors import Selector, from_label_selector


class ReplicaSetController(ReplicasController[ReplicaSet]):
    name = "replicaset-controller"
    component = "replicaset-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context, REPLICASETS)

    def selector_of(self, owner: ReplicaSet) -> Selector:
        return from_label_selector(owner.spec.selector)

    def template_of(self, owner: ReplicaSet) -> PodTemplateSpec:
        return owner.spec.template

    def wanted(self, owner: ReplicaSet) -> int:
        return owner.spec.replicas if owner.spec.replicas is not None else 1

    def min_ready_seconds(self, owner: ReplicaSet) -> int:
        return owner.spec.minReadySeconds

    def with_status(
        self,
        owner: ReplicaSet,
        active: Sequence[Pod],
        terminating: int,
        failure: Exception | None,
        now: float,
    ) -> ReplicaSet | None:
        status = status_of(owner, active, terminating, failure, now)
        if status == owner.status:
            return None
        changed = deep_copy(owner)
        changed.status = status
        return changed
