"""Deletes Pods from nodes whose ``NoExecute`` taints they do not tolerate, or no longer."""

from __future__ import annotations

import time

from clusterip.client.errors import ApiError
from clusterip.controllers import pods as pod_facts
from clusterip.controllers.context import BY_NODE, Context
from clusterip.controllers.controller import Controller, ObjectKey, key_of
from clusterip.controllers.moments import unix_time
from clusterip.controllers.taints import tolerates
from clusterip.objects.core.node import NODES, Node, Taint
from clusterip.objects.core.pod import PODS, Pod


class TaintEvictionController(Controller[ObjectKey]):
    name = "taint-eviction-controller"
    component = "taint-eviction-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._pods = self.informer(PODS)
        self._nodes = self.informer(NODES)
        self._pods.on_change(self._pod_changed)
        self._nodes.on_change(self._node_changed)

    async def sync(self, key: ObjectKey) -> None:
        pod = self._pods.objects.get(key)
        if pod is None or pod.metadata.deletionTimestamp is not None or pod_facts.is_terminal(pod):
            return
        node = self._nodes.get("", pod.spec.nodeName)
        if node is None:
            return
        wait = seconds_tolerated(pod, node, time.time())
        if wait is None:
            return
        if wait > 0:
            self.queue.add_after(key, wait)
            return
        self.events.event(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {'/'.join(key)}")
        try:
            await self.client.delete(Pod, key[1], key[0], uid=pod.metadata.uid)
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise
        self.log.info("pod evicted", pod="/".join(key), node=node.metadata.name)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is None or not new.spec.nodeName:
            return
        if (
            old is None
            or old.spec.nodeName != new.spec.nodeName
            or old.spec.tolerations != new.spec.tolerations
        ):
            node = self._nodes.get("", new.spec.nodeName)
            if node is not None and _no_execute(node):
                self.queue.add(key_of(new))

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        if new is None or not _no_execute(new) or (old is not None and _no_execute(old) == _no_execute(new)):
            return
        for pod in self._pods.by_index(BY_NODE, new.metadata.name):
            self.queue.add(key_of(pod))


def seconds_tolerated(pod: Pod, node: Node, now: float) -> float | None:
    """How much longer the Pod may stay: None for ever, 0 not at all. ``now`` is Unix time in seconds."""
    shortest: float | None = None
    for taint in _no_execute(node):
        answers = [t for t in pod.spec.tolerations if tolerates(t, taint)]
        if not answers:
            return 0.0
        limits = [t.tolerationSeconds for t in answers if t.tolerationSeconds is not None]
        if limits:
            since = unix_time(taint.timeAdded)
            left = max(0.0, (now if since is None else since) + min(limits) - now)
            shortest = left if shortest is None else min(shortest, left)
    return shortest


def _no_execute(node: Node) -> list[Taint]:
    return [taint for taint in node.spec.taints if taint.effect == "NoExecute"]
