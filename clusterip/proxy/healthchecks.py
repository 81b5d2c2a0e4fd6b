"""Servers on ``healthCheckNodePort``: whether this node has endpoints of a Service.

Load balancers ask them where to send, for Services with ``externalTrafficPolicy: Local``. Upstream:
``pkg/proxy/healthcheck/service_health.go``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from clusterip.process import log
from clusterip.process.health import HealthServer, Page
from clusterip.proxy.model import ServiceKey
from clusterip.proxy.tracker import Tracker

_log = log.get("proxy")

Failed = Callable[[ServiceKey, str], None]
"""Told of a Service whose port could not be opened, and why."""


class _ServiceHealth(HealthServer):
    """Answers whatever is asked, by any method and path, with the same page."""

    def __init__(self, key: ServiceKey, page: Callable[[], Page]) -> None:
        super().__init__(f"service {key}")
        self._page = page

    def page(self, method: str, target: str) -> Page:
        return self._page()


class ServiceHealthChecks:
    """One small HTTP server for each Service that asks for it, on the addresses of node ports.

    ``set_addresses`` says on which; None: on all. A port that cannot be opened is tried again with the next
    change of its Service or of the addresses.
    """

    def __init__(self, tracker: Tracker, healthy: Callable[[], bool], failed: Failed) -> None:
        self._tracker = tracker
        self._healthy = healthy
        self._failed = failed
        self._addresses: tuple[str, ...] | None = None
        self._servers: dict[ServiceKey, tuple[int, _ServiceHealth]] = {}
        self._wanted: dict[ServiceKey, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def set_addresses(self, addresses: Sequence[str] | None) -> None:
        """Where to listen from now on."""
        new = None if addresses is None else tuple(sorted(addresses))
        if new == self._addresses:
            return
        self._addresses = new
        for key in list(self._servers):
            self._close(key)
        self.update(list(self._wanted))

    def update(self, services: Iterable[ServiceKey]) -> None:
        """These Services may have changed: open and close their servers."""
        for key in services:
            wanted = self._tracker.health_check(key)
            if wanted:
                self._wanted[key] = wanted
            else:
                self._wanted.pop(key, None)
            port, _ = self._servers.get(key, (0, None))
            if port == wanted:
                continue
            if port:
                self._close(key)
            if wanted:
                server = _ServiceHealth(key, self._page(key))
                self._servers[key] = wanted, server
                self._start(self._open(key, wanted, server))

    async def close(self) -> None:
        for _, server in self._servers.values():
            await server.close()

    def _close(self, key: ServiceKey) -> None:
        _, server = self._servers.pop(key)
        self._start(server.close())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, key: ServiceKey, port: int, server: _ServiceHealth) -> None:
        addresses = [""] if self._addresses is None else [_host(a) for a in self._addresses]
        try:
            for address in addresses:
                await server.start(f"{address}:{port}")
        except OSError as error:
            await server.close()
            if self._servers.get(key) == (port, server):
                del self._servers[key]
            why = error.strerror or str(error)
            _log.error("cannot open a health check port", service=str(key), port=port, error=why)
            self._failed(key, f"failed to start healthcheck {str(key)!r} on port {port}: {why}")

    def _page(self, key: ServiceKey) -> Callable[[], Page]:
        def page() -> Page:
            count = self._tracker.local_endpoints(key)
            healthy = self._healthy()
            body = {
                "service": {"namespace": key.namespace, "name": key.name},
                "localEndpoints": count,
                "serviceProxyHealthy": healthy,
            }
            return Page(
                200 if count and healthy else 503,
                json.dumps(body, indent="\t").encode(),
                "application/json",
                (("X-Load-Balancing-Endpoint-Weight", str(count)),),
            )

        return page


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
