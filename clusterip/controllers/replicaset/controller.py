"""Creates and deletes Pods until there are as many as each ReplicaSet wants."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from clusterip.client.errors import ApiError, Unreachable
from clusterip.controllers import pods as pod_facts
from clusterip.controllers.context import BY_CONTROLLER, BY_NAMESPACE, Context
from clusterip.controllers.controller import Controller, ObjectKey, key_of
from clusterip.controllers.copying import deep_copy
from clusterip.controllers.owners import claim, controller_of
from clusterip.controllers.podtemplate import pod_from
from clusterip.controllers.replicaset.ranking import to_delete
from clusterip.controllers.replicaset.status import next_check, status_of
from clusterip.objects.apps.replicaset import REPLICASETS, ReplicaSet
from clusterip.objects.core.pod import PODS, Pod
from clusterip.objects.selectors import SelectorError, from_label_selector

_BURST = 500  # upstream's burstReplicas: so many Pods are created or deleted in one go


class ReplicaSetController(Controller[ObjectKey]):
    name = "replicaset-controller"
    component = "replicaset-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._sets = self.informer(REPLICASETS)
        self._pods = self.informer(PODS)
        # Deleted, but the informer does not show it yet: these no longer count as replicas.
        self._deleting: set[str] = set()
        self._sets.on_change(self._set_changed)
        self._pods.on_change(self._pod_changed)

    async def sync(self, key: ObjectKey) -> None:
        replica_set = self._sets.objects.get(key)
        if replica_set is None:
            return
        try:
            selector = from_label_selector(replica_set.spec.selector)
        except SelectorError as error:
            self.log.error("selector not understood", replicaset="/".join(key), error=str(error))
            return
        owned = self._pods.by_index(BY_CONTROLLER, replica_set.metadata.uid)
        orphans = self._pods.by_index(BY_CONTROLLER, ("", key[0]))
        candidates = [pod for pod in [*owned, *orphans] if self._counts(pod)]
        active = await claim(self.client, replica_set, selector, candidates)
        failure: ApiError | Unreachable | None = None
        if replica_set.metadata.deletionTimestamp is None:
            try:
                await self._manage(key, replica_set, active)
            except (ApiError, Unreachable) as error:
                failure = error
        terminating = sum(_is_terminating(pod) for pod in owned)
        now = time.time()
        await self._write_status(key, replica_set, active, terminating, failure, now)
        if failure is not None:
            raise failure
        wait = next_check(replica_set, active, now)
        if wait is not None:
            self.queue.add_after(key, wait + 0.01)

    def _counts(self, pod: Pod) -> bool:
        return pod_facts.is_active(pod) and pod.metadata.uid not in self._deleting

    async def _manage(self, key: ObjectKey, replica_set: ReplicaSet, active: Sequence[Pod]) -> None:
        wanted = replica_set.spec.replicas if replica_set.spec.replicas is not None else 1
        missing = wanted - len(active)
        if missing > 0:
            self.log.info("creating pods", replicaset="/".join(key), have=len(active), want=wanted)
            await _slow_start(min(missing, _BURST), lambda: self._create(key, replica_set))
        elif missing < 0:
            self.log.info("deleting pods", replicaset="/".join(key), have=len(active), want=wanted)
            victims = to_delete(active, self._related(replica_set), min(-missing, _BURST), time.time())
            results = await asyncio.gather(
                *(self._delete(replica_set, pod) for pod in victims), return_exceptions=True
            )
            for result in results:
                if isinstance(result, BaseException):
                    raise result

    async def _create(self, key: ObjectKey, replica_set: ReplicaSet) -> None:
        try:
            pod = await self.client.create(pod_from(replica_set.spec.template, replica_set))
        except ApiError as error:
            if error.is_namespace_terminating:
                return
            self.events.event(replica_set, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        self.wrote(key, self._pods, pod)
        self.events.event(replica_set, "Normal", "SuccessfulCreate", f"Created pod: {pod.metadata.name}")

    async def _delete(self, replica_set: ReplicaSet, pod: Pod) -> None:
        meta = pod.metadata
        self._deleting.add(meta.uid)
        try:
            await self.client.delete(Pod, meta.name, meta.namespace, uid=meta.uid)
        except ApiError as error:
            if error.is_not_found or error.is_conflict:
                return  # it is gone, which is what was wanted; the informer will say so
            self._deleting.discard(meta.uid)
            text = f"Error deleting: {error}"
            self.events.event(replica_set, "Warning", "FailedDelete", text)
            raise
        except BaseException:
            self._deleting.discard(meta.uid)
            raise
        self.events.event(replica_set, "Normal", "SuccessfulDelete", f"Deleted pod: {meta.name}")

    def _related(self, replica_set: ReplicaSet) -> list[Pod]:
        """The active Pods of all ReplicaSets with the same owner: those of one Deployment."""
        owner = controller_of(replica_set.metadata)
        sets = self._sets.by_index(BY_CONTROLLER, owner.uid) if owner is not None else [replica_set]
        related = [pod for each in sets for pod in self._pods.by_index(BY_CONTROLLER, each.metadata.uid)]
        return [pod for pod in related if self._counts(pod)]

    async def _write_status(
        self,
        key: ObjectKey,
        replica_set: ReplicaSet,
        active: Sequence[Pod],
        terminating: int,
        failure: Exception | None,
        now: float,
    ) -> None:
        wanted = status_of(replica_set, active, terminating, failure, now)
        if wanted == replica_set.status:
            return
        changed = deep_copy(replica_set)
        changed.status = wanted
        try:
            self.wrote(key, self._sets, await self.client.update_status(changed))
        except ApiError as error:
            # Deleted meanwhile: nobody will read the status.
            if not error.is_not_found:
                raise

    def _set_changed(self, old: ReplicaSet | None, new: ReplicaSet | None) -> None:
        replica_set = new or old
        if replica_set is not None:
            self.queue.add(key_of(replica_set))

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        pod = new or old
        if pod is None:
            return
        if new is None or new.metadata.deletionTimestamp is not None:
            self._deleting.discard(pod.metadata.uid)
        before = controller_of(old.metadata) if old is not None else None
        after = controller_of(new.metadata) if new is not None else None
        for owner in {o.uid: o for o in (before, after) if o is not None}.values():
            replica_set = self._sets.get(pod.metadata.namespace, owner.name)
            if owner.kind == "ReplicaSet" and replica_set and replica_set.metadata.uid == owner.uid:
                self.queue.add(key_of(replica_set))
        if new is not None and after is None:
            self._orphan_changed(old, new)

    def _orphan_changed(self, old: Pod | None, new: Pod) -> None:
        """A Pod without a controller may be one that a ReplicaSet's selector adopts."""
        if old is not None and old.metadata.labels == new.metadata.labels and not controller_of(old.metadata):
            return
        for replica_set in self._sets.by_index(BY_NAMESPACE, new.metadata.namespace):
            try:
                if from_label_selector(replica_set.spec.selector).matches(new.metadata.labels):
                    self.queue.add(key_of(replica_set))
            except SelectorError:
                continue  # sync tells of it


def _is_terminating(pod: Pod) -> bool:
    return pod.metadata.deletionTimestamp is not None and not pod_facts.is_terminal(pod)


async def _slow_start(count: int, create: Callable[[], Awaitable[None]]) -> None:
    """Create in batches of 1, 2, 4, …, so that what fails for one reason fails once, not ``count`` times.

    Raises the first failure of a batch, after the batch has ended.
    """
    size = 1
    while count > 0:
        size = min(size, count)
        results = await asyncio.gather(*(create() for _ in range(size)), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        count -= size
        size *= 2
