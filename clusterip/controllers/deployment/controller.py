"""Rolls Deployments from one version to the next, and keeps their size and status."""

from __future__ import annotations

from clusterip.controllers import pods as pod_facts
from clusterip.controllers.context import BY_CONTROLLER, BY_NAMESPACE, Context
from clusterip.controllers.controller import Controller, ObjectKey, key_of
from clusterip.controllers.copying import deep_copy
from clusterip.controllers.deployment import scaling, status
from clusterip.controllers.deployment.rollout import Rollout, recreate, roll
from clusterip.controllers.owners import claim, controller_of
from clusterip.objects.apps.deployment import DEPLOYMENTS, Deployment
from clusterip.objects.apps.replicaset import REPLICASETS, ReplicaSet
from clusterip.objects.core.pod import PODS, Pod
from clusterip.objects.meta import LabelSelector, Object
from clusterip.objects.selectors import SelectorError, from_label_selector


class DeploymentController(Controller[ObjectKey]):
    name = "deployment-controller"
    component = "deployment-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._deployments = self.informer(DEPLOYMENTS)
        self._sets = self.informer(REPLICASETS)
        self._pods = self.informer(PODS)
        self._deployments.on_change(self._deployment_changed)
        self._sets.on_change(self._set_changed)
        self._pods.on_change(self._pod_changed)

    async def sync(self, key: ObjectKey) -> None:
        cached = self._deployments.objects.get(key)
        if cached is None:
            return
        deployment = deep_copy(cached)
        if deployment.spec.selector == LabelSelector():
            message = "This deployment is selecting all pods. A non-empty selector is required."
            self.events.event(deployment, "Warning", "SelectingAll", message)
            return
        try:
            selector = from_label_selector(deployment.spec.selector)
        except SelectorError as error:
            self.log.error("selector not understood", deployment="/".join(key), error=str(error))
            return
        owned = self._sets.by_index(BY_CONTROLLER, deployment.metadata.uid)
        orphans = self._sets.by_index(BY_CONTROLLER, ("", key[0]))
        sets = await claim(self.client, deployment, selector, [*owned, *orphans])
        rollout = Rollout(
            self.client, deployment, sets, self.events, self.log, lambda written: self._note(key, written)
        )
        await self._step(key, rollout)

    async def _step(self, key: ObjectKey, rollout: Rollout) -> None:
        if rollout.deployment.metadata.deletionTimestamp is not None:
            await rollout.write_status(status.counted(rollout.deployment, rollout.new, rollout.sets))
            return
        await self._mark_paused(rollout)
        await rollout.number_revisions()
        deployment = rollout.deployment
        if deployment.spec.paused or scaling.is_scaling_event(deployment, rollout.sets):
            sizes, note = scaling.rescaled(deployment, rollout.new, rollout.old)
            await rollout.resize(sizes, note=note)
            if deployment.spec.paused:
                await rollout.clean_up()
            await rollout.write_status(status.counted(rollout.deployment, rollout.new, rollout.sets))
            return
        if deployment.spec.strategy.type == "Recreate":
            await recreate(rollout, lambda new: self._old_pods_exist(rollout, new))
        else:
            await roll(rollout)
        if status.is_complete(rollout.deployment, rollout.deployment.status):
            await rollout.clean_up()
        await rollout.write_status(status.with_progress(rollout.deployment, rollout.new, rollout.sets))
        wait = status.seconds_to_deadline(rollout.deployment, rollout.deployment.status)
        if wait is not None:
            self.queue.add_after(key, max(wait, 0) + 1)

    async def _mark_paused(self, rollout: Rollout) -> None:
        """Time spent paused must not count as time without progress."""
        deployment = rollout.deployment
        if not status.has_deadline(deployment):
            return
        known = status.condition_of(deployment.status, status.PROGRESSING)
        if known is not None and known.reason == status.TIMED_OUT:
            return
        noted = known is not None and known.reason == status.PAUSED
        if deployment.spec.paused == noted:
            return
        changed = deep_copy(deployment.status)
        if deployment.spec.paused:
            status.set_condition(
                changed, status.PROGRESSING, "Unknown", status.PAUSED, "Deployment is paused"
            )
        else:
            reason = "DeploymentResumed"
            status.set_condition(changed, status.PROGRESSING, "Unknown", reason, "Deployment is resumed")
        await rollout.write_status(changed)

    def _old_pods_exist(self, rollout: Rollout, new: ReplicaSet | None) -> bool:
        for each in rollout.sets:
            if new is not None and each.metadata.uid == new.metadata.uid:
                continue
            pods = self._pods.by_index(BY_CONTROLLER, each.metadata.uid)
            if any(not pod_facts.is_terminal(pod) for pod in pods):
                return True
        return False

    def _note(self, key: ObjectKey, written: Object) -> None:
        informer = self._sets if isinstance(written, ReplicaSet) else self._deployments
        self.wrote(key, informer, written)

    def _deployment_changed(self, old: Deployment | None, new: Deployment | None) -> None:
        deployment = new or old
        if deployment is not None:
            self.queue.add(key_of(deployment))

    def _set_changed(self, old: ReplicaSet | None, new: ReplicaSet | None) -> None:
        for each in (old, new):
            if each is None:
                continue
            deployment = self._owner_of(each)
            if deployment is not None:
                self.queue.add(key_of(deployment))
        if new is not None and controller_of(new.metadata) is None:
            for deployment in self._deployments.by_index(BY_NAMESPACE, new.metadata.namespace):
                self._add_if_selected(deployment, new)

    def _add_if_selected(self, deployment: Deployment, orphan: ReplicaSet) -> None:
        try:
            if from_label_selector(deployment.spec.selector).matches(orphan.metadata.labels):
                self.queue.add(key_of(deployment))
        except SelectorError:
            return  # sync tells of it

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        """The last old Pod's end is what a Deployment of strategy Recreate waits for."""
        if new is not None and not pod_facts.is_terminal(new):
            return
        pod = new or old
        owner = controller_of(pod.metadata) if pod is not None else None
        if pod is None or owner is None or owner.kind != "ReplicaSet":
            return
        replica_set = self._sets.get(pod.metadata.namespace, owner.name)
        deployment = self._owner_of(replica_set) if replica_set is not None else None
        if deployment is not None and deployment.spec.strategy.type == "Recreate":
            self.queue.add(key_of(deployment))

    def _owner_of(self, replica_set: ReplicaSet) -> Deployment | None:
        owner = controller_of(replica_set.metadata)
        if owner is None or owner.kind != "Deployment":
            return None
        deployment = self._deployments.get(replica_set.metadata.namespace, owner.name)
        return deployment if deployment is not None and deployment.metadata.uid == owner.uid else None
