"""Keeps one Pod of each DaemonSet on every node that can run it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from clusterip.client.backoff import Backoff
from clusterip.client.errors import ApiError, Unreachable
from clusterip.controllers import pods as pod_facts
from clusterip.controllers.context import BY_CONTROLLER, Context
from clusterip.controllers.controller import Controller, ObjectKey, key_of
from clusterip.controllers.copying import deep_copy
from clusterip.controllers.daemonset.placement import daemon_pod, node_of, placement
from clusterip.controllers.daemonset.status import status_of
from clusterip.controllers.daemonset.steps import Steps, View, manage, roll
from clusterip.controllers.history import HASH_LABEL, History, hash_of
from clusterip.controllers.owners import claim
from clusterip.controllers.podcontrol import PodControl
from clusterip.controllers.podowners import OwnersOfPods
from clusterip.controllers.slowstart import all_of, slow_start
from clusterip.objects.apps.controllerrevision import CONTROLLERREVISIONS
from clusterip.objects.apps.daemonset import DAEMONSETS, ROLLING_UPDATE, DaemonSet
from clusterip.objects.core.node import NODES, Node
from clusterip.objects.core.pod import PODS, Pod
from clusterip.objects.meta import LabelSelector
from clusterip.objects.selectors import Selector, SelectorError, from_label_selector

_BURST = 250  # upstream's BurstReplicas
_FIRST_BACKOFF, _LONGEST_BACKOFF = 1.0, 900.0  # seconds, upstream's for Pods that fail at once


class DaemonSetController(Controller[ObjectKey]):
    name = "daemonset-controller"
    component = "daemonset-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._sets = self.informer(DAEMONSETS)
        self._pods = self.informer(PODS)
        self._nodes = self.informer(NODES)
        self._revisions = self.informer(CONTROLLERREVISIONS)
        self._control = PodControl(self.client, self._pods, self.events)
        self._owners = OwnersOfPods(self._sets, self._pods, _selector, self.queue.add)
        self._failures: dict[tuple[str, str], tuple[Backoff, float]] = {}
        self._sets.on_change(self._set_changed)
        self._nodes.on_change(self._node_changed)

    async def sync(self, key: ObjectKey) -> None:
        daemon_set = self._sets.objects.get(key)
        if daemon_set is None or daemon_set.metadata.deletionTimestamp is not None:
            return  # what is being deleted may have lost its history already; nothing true can be said of it
        if daemon_set.spec.selector == LabelSelector():
            message = "This daemon set is selecting all pods. A non-empty selector is required."
            self.events.event(daemon_set, "Warning", "SelectingAll", message)
            return
        try:
            selector = _selector(daemon_set)
        except SelectorError as error:
            self.log.error("selector not understood", daemonset="/".join(key), error=str(error))
            return
        history = History(self.client, self._revisions, daemon_set)
        revisions = await history.revisions(selector)
        collisions = daemon_set.status.collisionCount or 0
        current, collisions = await history.record(daemon_set.spec.template, revisions, collisions)
        self.wrote(key, self._revisions, current)
        pods = await self._claimed(daemon_set, selector)
        failure: ApiError | Unreachable | None = None
        view = self._view(daemon_set, pods, hash_of(current))
        try:
            acted = await self._carry_out(key, view, manage(view))
            if not acted and daemon_set.spec.updateStrategy.type == ROLLING_UPDATE:
                await self._carry_out(key, view, roll(view))
            live = {pod.metadata.labels.get(HASH_LABEL, "") for pod in pods} | {hash_of(current)}
            await history.truncate(revisions, live, daemon_set.spec.revisionHistoryLimit)
        except (ApiError, Unreachable) as error:
            failure = error
        await self._tell_status(key, view, collisions)
        if failure is not None:
            raise failure
        wait = pod_facts.next_available(pods, daemon_set.spec.minReadySeconds, view.now)
        if wait is not None:
            self.queue.add_after(key, wait + 0.01)

    async def _claimed(self, daemon_set: DaemonSet, selector: Selector) -> list[Pod]:
        owned = self._pods.by_index(BY_CONTROLLER, daemon_set.metadata.uid)
        orphans = self._pods.by_index(BY_CONTROLLER, ("", daemon_set.metadata.namespace))
        candidates = [pod for pod in [*owned, *orphans] if not self._control.is_deleting(pod)]
        return await claim(self.client, daemon_set, selector, candidates)

    def _view(self, daemon_set: DaemonSet, pods: Sequence[Pod], hashed: str) -> View:
        by_node: dict[str, list[Pod]] = {}
        for pod in pods:
            # One that has ended and is being deleted is as good as gone.
            if not (pod_facts.is_terminal(pod) and pod.metadata.deletionTimestamp is not None):
                by_node.setdefault(node_of(pod), []).append(pod)
        places = {node.metadata.name: placement(daemon_set, node) for node in self._nodes.objects.values()}
        return View(daemon_set, places, by_node, hashed, time.time())

    async def _carry_out(self, key: ObjectKey, view: View, steps: Steps) -> bool:
        """Whether there was anything to do."""
        daemon_set = view.daemon_set

        async def create(node: str) -> None:
            try:
                pod = await self._control.create(daemon_set, daemon_pod(daemon_set, node, view.hashed))
            except ApiError as error:
                if not error.is_namespace_terminating:
                    raise
            else:
                self.wrote(key, self._pods, pod)

        doomed = [*steps.delete, *self._due(key, daemon_set, steps.ended)]
        if steps.create or doomed:
            name = "/".join(key)
            self.log.info("daemon pods", daemonset=name, creating=len(steps.create), deleting=len(doomed))
        await slow_start(steps.create[:_BURST], create)
        await all_of(self._control.delete(daemon_set, pod) for pod in doomed[:_BURST])
        return bool(steps.create or doomed)

    def _due(self, key: ObjectKey, daemon_set: DaemonSet, ended: Sequence[Pod]) -> list[Pod]:
        """Those of the ended Pods that may be replaced now: a node that refuses them is not asked at once."""
        due = []
        loop_time = time.monotonic()
        for pod in ended:
            where = f"{pod.metadata.namespace}/{pod.metadata.name} on node {node_of(pod)}"
            if pod.status.phase == "Succeeded":
                message = f"Found succeeded daemon pod {where}, will try to delete it"
                self.events.event(daemon_set, "Normal", "SucceededDaemonPod", message)
                due.append(pod)
                continue
            slot = daemon_set.metadata.uid, node_of(pod)
            backoff, not_before = self._failures.get(slot) or (
                Backoff(_FIRST_BACKOFF, _LONGEST_BACKOFF, jitter=0),
                0.0,
            )
            if loop_time < not_before:
                self.queue.add_after(key, not_before - loop_time)
                continue
            self._failures[slot] = backoff, loop_time + backoff.next()
            message = f"Found failed daemon pod {where}, will try to kill it"
            self.events.event(daemon_set, "Warning", "FailedDaemonPod", message)
            due.append(pod)
        return due

    async def _tell_status(self, key: ObjectKey, view: View, collisions: int) -> None:
        wanted = status_of(view, collisions)
        if wanted != view.daemon_set.status:
            changed = deep_copy(view.daemon_set)
            changed.status = wanted
            await self.write_status(key, self._sets, changed)

    def _set_changed(self, old: DaemonSet | None, new: DaemonSet | None) -> None:
        daemon_set = new or old
        if daemon_set is None:
            return
        if new is None:
            uid = daemon_set.metadata.uid
            self._failures = {slot: kept for slot, kept in self._failures.items() if slot[0] != uid}
        self.queue.add(key_of(daemon_set))

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        """Only what decides on placement matters; nodes report their state all the time."""
        for daemon_set in self._sets.objects.values():
            before = placement(daemon_set, old) if old is not None else None
            after = placement(daemon_set, new) if new is not None else None
            if before != after:
                self.queue.add(key_of(daemon_set))


def _selector(daemon_set: DaemonSet) -> Selector:
    return from_label_selector(daemon_set.spec.selector)
