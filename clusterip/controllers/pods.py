"""What controllers ask of Pods (``pkg/api/v1/pod/util.go``)."""

from __future__ import annotations

from collections.abc import Iterable

from clusterip.controllers.moments import unix_time
from clusterip.objects.core.pod import Pod, PodCondition


def condition(pod: Pod, type_: str) -> PodCondition | None:
    for found in pod.status.conditions:
        if found.type == type_:
            return found
    return None


def is_ready(pod: Pod) -> bool:
    ready = condition(pod, "Ready")
    return ready is not None and ready.status == "True"


def ready_since(pod: Pod) -> str | None:
    """When the Pod became ready, or None if it is not or nobody knows."""
    ready = condition(pod, "Ready")
    return ready.lastTransitionTime if ready is not None and ready.status == "True" else None


def seconds_until_available(pod: Pod, min_ready_seconds: int, now: float) -> float | None:
    """0 if the Pod has been ready for long enough, how long that still takes, None if it is not ready.

    ``now`` is Unix time in seconds.
    """
    if not is_ready(pod):
        return None
    if min_ready_seconds == 0:
        return 0.0
    since = unix_time(ready_since(pod))
    if since is None:
        return float(min_ready_seconds)
    return max(0.0, since + min_ready_seconds - now)


def next_available(pods: Iterable[Pod], min_ready_seconds: int, now: float) -> float | None:
    """Seconds until the next Pod will have been ready for long enough, or None if none waits for that."""
    waits = (seconds_until_available(pod, min_ready_seconds, now) for pod in pods)
    return min((wait for wait in waits if wait), default=None)


def is_terminal(pod: Pod) -> bool:
    """Whether all of its containers have ended for good."""
    return pod.status.phase in ("Succeeded", "Failed")


def is_terminating(pod: Pod) -> bool:
    """Being deleted, while something of it still runs."""
    return pod.metadata.deletionTimestamp is not None and not is_terminal(pod)


def is_active(pod: Pod) -> bool:
    """Neither ended nor being deleted: it counts as a replica."""
    return not is_terminal(pod) and pod.metadata.deletionTimestamp is None


def addresses(pod: Pod) -> list[str]:
    """All addresses of the Pod; an old kubelet sets only ``podIP``."""
    if pod.status.podIPs:
        return [entry.ip for entry in pod.status.podIPs]
    return [pod.status.podIP] if pod.status.podIP else []
