"""The two ports a kube-proxy has: 10256 for load balancers and probes, 10249 for people and metrics."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import msgspec

from clusterip.process import Fatal, log
from clusterip.process.health import HealthServer, Page
from clusterip.proxy.config import KubeProxyConfiguration
from clusterip.proxy.config.types import tree_of
from clusterip.proxy.health import Health
from clusterip.proxy.servicespage import ServicesPage
from clusterip.proxy.sync import Sync

_log = log.get("proxy")

_RETRY_SECONDS = 5.0  # upstream's
_EVENT_SECONDS = 5.0
_GROUP = "kubeproxy.config.k8s.io"

Event = Callable[[str, str, str], None]
"""Records an Event about the node: type, reason, message."""


class Serving:
    """Both servers. An address that cannot be bound is tried again, or (``bindAddressHardFail``) the end."""

    def __init__(
        self, config: KubeProxyConfiguration, event: Event, sent: Callable[[], Awaitable[None]]
    ) -> None:
        """``sent`` waits for Events to be sent."""
        self._config = config
        self._sent = sent
        self._event = event
        self._healthz = HealthServer("proxy")
        self._metrics = HealthServer("proxy")
        self._metrics.add_page("/proxyMode", lambda: Page(200, config.mode.encode()))
        configz = msgspec.json.encode({_GROUP: tree_of(config)})
        self._metrics.add_page("/configz", lambda: Page(200, configz, "application/json"))

    def show(self, health: Health, sync: Sync, services: ServicesPage) -> None:
        """Whose health it is. ``/readyz``, which kube-proxy has not: the first rules are in place."""
        self._metrics.add_answer("/services", services.answer)
        self._healthz.add_page("/healthz", health.healthz)
        self._healthz.add_page("/livez", health.livez)
        self._healthz.ready_check(
            "rules", lambda: None if sync.synced.is_set() else "the first rules are not in the kernel yet"
        )
        self._healthz.ready_check("kernel", lambda: sync.failing or None)

    async def run(self) -> None:
        """Listen until cancelled.

        Raises:
            Fatal: an address cannot be bound, and that was to be the end.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for server, address, reason in (
                    (self._healthz, self._config.healthzBindAddress, "FailedToStartProxierHealthcheck"),
                    (self._metrics, self._config.metricsBindAddress, "FailedToStartMetricServer"),
                ):
                    group.create_task(self._listen(server, address, reason))
                await asyncio.Event().wait()
        finally:
            await self._healthz.close()
            await self._metrics.close()

    async def _listen(self, server: HealthServer, address: str, reason: str) -> None:
        told = ""
        while True:
            try:
                await server.start(address)
                return
            except OSError as error:
                why = error.strerror or str(error)
            if why != told:
                self._event("Warning", reason, why)
                if self._config.bindAddressHardFail:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_EVENT_SECONDS):
                            await self._sent()
                    raise Fatal(why)
                _log.error("cannot serve; trying again", address=address, reason=why)
                told = why
            await asyncio.sleep(_RETRY_SECONDS)
