"""Which nodes can take a Pod, and why the others cannot, in upstream's words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from clusterip.controllers.scheduler import nodeaffinity
from clusterip.controllers.scheduler.nodestate import NodeState
from clusterip.controllers.scheduler.requests import Request
from clusterip.controllers.taints import UNSCHEDULABLE, tolerates, untolerated
from clusterip.objects.core.node import Node, Taint
from clusterip.objects.core.pod import Pod

_DEFAULT_PODS = 110


def reasons_against(request: Request, state: NodeState) -> list[str]:
    """Why the node cannot take the Pod; empty if it can. The node's own state before its free room."""
    node = state.node
    if node is None:
        return ["node(s) were not found"]
    pod = request.pod
    if node.spec.unschedulable and not _tolerates_cordon(pod):
        return ["node(s) were unschedulable"]
    if untolerated(node.spec.taints, pod.spec.tolerations, ("NoSchedule", "NoExecute")):
        return ["node(s) had untolerated taint(s)"]
    if not is_ready(node):
        return ["node(s) were not ready"]
    if not nodeaffinity.allows(pod.spec, node):
        return ["node(s) didn't match Pod's node affinity/selector"]
    if _port_clash(request, state):
        return ["node(s) didn't have free ports for the requested pod ports"]
    return _insufficient(request, state)


def is_ready(node: Node) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)


def fit_error(reasons: Sequence[str], nodes: int) -> str:
    """``0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.``"""
    if nodes == 0:
        return "no nodes available to schedule pods"
    counted = sorted(f"{count} {reason}" for reason, count in Counter(reasons).items())
    return f"0/{nodes} nodes are available: {', '.join(counted)}."


def _tolerates_cordon(pod: Pod) -> bool:
    cordon = Taint(key=UNSCHEDULABLE, effect="NoSchedule")
    return any(tolerates(toleration, cordon) for toleration in pod.spec.tolerations)


def _port_clash(request: Request, state: NodeState) -> bool:
    if not request.host_ports:
        return False
    taken = [port for other in state.requests.values() for port in other.host_ports]
    return any(port.clashes(other) for port in request.host_ports for other in taken)


def _insufficient(request: Request, state: NodeState) -> list[str]:
    reasons = []
    if len(state.requests) + 1 > (state.allocatable["pods"] or _DEFAULT_PODS):
        reasons.append("Too many pods")
    for name, amount in request.amounts.items():
        if amount > 0 and state.used[name] + amount > state.allocatable[name]:
            reasons.append(f"Insufficient {name}")
    return reasons
