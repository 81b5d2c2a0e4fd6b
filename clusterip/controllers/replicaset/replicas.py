"""Creates and deletes Pods until there are as many as wanted: what ReplicaSets and their elders share."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from clusterip.client.errors import ApiError, Unreachable
from clusterip.controllers import pods as pod_facts
from clusterip.controllers.context import BY_CONTROLLER, Context
from clusterip.controllers.controller import Controller, ObjectKey, key_of
from clusterip.controllers.owners import claim, controller_of
from clusterip.controllers.podcontrol import PodControl
from clusterip.controllers.podowners import OwnersOfPods
from clusterip.controllers.podtemplate import pod_from
from clusterip.controllers.replicaset.ranking import to_delete
from clusterip.controllers.slowstart import all_of, slow_start
from clusterip.objects.core.pod import PODS, Pod
from clusterip.objects.core.pod_spec import PodTemplateSpec
from clusterip.objects.meta import Object
from clusterip.objects.registry import Resource
from clusterip.objects.selectors import Selector, SelectorError

R = TypeVar("R", bound=Object)

_BURST = 500  # upstream's burstReplicas: so many Pods are created or deleted in one go


class ReplicasController(Controller[ObjectKey], Generic[R]):
    """A subclass says what its kind calls selector, template, wanted number and status."""

    def __init__(self, context: Context, resource: Resource[R]) -> None:
        super().__init__(context)
        self._sets = self.informer(resource)
        self._pods = self.informer(PODS)
        self._control = PodControl(self.client, self._pods, self.events)
        self._owners = OwnersOfPods(self._sets, self._pods, self.selector_of, self.queue.add)
        self._sets.on_change(self._set_changed)

    @abstractmethod
    def selector_of(self, owner: R) -> Selector:
        """Raises SelectorError if it cannot be understood."""

    @abstractmethod
    def template_of(self, owner: R) -> PodTemplateSpec: ...

    @abstractmethod
    def wanted(self, owner: R) -> int:
        """How many Pods there should be."""

    @abstractmethod
    def min_ready_seconds(self, owner: R) -> int: ...

    @abstractmethod
    def with_status(
        self, owner: R, active: Sequence[Pod], terminating: int, failure: Exception | None, now: float
    ) -> R | None:
        """A copy with the status that tells of these Pods, None if it has that status already.

        ``failure`` is why Pods could not be created or deleted; ``now`` is Unix time in seconds.
        """

    async def sync(self, key: ObjectKey) -> None:
        owner = self._sets.objects.get(key)
        if owner is None:
            return
        try:
            selector = self.selector_of(owner)
        except SelectorError as error:
            self.log.error("selector not understood", owner="/".join(key), error=str(error))
            return
        owned = self._pods.by_index(BY_CONTROLLER, owner.metadata.uid)
        orphans = self._pods.by_index(BY_CONTROLLER, ("", key[0]))
        candidates = [pod for pod in [*owned, *orphans] if self._control.counts(pod)]
        active = await claim(self.client, owner, selector, candidates)
        failure: ApiError | Unreachable | None = None
        if owner.metadata.deletionTimestamp is None:
            try:
                await self._manage(key, owner, active)
            except (ApiError, Unreachable) as error:
                failure = error
        terminating = sum(pod_facts.is_terminating(pod) for pod in owned)
        now = time.time()
        changed = self.with_status(owner, active, terminating, failure, now)
        if changed is not None:
            await self.write_status(key, self._sets, changed)
        if failure is not None:
            raise failure
        wait = pod_facts.next_available(active, self.min_ready_seconds(owner), now)
        if wait is not None:
            self.queue.add_after(key, wait + 0.01)

    async def _manage(self, key: ObjectKey, owner: R, active: Sequence[Pod]) -> None:
        wanted = self.wanted(owner)
        missing = wanted - len(active)
        if missing > 0:
            self.log.info("creating pods", owner="/".join(key), have=len(active), want=wanted)
            await slow_start(range(min(missing, _BURST)), lambda _: self._create(key, owner))
        elif missing < 0:
            self.log.info("deleting pods", owner="/".join(key), have=len(active), want=wanted)
            victims = to_delete(active, self._related(owner), min(-missing, _BURST), time.time())
            await all_of(self._control.delete(owner, pod) for pod in victims)

    async def _create(self, key: ObjectKey, owner: R) -> None:
        try:
            pod = await self._control.create(owner, pod_from(self.template_of(owner), owner))
        except ApiError as error:
            if error.is_namespace_terminating:
                return  # nothing can be created there any more
            raise
        self.wrote(key, self._pods, pod)

    def _related(self, owner: R) -> list[Pod]:
        """The active Pods of all sets with the same owner: those of one Deployment."""
        above = controller_of(owner.metadata)
        sets: list[Any] = self._sets.by_index(BY_CONTROLLER, above.uid) if above is not None else [owner]
        related = [pod for each in sets for pod in self._pods.by_index(BY_CONTROLLER, each.metadata.uid)]
        return [pod for pod in related if self._control.counts(pod)]

    def _set_changed(self, old: R | None, new: R | None) -> None:
        owner = new or old
        if owner is not None:
            self.queue.add(key_of(owner))
