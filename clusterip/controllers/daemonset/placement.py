"""Which nodes a DaemonSet's Pods run on, and what they are like there. Pure.

As ``pkg/controller/daemon`` and its ``util``: the scheduler binds the Pod, by an affinity to the node.
"""

from __future__ import annotations

from typing import NamedTuple

from clusterip.controllers import taints
from clusterip.controllers.copying import deep_copy
from clusterip.controllers.history import HASH_LABEL
from clusterip.controllers.podtemplate import pod_from
from clusterip.controllers.scheduler import nodeaffinity
from clusterip.objects.apps.daemonset import DaemonSet
from clusterip.objects.core.node import Node
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.pod_spec import PodSpec
from clusterip.objects.core.scheduling import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Toleration,
)

_NAME_FIELD = "metadata.name"
_TOLERATED = (
    # A daemon's Pod shall not be driven away when its node is in trouble.
    (taints.NOT_READY, "NoExecute"),
    (taints.UNREACHABLE, "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    (taints.UNSCHEDULABLE, "NoSchedule"),
)
_NO_NETWORK = ("node.kubernetes.io/network-unavailable", "NoSchedule")


class Placement(NamedTuple):
    """Whether a Pod should be started on a node, and whether one that is there may stay."""

    run: bool
    stay: bool


def placement(daemon_set: DaemonSet, node: Node) -> Placement:
    spec = daemon_set.spec.template.spec
    if spec.nodeName not in ("", node.metadata.name) or not nodeaffinity.allows(spec, node):
        return Placement(run=False, stay=False)
    answers = with_tolerations(spec)
    if not taints.untolerated(node.spec.taints, answers, ("NoSchedule", "NoExecute")):
        return Placement(run=True, stay=True)
    return Placement(run=False, stay=not taints.untolerated(node.spec.taints, answers, ("NoExecute",)))


def daemon_pod(daemon_set: DaemonSet, node: str, hashed: str) -> Pod:
    """The Pod for a node, of the template's revision ``hashed``."""
    pod = pod_from(daemon_set.spec.template, daemon_set)
    pod.metadata.labels[HASH_LABEL] = hashed
    pod.metadata.labels["pod-template-generation"] = str(daemon_set.metadata.generation)
    pod.spec.tolerations = with_tolerations(pod.spec)
    affinity = deep_copy(pod.spec.affinity) if pod.spec.affinity is not None else Affinity()
    pod.spec.affinity = affinity
    nodes = affinity.nodeAffinity = affinity.nodeAffinity or NodeAffinity()
    # The node was chosen by the template's own requirements, which need not be asked again.
    named = NodeSelectorRequirement(key=_NAME_FIELD, operator="In", values=[node])
    nodes.requiredDuringSchedulingIgnoredDuringExecution = NodeSelector(
        nodeSelectorTerms=[NodeSelectorTerm(matchFields=[named])]
    )
    return pod


def node_of(pod: Pod) -> str:
    """The node a daemon's Pod runs on or, not yet bound, is meant for."""
    if pod.spec.nodeName:
        return pod.spec.nodeName
    affinity = pod.spec.affinity.nodeAffinity if pod.spec.affinity is not None else None
    required = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity is not None else None
    for term in required.nodeSelectorTerms if required is not None else ():
        for field in term.matchFields:
            if field.key == _NAME_FIELD and field.operator == "In" and len(field.values) == 1:
                return field.values[0]
    return ""


def with_tolerations(spec: PodSpec) -> list[Toleration]:
    """The template's tolerations and those that every daemon has."""
    needed = [*_TOLERATED, *([_NO_NETWORK] if spec.hostNetwork else [])]
    added = [Toleration(key=key, operator="Exists", effect=effect) for key, effect in needed]
    return [*(t for t in spec.tolerations if t not in added), *added]
