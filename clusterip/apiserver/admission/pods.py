"""What admission fills in on every new Pod: service account, priority, default tolerations.

As upstream's plugins ServiceAccount, Priority and DefaultTolerationSeconds.
"""

from __future__ import annotations

from clusterip.objects.core.pod import Pod
from clusterip.objects.core.scheduling import Toleration

_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_SECONDS = 300


def complete_pod(pod: Pod) -> None:
    spec = pod.spec
    if not spec.serviceAccountName:
        spec.serviceAccountName = "default"
    spec.serviceAccount = spec.serviceAccountName  # its deprecated name, which defaulting came too early for
    if spec.priority is None:
        spec.priority = 0
    if spec.preemptionPolicy is None:
        spec.preemptionPolicy = "PreemptLowerPriority"
    for taint in _TAINTS:
        if not any(_tolerates(toleration, taint) for toleration in spec.tolerations):
            spec.tolerations.append(
                Toleration(key=taint, operator="Exists", effect="NoExecute", tolerationSeconds=_SECONDS)
            )


def _tolerates(toleration: Toleration, taint: str) -> bool:
    return toleration.key in (taint, "") and toleration.effect in ("NoExecute", "")
