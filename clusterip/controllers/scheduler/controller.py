"""Gives every Pod without a node one, or says why there is none."""

from __future__ import annotations

from clusterip.client.errors import ApiError
from clusterip.controllers import pods as pod_facts
from clusterip.controllers.context import Context
from clusterip.controllers.controller import Controller, ObjectKey, key_of
from clusterip.controllers.scheduler.filters import fit_error, reasons_against
from clusterip.controllers.scheduler.nodestate import NodeState
from clusterip.controllers.scheduler.podaffinity import PodAffinity
from clusterip.controllers.scheduler.requests import Request, request_of
from clusterip.controllers.scheduler.scoring import best
from clusterip.controllers.scheduler.topologyspread import TopologySpread
from clusterip.objects import times
from clusterip.objects.core.namespace import NAMESPACES
from clusterip.objects.core.node import NODES, Node
from clusterip.objects.core.pod import PODS, Pod, PodCondition

_SCHEDULER = "default-scheduler"


class Scheduler(Controller[ObjectKey]):
    """Decisions take no time and never wait, so workers can only overlap in telling the API server."""

    name = "scheduler"
    component = _SCHEDULER
    workers = 8

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._pods = self.informer(PODS)
        self._nodes = self.informer(NODES)
        self._namespaces = self.informer(NAMESPACES)
        self._states: dict[str, NodeState] = {}
        # Where Pods are that we gave a node, until the informer shows them there.
        self._assumed: dict[str, str] = {}
        self._unschedulable: set[ObjectKey] = set()
        self._pods.on_change(self._pod_changed)
        self._nodes.on_change(self._node_changed)

    async def sync(self, key: ObjectKey) -> None:
        pod = self._pods.objects.get(key)
        if pod is None or not _waits_for_node(pod) or pod.metadata.uid in self._assumed:
            self._unschedulable.discard(key)
            return
        request = request_of(pod)
        node, why_not = self._choose(request)
        if node is None:
            self._unschedulable.add(key)
            await self._tell_unschedulable(key, pod, why_not)
            return
        self._unschedulable.discard(key)
        await self._bind(key, request, node.metadata.name)

    def _choose(self, request: Request) -> tuple[Node | None, str]:
        affinity = PodAffinity(
            request.pod,
            self._states.values(),
            {name: ns.metadata.labels for (_, name), ns in self._namespaces.objects.items()},
        )
        spread = TopologySpread(request.pod, self._states.values())
        fitting: list[tuple[NodeState, Node]] = []
        reasons: list[str] = []
        for state in self._states.values():
            if state.node is None:
                continue
            against = reasons_against(request, state)
            if not against:
                labels = state.node.metadata.labels
                reason = affinity.reason_against(labels) or spread.reason_against(labels)
                against = [reason] if reason is not None else []
            if against:
                reasons += against
            else:
                fitting.append((state, state.node))
        if fitting:
            return best(request, fitting, spread), ""
        return None, fit_error(reasons, len(self._nodes.objects))

    async def _bind(self, key: ObjectKey, request: Request, node: str) -> None:
        meta = request.pod.metadata
        self._assumed[meta.uid] = node
        self._state(node).add(request)
        binding = {
            "kind": "Binding",
            "apiVersion": "v1",
            "metadata": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
            "target": {"kind": "Node", "name": node},
        }
        try:
            await self.client.create_subresource(Pod, meta.name, meta.namespace, "binding", binding)
        except ApiError as error:
            self._forget(meta.uid)
            if not (error.is_not_found or error.is_conflict):
                self.events.event(request.pod, "Warning", "FailedScheduling", f"binding rejected: {error}")
                raise
        except BaseException:
            self._forget(meta.uid)
            raise
        else:
            self.log.info("pod scheduled", pod="/".join(key), node=node)
            message = f"Successfully assigned {meta.namespace}/{meta.name} to {node}"
            self.events.event(request.pod, "Normal", "Scheduled", message)

    async def _tell_unschedulable(self, key: ObjectKey, pod: Pod, message: str) -> None:
        known = pod_facts.condition(pod, "PodScheduled")
        if known is not None and (known.status, known.message) == ("False", message):
            return
        self.log.info("pod unschedulable", pod="/".join(key), reason=message)
        self.events.event(pod, "Warning", "FailedScheduling", message)
        now = times.now()
        since = known.lastTransitionTime if known is not None and known.status == "False" else now
        condition = PodCondition(
            type="PodScheduled",
            status="False",
            reason="Unschedulable",
            message=message,
            lastTransitionTime=since,
        )
        body = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}
        written = await self.client.patch(
            Pod, pod.metadata.name, pod.metadata.namespace, body, kind="strategic", subresource="status"
        )
        self.wrote(key, self._pods, written)

    def _state(self, node: str) -> NodeState:
        return self._states.setdefault(node, NodeState())

    def _forget(self, uid: str) -> None:
        node = self._assumed.pop(uid, None)
        if node is not None:
            self._leave(node, uid)

    def _leave(self, node: str, uid: str) -> None:
        state = self._states.get(node)
        if state is None or not state.remove(uid):
            return
        if state.empty:
            del self._states[node]
        self._try_again()

    def _try_again(self) -> None:
        """Something got free or better: Pods that found no node may find one now."""
        for key in self._unschedulable:
            self.queue.add(key)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if old is not None and (new is None or pod_facts.is_terminal(new)):
            self._forget(old.metadata.uid)
            if old.spec.nodeName:
                self._leave(old.spec.nodeName, old.metadata.uid)
        if new is None or pod_facts.is_terminal(new):
            if old is not None:
                self._unschedulable.discard(key_of(old))
            return
        if new.spec.nodeName:
            assumed = self._assumed.pop(new.metadata.uid, None)
            if assumed is not None and assumed != new.spec.nodeName:
                self._leave(assumed, new.metadata.uid)
            self._unschedulable.discard(key_of(new))
            state = self._state(new.spec.nodeName)
            if old is None or old.metadata.generation != new.metadata.generation or not state.refresh(new):
                state.add(request_of(new))
            if old is None or old.metadata.labels != new.metadata.labels:
                self._try_again()  # affinity may look at its labels
        elif _waits_for_node(new) and (
            old is None or old.spec != new.spec or old.metadata.labels != new.metadata.labels
        ):
            self.queue.add(key_of(new))

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        node = new or old
        if node is None:
            return
        name = node.metadata.name
        state = self._state(name)
        state.set_node(new)
        if state.empty:
            del self._states[name]
        # A heartbeat changes nothing that matters here.
        if new is not None and (old is None or _facts(old) != _facts(new)):
            self._try_again()


def _waits_for_node(pod: Pod) -> bool:
    spec = pod.spec
    return (
        not spec.nodeName
        and spec.schedulerName in ("", _SCHEDULER)
        and not spec.schedulingGates
        and pod.metadata.deletionTimestamp is None
        and not pod_facts.is_terminal(pod)
    )


def _facts(node: Node) -> tuple[object, ...]:
    ready = [c.status for c in node.status.conditions if c.type == "Ready"]
    spec, meta = node.spec, node.metadata
    return ready, spec.unschedulable, spec.taints, meta.labels, node.status.allocatable
