"""A node's conditions when its agent is silent, and the taints that conditions call for. Pure."""

from __future__ import annotations

from clusterip.controllers.copying import deep_copy
from clusterip.controllers.taints import NOT_READY, UNREACHABLE, UNSCHEDULABLE
from clusterip.objects import times
from clusterip.objects.core.node import Node, NodeCondition, Taint

_REPORTED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_PRESSURES = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
_MANAGED = {
    (NOT_READY, "NoSchedule"),
    (NOT_READY, "NoExecute"),
    (UNREACHABLE, "NoSchedule"),
    (UNREACHABLE, "NoExecute"),
    (UNSCHEDULABLE, "NoSchedule"),
    *((key, "NoSchedule") for key in _PRESSURES.values()),
}


def ready_status(node: Node) -> str:
    """``True``, ``False`` or ``Unknown``; "" if the node never said."""
    return next((c.status for c in node.status.conditions if c.type == "Ready"), "")


def silent(node: Node) -> list[NodeCondition]:
    """The node's conditions once nobody can know them any more."""
    now = times.now()
    known = {c.type: c for c in node.status.conditions}
    result = [deep_copy(c) for c in node.status.conditions if c.type not in _REPORTED]
    for type_ in _REPORTED:
        before = known.get(type_)
        if before is None:
            reason, message = "NodeStatusNeverUpdated", "Kubelet never posted node status."
            created = node.metadata.creationTimestamp
            condition = NodeCondition(
                type=type_, lastHeartbeatTime=created, lastTransitionTime=now, reason=reason, message=message
            )
        elif before.status == "Unknown":
            condition = before
        else:
            condition = deep_copy(before)
            condition.reason = "NodeStatusUnknown"
            condition.message = "Kubelet stopped posting node status."
            condition.lastTransitionTime = now
        condition.status = "Unknown"
        result.append(condition)
    return result


def wanted_taints(node: Node) -> list[Taint]:
    """The node's taints as its conditions call for; those of other origin stay."""
    kept = [taint for taint in node.spec.taints if (taint.key, taint.effect) not in _MANAGED]
    current = {(taint.key, taint.effect): taint for taint in node.spec.taints}
    wanted: list[tuple[str, str]] = []
    if node.spec.unschedulable:
        wanted.append((UNSCHEDULABLE, "NoSchedule"))
    wanted += [
        (_PRESSURES[c.type], "NoSchedule")
        for c in node.status.conditions
        if c.type in _PRESSURES and c.status == "True"
    ]
    key = {"False": NOT_READY, "Unknown": UNREACHABLE}.get(ready_status(node))
    if key is not None:
        wanted += [(key, "NoSchedule"), (key, "NoExecute")]
    now = times.now()
    return kept + [current.get(each) or Taint(key=each[0], effect=each[1], timeAdded=now) for each in wanted]
