"""Notices when a node's agent falls silent, and says so on the node and its Pods."""

from __future__ import annotations

import asyncio

from clusterip.client.errors import ApiError
from clusterip.client.informer import Informer
from clusterip.controllers import pods as pod_facts
from clusterip.controllers.context import BY_NODE, Context
from clusterip.controllers.controller import Controller
from clusterip.controllers.copying import deep_copy
from clusterip.controllers.nodelifecycle.conditions import ready_status, silent, wanted_taints
from clusterip.objects import times
from clusterip.objects.coordination.lease import LEASES, Lease
from clusterip.objects.core.node import NODES, Node
from clusterip.objects.core.pod import PODS, Pod, PodCondition

_LEASE_NAMESPACE = "kube-node-lease"


class NodeLifecycleController(Controller[str]):
    """A node shows life by renewing its Lease, or by posting its status.

    How long ago that was is measured from when it was seen here, so that clocks need not agree; and
    while the API server cannot be reached nothing is held against the nodes.
    """

    name = "node-lifecycle-controller"
    component = "node-controller"

    def __init__(self, context: Context, grace: float = 40.0) -> None:
        super().__init__(context)
        self._grace = grace
        self._nodes = self.informer(NODES)
        self._pods = self.informer(PODS)
        leases: Informer[Lease] = Informer(self.client, LEASES, namespace=_LEASE_NAMESPACE)
        self._leases = self.wait_for(context.share("leases/nodes", leases))
        self._seen: dict[str, float] = {}
        self._nodes.on_change(self._node_changed)
        self._leases.on_change(self._lease_changed)

    async def sync(self, key: str) -> None:
        node = self._nodes.get("", key)
        if node is None:
            self._seen.pop(key, None)
            return
        left = self._seconds_left(key)
        if left <= 0 and ready_status(node) != "Unknown":
            node = await self._mark_silent(key, node)
            if node is None:
                return
        elif left > 0:
            self.queue.add_after(key, left + 0.1)
        await self._write_taints(key, node)
        if ready_status(node) in ("False", "Unknown"):
            await self._mark_pods(node)

    def _seconds_left(self, name: str) -> float:
        """How long the node may stay silent from now on."""
        now = asyncio.get_running_loop().time()
        if not self._leases.connected or not self._nodes.connected:
            return self._grace
        since = max(self._seen.get(name, now), self._leases.connected_at, self._nodes.connected_at)
        return since + self._grace - now

    async def _mark_silent(self, key: str, node: Node) -> Node | None:
        changed = deep_copy(node)
        changed.status.conditions = silent(node)
        try:
            written = await self.client.update_status(changed)
        except ApiError as error:
            if error.is_not_found:
                return None
            raise  # a conflict may well be the sign of life that was missing
        self.wrote(key, self._nodes, written)
        self.log.warning("node silent", node=key, grace_seconds=self._grace)
        self.events.event(node, "Normal", "NodeNotReady", f"Node {key} status is now: NodeNotReady")
        return written

    async def _write_taints(self, key: str, node: Node) -> None:
        taints = wanted_taints(node)
        if taints == node.spec.taints:
            return
        body = {
            "metadata": {"resourceVersion": node.metadata.resourceVersion},
            "spec": {"taints": taints or None},
        }
        try:
            written = await self.client.patch(Node, key, "", body)
        except ApiError as error:
            if error.is_not_found:
                return
            raise
        self.wrote(key, self._nodes, written)
        shown = ",".join(f"{taint.key}:{taint.effect}" for taint in taints) or "none"
        self.log.info("node taints changed", node=key, taints=shown)

    async def _mark_pods(self, node: Node) -> None:
        """Take the node's Pods out of their Services; whether they still run, nobody can say."""
        for pod in self._pods.by_index(BY_NODE, node.metadata.name):
            known = pod_facts.condition(pod, "Ready")
            if known is None or known.status != "True":
                continue
            condition = PodCondition(type="Ready", status="False", lastTransitionTime=times.now())
            body = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}
            meta = pod.metadata
            try:
                await self.client.patch(
                    Pod, meta.name, meta.namespace, body, kind="strategic", subresource="status"
                )
            except ApiError as error:
                if not (error.is_not_found or error.is_conflict):
                    raise
                continue
            self.events.event(pod, "Warning", "NodeNotReady", "Node is not ready")

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        node = new or old
        if node is None:
            return
        name = node.metadata.name
        if new is not None and (old is None or _heartbeat(old) != _heartbeat(new)):
            self._saw(name)
        if new is None or old is None or _judged(old) != _judged(new):
            self.queue.add(name)

    def _lease_changed(self, old: Lease | None, new: Lease | None) -> None:
        if new is None or new.metadata.namespace != _LEASE_NAMESPACE:
            return
        if old is None or old.spec.renewTime != new.spec.renewTime:
            self._saw(new.metadata.name)

    def _saw(self, name: str) -> None:
        self._seen[name] = asyncio.get_running_loop().time()


def _heartbeat(node: Node) -> str | None:
    ready = next((c for c in node.status.conditions if c.type == "Ready"), None)
    return ready.lastHeartbeatTime if ready is not None and ready.status != "Unknown" else None


def _judged(node: Node) -> tuple[object, ...]:
    states = [(c.type, c.status) for c in node.status.conditions]
    return states, node.spec.taints, node.spec.unschedulable
