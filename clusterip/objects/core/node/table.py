"""How ``kubectl get nodes`` shows a Node."""

from __future__ import annotations

from typing import Any

from clusterip.objects import times
from clusterip.objects.core.node.types import Node
from clusterip.objects.registry import Column
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN, NONE, UNKNOWN, wide

_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"

COLUMNS = (
    NAME_COLUMN,
    Column("Status", description="Whether Pods can run on it."),
    Column("Roles", description="What it is for."),
    AGE_COLUMN,
    Column("Version", description="The version of its node agent."),
    wide("Internal-IP", "Its address inside the cluster."),
    wide("External-IP", "Its address outside."),
    wide("OS-Image", "Its operating system."),
    wide("Kernel-Version", "Its kernel and architecture."),
    wide("Container-Runtime", "What runs its containers."),
)


def row(node: Node) -> list[Any]:
    info = node.status.nodeInfo
    kernel = info.kernelVersion or UNKNOWN
    if info.architecture:
        kernel += f" ({info.architecture})"
    return [
        node.metadata.name,
        _state(node),
        ",".join(roles(node)) or NONE,
        times.age(node.metadata.creationTimestamp),
        info.kubeletVersion,
        _address(node, "InternalIP"),
        _address(node, "ExternalIP"),
        info.osImage or UNKNOWN,
        kernel,
        info.containerRuntimeVersion or UNKNOWN,
    ]


def _state(node: Node) -> str:
    state = "Unknown"
    for condition in node.status.conditions:
        if condition.type == "Ready":
            state = "Ready" if condition.status == "True" else "NotReady"
    return f"{state},SchedulingDisabled" if node.spec.unschedulable else state


def roles(node: Node) -> list[str]:
    """The roles that a node's labels give it, sorted."""
    found = set()
    for key, value in node.metadata.labels.items():
        if key.startswith(_ROLE_PREFIX):
            found.add(key.removeprefix(_ROLE_PREFIX))
        elif key == _ROLE_LABEL:
            found.add(value)
    return sorted(found - {""})


def _address(node: Node, type_: str) -> str:
    return next((a.address for a in node.status.addresses if a.type == type_), NONE)
