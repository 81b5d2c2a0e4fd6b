"""Counts for every PodDisruptionBudget how many of its Pods may be evicted now."""

from __future__ import annotations

import time
from collections.abc import Sequence

from clusterip.controllers.context import BY_NAMESPACE, Context
from clusterip.controllers.controller import Controller, ObjectKey, key_of
from clusterip.controllers.copying import deep_copy
from clusterip.controllers.disruption.counts import evicted, needs_scale, status_of, with_verdict
from clusterip.controllers.owners import controller_of
from clusterip.objects.apps.deployment import DEPLOYMENTS, Deployment
from clusterip.objects.apps.replicaset import REPLICASETS
from clusterip.objects.apps.statefulset import STATEFULSETS, StatefulSet
from clusterip.objects.core.pod import PODS, Pod
from clusterip.objects.core.replicationcontroller import REPLICATIONCONTROLLERS, ReplicationController
from clusterip.objects.meta import OwnerReference
from clusterip.objects.policy.poddisruptionbudget import (
    PODDISRUPTIONBUDGETS,
    PodDisruptionBudget,
    PodDisruptionBudgetStatus,
)
from clusterip.objects.selectors import SelectorError, from_label_selector


class _NoController(Exception):
    """A Pod's controller is of no kind whose size could be known."""


class DisruptionController(Controller[ObjectKey]):
    name = "disruption-controller"
    component = "controllermanager"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._budgets = self.informer(PODDISRUPTIONBUDGETS)
        self._pods = self.informer(PODS)
        self._sets = self.informer(REPLICASETS)
        self._deployments = self.informer(DEPLOYMENTS)
        self._stateful_sets = self.informer(STATEFULSETS)
        self._replication = self.informer(REPLICATIONCONTROLLERS)
        self._budgets.on_change(self._budget_changed)
        self._pods.on_change(self._pod_changed)

    async def sync(self, key: ObjectKey) -> None:
        budget = self._budgets.objects.get(key)
        if budget is None:
            return
        pods = [pod for pod in self._pods.by_index(BY_NAMESPACE, key[0]) if _selects(budget, pod)]
        if not pods:
            self.events.event(budget, "Normal", "NoPods", "No matching pods found")
        now = time.time()
        try:
            expected = self._expected(budget, pods)
        except _NoController as error:
            message = f"Failed to calculate the number of expected pods: {error}"
            self.events.event(budget, "Warning", "CalculateExpectedPodCountFailed", message)
            await self._tell(key, budget, _closed(budget, str(error)))
            return
        gone = evicted(budget, pods, now)
        for pod in gone.overdue:
            message = f"Pod was expected by PDB {'/'.join(key)} to be deleted but it wasn't"
            self.events.event(pod, "Warning", "NotDeleted", message)
        await self._tell(key, budget, status_of(budget, pods, gone, expected))
        if gone.recheck is not None:
            self.queue.add_after(key, gone.recheck + 0.1)

    async def _tell(
        self, key: ObjectKey, budget: PodDisruptionBudget, status: PodDisruptionBudgetStatus
    ) -> None:
        if status != budget.status:
            changed = deep_copy(budget)
            changed.status = status
            await self.write_status(key, self._budgets, changed)

    def _expected(self, budget: PodDisruptionBudget, pods: Sequence[Pod]) -> int:
        """How many Pods there should be. Raises _NoController."""
        if not needs_scale(budget.spec):
            return len(pods)
        scales: dict[str, int] = {}
        unmanaged = False
        for pod in pods:
            owner = controller_of(pod.metadata)
            if owner is None:
                unmanaged = True
            elif owner.uid not in scales:
                uid, replicas = self._scale(pod, owner)
                scales[uid] = replicas
        if unmanaged:
            message = (
                "Pods selected by this PodDisruptionBudget were found to be unmanaged. As a result, the "
                "status of the PDB cannot be calculated correctly, which may result in undefined behavior. "
                'To account for these pods please set ".spec.minAvailable" field of the PDB to an integer '
                "value."
            )
            self.events.event(budget, "Warning", "UnmanagedPods", message)
        return sum(scales.values())

    def _scale(self, pod: Pod, owner: OwnerReference) -> tuple[str, int]:
        """The UID and the wanted size of what decides on the number of the Pod's replicas."""
        namespace = pod.metadata.namespace
        found: Deployment | StatefulSet | ReplicationController | None
        if owner.kind == "ReplicaSet":
            replica_set = self._sets.get(namespace, owner.name)
            if replica_set is not None and replica_set.metadata.uid == owner.uid:
                above = controller_of(replica_set.metadata)
                found = self._deployments.get(namespace, above.name) if above is not None else None
                if above is not None and found is not None and found.metadata.uid == above.uid:
                    return above.uid, found.spec.replicas or 0
                return owner.uid, replica_set.spec.replicas or 0
        elif owner.kind == "StatefulSet":
            found = self._stateful_sets.get(namespace, owner.name)
            if found is not None and found.metadata.uid == owner.uid:
                return owner.uid, found.spec.replicas or 0
        elif owner.kind == "ReplicationController":
            found = self._replication.get(namespace, owner.name)
            if found is not None and found.metadata.uid == owner.uid:
                return owner.uid, found.spec.replicas or 0
        raise _NoController(f'found no controllers for pod "{pod.metadata.name}"')

    def _budget_changed(self, old: PodDisruptionBudget | None, new: PodDisruptionBudget | None) -> None:
        budget = new or old
        if budget is not None:
            self.queue.add(key_of(budget))

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        pod = new or old
        if pod is None:
            return
        for budget in self._budgets.by_index(BY_NAMESPACE, pod.metadata.namespace):
            if any(each is not None and _selects(budget, each) for each in (old, new)):
                self.queue.add(key_of(budget))


def _selects(budget: PodDisruptionBudget, pod: Pod) -> bool:
    try:
        return from_label_selector(budget.spec.selector).matches(pod.metadata.labels)
    except SelectorError:
        return False  # validation keeps it out


def _closed(budget: PodDisruptionBudget, why: str) -> PodDisruptionBudgetStatus:
    """Nothing may be evicted while nobody knows how many Pods there should be."""
    status = deep_copy(budget.status)
    status.disruptionsAllowed = 0
    generation = status.observedGeneration
    status.conditions = with_verdict(status.conditions, "False", "SyncFailed", why, generation)
    return status
