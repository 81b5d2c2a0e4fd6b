"""Which Pods of too many go first (``ActivePodsWithRanks`` in ``pkg/controller/controller_utils.go``)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from clusterip.controllers import pods as pod_facts
from clusterip.controllers.moments import unix_time
from clusterip.objects.core.pod import Pod

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"

_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def to_delete(candidates: Iterable[Pod], related: Iterable[Pod], count: int, now: float) -> list[Pod]:
    """The ``count`` Pods whose loss hurts least, those first that serve nobody yet.

    In order of weight: without a node, pending, not ready, cheap by annotation, on a node with many
    related Pods, ready for a short time, often restarted, young. Times count on a logarithmic scale, so
    that among Pods of about one age chance decides and no node or zone is emptied. ``related`` are the
    active Pods of all ReplicaSets of one owner; ``now`` is Unix time in seconds.
    """
    on_node = Counter(pod.spec.nodeName for pod in related if pod.spec.nodeName)

    def weight(pod: Pod) -> tuple[object, ...]:
        ready = pod_facts.is_ready(pod)
        restarts = max((s.restartCount for s in pod.status.containerStatuses), default=0)
        return (
            bool(pod.spec.nodeName),
            _PHASES.get(pod.status.phase, 0),
            ready,
            _cost(pod),
            -on_node[pod.spec.nodeName] if pod.spec.nodeName else 0,
            _age_rank(pod_facts.ready_since(pod), now) if ready else 0,
            -restarts,
            _age_rank(pod.metadata.creationTimestamp, now),
            pod.metadata.uid,
        )

    return sorted(candidates, key=weight)[:count]


def _cost(pod: Pod) -> int:
    text = pod.metadata.annotations.get(DELETION_COST, "0")
    try:
        return int(text)
    except ValueError:
        return 0  # validation refuses it; whoever got it in gets the default


def _age_rank(since: str | None, now: float) -> int:
    """Larger for older, by powers of two; an unknown time is the youngest."""
    moment = unix_time(since)
    if moment is None:
        return -2
    seconds = now - moment
    # Upstream takes the logarithm of nanoseconds, which only adds a constant.
    return int(math.log2(seconds * 1e9)) if seconds > 0 else -1
