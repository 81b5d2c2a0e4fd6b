"""Servers on ``healthCheckNodePort``: whether this node has endpoints of a Service.

Load balancers ask them where to send, for Services with ``externalTrafficPolicy: Local``. Upstream:
``pkg/proxy/healthcheck/service_health.go``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from clusterip.process import log
from clusterip.process.health import HealthServer, Page
from clusterip.proxy.model import ServiceKey
from clusterip.proxy.tracker import Tracker

_log = log.get("proxy")


class ServiceHealthChecks:
    """One small HTTP server for each Service that asks for it."""

    def __init__(self, tracker: Tracker, healthy: Callable[[], bool]) -> None:
        self._tracker = tracker
        self._healthy = healthy
        self._servers: dict[ServiceKey, tuple[int, HealthServer]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def update(self, services: Iterable[ServiceKey]) -> None:
        """These Services may have changed: open and close their servers."""
        for key in services:
            wanted = self._tracker.health_check(key)
            port, server = self._servers.get(key, (0, None))
            if port == wanted:
                continue
            if server is not None:
                del self._servers[key]
                self._start(server.close())
            if wanted:
                server = HealthServer(f"service {key}")
                page = self._page(key)
                for path in ("/", "/healthz"):
                    server.add_page(path, page)
                self._servers[key] = wanted, server
                self._start(self._open(key, wanted, server))

    async def close(self) -> None:
        for _, server in self._servers.values():
            await server.close()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, key: ServiceKey, port: int, server: HealthServer) -> None:
        try:
            await server.start(f":{port}")
        except OSError as error:
            _log.error("cannot open a health check port", service=str(key), port=port, error=str(error))

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
