"""Taints and tolerations: which Pods a node's taints keep off or drive away."""

from __future__ import annotations

from collections.abc import Iterable

from clusterip.objects.core.node import Taint
from clusterip.objects.core.scheduling import Toleration

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """An empty effect stands for all effects, an empty key with ``Exists`` for all keys."""
    if toleration.effect not in ("", taint.effect) or toleration.key not in ("", taint.key):
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.key != "" and toleration.operator in ("", "Equal") and toleration.value == taint.value


def untolerated(
    taints: Iterable[Taint], tolerations: Iterable[Toleration], effects: Iterable[str]
) -> list[Taint]:
    """The taints with one of ``effects`` that no toleration answers."""
    wanted, answers = set(effects), list(tolerations)
    return [
        taint
        for taint in taints
        if taint.effect in wanted and not any(tolerates(toleration, taint) for toleration in answers)
    ]
