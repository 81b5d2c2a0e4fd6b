"""``/healthz`` and ``/livez`` as kube-proxy has them. Upstream: ``pkg/proxy/healthcheck/proxy_health.go``."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import UTC, datetime

import msgspec

from clusterip.kernel.nftables import Family
from clusterip.process.health import Page
from clusterip.proxy import metrics, wire
from clusterip.proxy.nodes import is_eligible
from clusterip.proxy.sync import Sync

_JSON = "application/json"
_NEVER = "0001-01-01T00:00:00Z"  # Go's zero time


class Health:
    """Whether the proxy keeps up, and whether traffic should still come to this node.

    ``patience`` is how many seconds a change may wait for the kernel (upstream: twice ``syncPeriod``). Both
    families are written together, so they are always equally well; ``families`` says which to show.
    """

    def __init__(self, sync: Sync, patience: float, families: Collection[Family] = tuple(Family)) -> None:
        self.node: wire.Node | None = None
        self._sync = sync
        self._patience = patience
        self._families = sorted(map(metrics.label_of, families))

    @property
    def healthy(self) -> bool:
        """Whether no change has waited for the kernel for too long; also before the first was written."""
        since = self._sync.pending_since
        late = since is not None and time.monotonic() - since >= self._patience
        return not (late and self._sync.last_written)

    def healthz(self) -> Page:
        """For load balancers: also 503 when the node is about to go."""
        eligible = is_eligible(self.node)
        page = self._page(self.healthy and eligible, {"nodeEligible": eligible})
        metrics.healthz_answers.labels(code=page.status).inc()
        return page

    def livez(self) -> Page:
        """For whoever restarts the proxy."""
        page = self._page(self.healthy, {})
        metrics.livez_answers.labels(code=page.status).inc()
        return page

    def _page(self, good: bool, more: dict[str, bool]) -> Page:
        now = _text(time.time())
        written = _text(self._sync.last_written)
        body: dict[str, object] = {
            # A good answer has always had the current time here, and programs look at it.
            "lastUpdated": now if good else written,
            "currentTime": now,
            **more,
            "healthy": self.healthy,
        }
        if self._sync.last_written:
            status = {"lastUpdated": written, "healthy": self.healthy}
            body["status"] = dict.fromkeys(self._families, status)
        return Page(200 if good else 503, msgspec.json.encode(body), _JSON)


def _text(seconds: float) -> str:
    if not seconds:
        return _NEVER
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
