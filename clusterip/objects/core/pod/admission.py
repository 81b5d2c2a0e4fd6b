"""What the API server's admission adds to every Pod, as far as it depends on nothing else.

Upstream's plugins ServiceAccount (the name), Priority (without classes) and DefaultTolerationSeconds.
"""

from __future__ import annotations

from clusterip.objects.core.pod.types import Pod
from clusterip.objects.core.scheduling import Toleration

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
TOLERATION_SECONDS = 300


def admit(pod: Pod) -> None:
    """Complete a new Pod: its account, its priority, and how long it stays on a node that is gone."""
    spec = pod.spec
    spec.serviceAccountName = spec.serviceAccountName or "default"
    spec.serviceAccount = spec.serviceAccountName
    if spec.priority is None:
        spec.priority = 0
    if spec.preemptionPolicy is None:
        spec.preemptionPolicy = "PreemptLowerPriority"
    for taint in (NOT_READY, UNREACHABLE):
        if not any(_tolerates(toleration, taint) for toleration in spec.tolerations):
            spec.tolerations.append(
                Toleration(
                    key=taint, operator="Exists", effect="NoExecute", tolerationSeconds=TOLERATION_SECONDS
                )
            )


def _tolerates(toleration: Toleration, taint: str) -> bool:
    return toleration.key in ("", taint) and toleration.effect in ("", "NoExecute")
