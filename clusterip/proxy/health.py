"""``/healthz`` and ``/livez`` as kube-proxy has them. Upstream: ``pkg/proxy/healthcheck/proxy_health.go``."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

from clusterip.process.health import Page
from clusterip.proxy import wire
from clusterip.proxy.nodes import is_eligible
from clusterip.proxy.sync import Sync

_PATIENCE_SECONDS = 120.0  # kube-proxy's: twice its longest time between syncs
_JSON = "application/json"


class Health:
    """Whether the proxy keeps up, and whether traffic should still come to this node."""

    def __init__(self, sync: Sync) -> None:
        self.node: wire.Node | None = None
        self._sync = sync

    @property
    def healthy(self) -> bool:
        """Whether no change has waited for the kernel for too long."""
        since = self._sync.pending_since
        return since is None or time.monotonic() - since < _PATIENCE_SECONDS

    def healthz(self) -> Page:
        """For load balancers: also 503 when the node is about to go."""
        eligible = is_eligible(self.node)
        return self._page(self.healthy and eligible, nodeEligible=eligible)

    def livez(self) -> Page:
        """For whoever restarts the proxy."""
        return self._page(self.healthy)

    def _page(self, good: bool, **more: bool) -> Page:
        now = datetime.now(UTC)
        updated = now if good else datetime.fromtimestamp(self._sync.last_written, UTC)
        body = {
            "lastUpdated": _text(updated),
            "currentTime": _text(now),
            **more,
            "healthy": self.healthy,
        }
        return Page(200 if good else 503, json.dumps(body).encode(), _JSON)


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
