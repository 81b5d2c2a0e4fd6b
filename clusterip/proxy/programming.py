"""When each Service's last change came into the kernel, and how long that took."""

from __future__ import annotations

from collections.abc import Iterable

from clusterip.proxy.model import ServiceKey
from clusterip.proxy.sync import Sync

_UNKNOWN = 0.0, 0.0


class Programming:
    """Remembers it of Services that changed since the first rules were in place."""

    def __init__(self, sync: Sync) -> None:
        self._sync = sync
        self._began = False
        self._known: dict[ServiceKey, tuple[float, float]] = {}
        sync.on_written(self._written)

    def services(self) -> Iterable[ServiceKey]:
        return self._known

    def of(self, key: ServiceKey) -> tuple[float, float]:
        """When (seconds since 1970) and after how many seconds; zeros if it has not changed."""
        return self._known.get(key, _UNKNOWN)

    def _written(self, touched: Iterable[ServiceKey]) -> None:
        if not self._began:  # the start is nobody's change
            self._began = True
            return
        sync = self._sync
        entry = sync.last_written, sync.latency
        for key in touched:
            if sync.tracker.states_of(key):
                self._known[key] = entry
            else:
                self._known.pop(key, None)
