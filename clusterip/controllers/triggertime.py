"""When the change happened that a write of endpoints answers: the basis of network programming latency.

As ``k8s.io/endpointslice/util/trigger_time_tracker.go``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from clusterip.controllers.pods import condition
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.service import Service

Key = tuple[str, str]


@dataclass
class _Seen:
    service: str = ""
    pods: dict[str, str] = field(default_factory=dict)


class TriggerTimes:
    """Remembers what has been answered of each Service. All times are RFC 3339 in UTC, so they sort."""

    def __init__(self) -> None:
        self._seen: dict[Key, _Seen] = {}

    def changed(self, service: Service, pods: Iterable[Pod]) -> str | None:
        """The earliest change since the last call for this Service, or None if there was none.

        A Pod changes when it becomes ready or not, a Service when it is created.
        """
        key = service.metadata.namespace, service.metadata.name
        before = self._seen.get(key, _Seen())
        now = _Seen(service.metadata.creationTimestamp or "")
        changes = [now.service] if now.service > before.service else []
        for pod in pods:
            ready = condition(pod, "Ready")
            when = ready.lastTransitionTime if ready is not None else None
            if when is None:
                continue
            now.pods[pod.metadata.name] = when
            if when > before.pods.get(pod.metadata.name, ""):
                changes.append(when)
        self._seen[key] = now
        return min(changes, default=None)

    def forget(self, key: Key) -> None:
        self._seen.pop(key, None)
