"""Removes Pods that nobody else will: of nodes that are gone, never started, or ended long ago."""

from __future__ import annotations

from clusterip.client.errors import ApiError
from clusterip.controllers import pods as pod_facts
from clusterip.controllers.context import BY_NODE, Context
from clusterip.controllers.controller import Controller, ObjectKey, key_of
from clusterip.objects import times
from clusterip.objects.core.node import NODES, Node
from clusterip.objects.core.pod import PODS, Pod, PodCondition

_QUARANTINE_SECONDS = 40.0  # a node that was deleted may be registered again at once
_TERMINATED: ObjectKey = ("", "terminated")


class PodGarbageCollector(Controller[ObjectKey]):
    name = "pod-garbage-collector-controller"
    component = "pod-garbage-collector-controller"

    def __init__(self, context: Context, threshold: int = 12500) -> None:
        super().__init__(context)
        self._threshold = threshold
        self._terminated: set[ObjectKey] = set()
        self._pods = self.informer(PODS)
        self._nodes = self.informer(NODES)
        self._pods.on_change(self._pod_changed)
        self._nodes.on_change(self._node_changed)

    async def background(self) -> None:
        """Nodes may have gone while nobody looked."""
        for key, pod in self._pods.objects.items():
            if pod.spec.nodeName and self._nodes.get("", pod.spec.nodeName) is None:
                self.queue.add_after(key, _QUARANTINE_SECONDS)

    async def sync(self, key: ObjectKey) -> None:
        if key == _TERMINATED:
            await self._trim_terminated()
            return
        pod = self._pods.objects.get(key)
        if pod is None:
            return
        if not pod.spec.nodeName:
            if pod.metadata.deletionTimestamp is not None:
                await self._delete(pod, "never got a node")
        elif self._nodes.get("", pod.spec.nodeName) is None and not await self._node_exists(
            pod.spec.nodeName
        ):
            await self._fail(pod)
            await self._delete(pod, f"its node {pod.spec.nodeName} is gone")

    async def _node_exists(self, name: str) -> bool:
        try:
            await self.client.get(Node, name)
        except ApiError as error:
            if error.is_not_found:
                return False
            raise
        return True

    async def _fail(self, pod: Pod) -> None:
        """Whoever waits for the Pod's end must see one."""
        if pod_facts.is_terminal(pod):
            return
        condition = PodCondition(
            type="DisruptionTarget",
            status="True",
            reason="DeletionByPodGC",
            message="PodGC: node no longer exists",
            lastTransitionTime=times.now(),
        )
        body = {
            "metadata": {"uid": pod.metadata.uid},
            "status": {"phase": "Failed", "conditions": [condition]},
        }
        meta = pod.metadata
        try:
            await self.client.patch(
                Pod, meta.name, meta.namespace, body, kind="strategic", subresource="status"
            )
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise

    async def _delete(self, pod: Pod, why: str) -> None:
        meta = pod.metadata
        try:
            await self.client.delete(Pod, meta.name, meta.namespace, uid=meta.uid, grace_period_seconds=0)
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise
            return
        self.log.info("pod removed", pod=f"{meta.namespace}/{meta.name}", reason=why)

    async def _trim_terminated(self) -> None:
        found = [self._pods.objects[key] for key in self._terminated]
        found.sort(key=lambda pod: (pod.metadata.creationTimestamp or "", pod.metadata.name))
        for pod in found[: max(0, len(found) - self._threshold)]:
            await self._delete(pod, "too many terminated pods")

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        pod = new or old
        if pod is None:
            return
        key = key_of(pod)
        if new is not None and pod_facts.is_terminal(new):
            self._terminated.add(key)
            if 0 < self._threshold < len(self._terminated):
                self.queue.add(_TERMINATED)
        else:
            self._terminated.discard(key)
        if new is not None and not new.spec.nodeName and new.metadata.deletionTimestamp is not None:
            self.queue.add(key)

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        if new is not None or old is None:
            return
        for pod in self._pods.by_index(BY_NODE, old.metadata.name):
            self.queue.add_after(key_of(pod), _QUARANTINE_SECONDS)
