"""Keeps the numbered Pods of every StatefulSet."""

from __future__ import annotations

import time

from clusterip.client.errors import ApiError, Unreachable
from clusterip.controllers import pods as pod_facts
from clusterip.controllers.context import BY_CONTROLLER, Context
from clusterip.controllers.controller import Controller, ObjectKey, key_of
from clusterip.controllers.copying import deep_copy
from clusterip.controllers.history import History, template_of
from clusterip.controllers.owners import claim
from clusterip.controllers.podowners import OwnersOfPods
from clusterip.controllers.slowstart import slow_start
from clusterip.controllers.statefulset.identity import (
    POD_NAME_LABEL,
    has_identity,
    numbered_pod,
    ordinal_of,
    revision_of,
)
from clusterip.controllers.statefulset.status import status_of
from clusterip.controllers.statefulset.steps import View, next_steps, starts_with_old
from clusterip.objects.apps.controllerrevision import CONTROLLERREVISIONS, ControllerRevision
from clusterip.objects.apps.statefulset import STATEFULSETS, StatefulSet
from clusterip.objects.core.pod import PODS, Pod
from clusterip.objects.selectors import Selector, SelectorError, from_label_selector


class StatefulSetController(Controller[ObjectKey]):
    name = "statefulset-controller"
    component = "statefulset-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._sets = self.informer(STATEFULSETS)
        self._pods = self.informer(PODS)
        self._revisions = self.informer(CONTROLLERREVISIONS)
        self._owners = OwnersOfPods(self._sets, self._pods, _selector, self.queue.add)
        self._deleting: set[str] = set()
        self._sets.on_change(self._set_changed)
        self._pods.on_change(self._pod_changed)

    async def sync(self, key: ObjectKey) -> None:
        stateful_set = self._sets.objects.get(key)
        if stateful_set is None:
            return
        try:
            selector = _selector(stateful_set)
        except SelectorError as error:
            self.log.error("selector not understood", statefulset="/".join(key), error=str(error))
            return
        pods = await self._claimed(stateful_set, selector)
        history = History(self.client, self._revisions, stateful_set)
        revisions = await history.revisions(selector)
        collisions = stateful_set.status.collisionCount or 0
        update, collisions = await history.record(stateful_set.spec.template, revisions, collisions)
        self.wrote(key, self._revisions, update)
        named = stateful_set.status.currentRevision
        current = next((r for r in revisions if r.metadata.name == named), update)
        view = View(stateful_set, pods, current.metadata.name, update.metadata.name, time.time())
        failure: ApiError | Unreachable | None = None
        if stateful_set.metadata.deletionTimestamp is None:
            try:
                await self._carry_out(key, view, current, update)
            except (ApiError, Unreachable) as error:
                failure = error
        await self._tell_status(key, view, collisions)
        live = {revision_of(pod) for pod in pods} | {current.metadata.name, update.metadata.name}
        await history.truncate(revisions, live, stateful_set.spec.revisionHistoryLimit)
        if failure is not None:
            raise failure
        wait = pod_facts.next_available(pods, stateful_set.spec.minReadySeconds, view.now)
        if wait is not None:
            self.queue.add_after(key, wait + 0.01)

    async def _claimed(self, stateful_set: StatefulSet, selector: Selector) -> list[Pod]:
        owned = self._pods.by_index(BY_CONTROLLER, stateful_set.metadata.uid)
        orphans = [
            pod
            for pod in self._pods.by_index(BY_CONTROLLER, ("", stateful_set.metadata.namespace))
            if ordinal_of(stateful_set, pod) is not None
        ]
        return await claim(self.client, stateful_set, selector, [*owned, *orphans])

    async def _carry_out(
        self, key: ObjectKey, view: View, current: ControllerRevision, update: ControllerRevision
    ) -> None:
        for pod in view.members().values():
            if not has_identity(view.stateful_set, pod) and pod.metadata.deletionTimestamp is None:
                await self._identify(key, view.stateful_set, pod)
        steps = next_steps(view)
        old_template, new_template = template_of(current), view.stateful_set.spec.template

        async def create(ordinal: int) -> None:
            old = starts_with_old(view, ordinal)
            template, revision = (old_template, current) if old else (new_template, update)
            pod = numbered_pod(view.stateful_set, ordinal, template, revision.metadata.name)
            await self._create(key, view.stateful_set, pod)

        await slow_start(steps.create, create)
        for pod in steps.delete:
            await self._delete(view.stateful_set, pod)

    async def _create(self, key: ObjectKey, stateful_set: StatefulSet, pod: Pod) -> None:
        try:
            created = await self.client.create(pod)
        except ApiError as error:
            if error.is_namespace_terminating:
                return
            if not error.is_already_exists:  # the informer will show that one
                self._tell(stateful_set, "create", pod.metadata.name, error)
            raise
        self.wrote(key, self._pods, created)
        self._tell(stateful_set, "create", pod.metadata.name, None)

    async def _delete(self, stateful_set: StatefulSet, pod: Pod) -> None:
        meta = pod.metadata
        if meta.uid in self._deleting:
            return
        self._deleting.add(meta.uid)
        try:
            await self.client.delete(Pod, meta.name, meta.namespace, uid=meta.uid)
        except ApiError as error:
            self._deleting.discard(meta.uid)
            if error.is_not_found or error.is_conflict:
                return
            self._tell(stateful_set, "delete", meta.name, error)
            raise
        except BaseException:
            self._deleting.discard(meta.uid)
            raise
        self._tell(stateful_set, "delete", meta.name, None)

    async def _identify(self, key: ObjectKey, stateful_set: StatefulSet, pod: Pod) -> None:
        meta = pod.metadata
        body = {"metadata": {"uid": meta.uid, "labels": {POD_NAME_LABEL: meta.name}}}
        try:
            self.wrote(key, self._pods, await self.client.patch(Pod, meta.name, meta.namespace, body))
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                self._tell(stateful_set, "update", meta.name, error)
                raise

    def _tell(self, stateful_set: StatefulSet, verb: str, pod: str, error: ApiError | None) -> None:
        where = f"{verb} Pod {pod} in StatefulSet {stateful_set.metadata.name}"
        if error is None:
            self.events.event(stateful_set, "Normal", f"Successful{verb.title()}", f"{where} successful")
        else:
            text = f"{where} failed error: {error}"
            self.events.event(stateful_set, "Warning", f"Failed{verb.title()}", text)

    async def _tell_status(self, key: ObjectKey, view: View, collisions: int) -> None:
        wanted = status_of(view, collisions)
        if wanted != view.stateful_set.status:
            changed = deep_copy(view.stateful_set)
            changed.status = wanted
            await self.write_status(key, self._sets, changed)

    def _set_changed(self, old: StatefulSet | None, new: StatefulSet | None) -> None:
        stateful_set = new or old
        if stateful_set is not None:
            self.queue.add(key_of(stateful_set))

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        pod = new or old
        if pod is not None and (new is None or new.metadata.deletionTimestamp is not None):
            self._deleting.discard(pod.metadata.uid)


def _selector(stateful_set: StatefulSet) -> Selector:
    return from_label_selector(stateful_set.spec.selector)
