"""The HTTP pages: ``/health``, ``/ready`` and ``/metrics``, at the addresses that the configuration names."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from clusterip.process import Fatal
from clusterip.process.health import HealthServer, Page


class Pages:
    """Every address serves all of the pages, besides the paths that all parts have (``/readyz``, ...).

    ``unready`` says why the server is not ready, None if it is.
    """

    def __init__(self, unready: Callable[[], str | None]) -> None:
        self._unready = unready
        self._servers: dict[str, HealthServer] = {}

    async def serve(self, addresses: Iterable[str]) -> None:
        """Serve at exactly these addresses. Raises Fatal, and changes nothing, if one cannot be had."""
        wanted = dict.fromkeys(addresses)
        fresh: dict[str, HealthServer] = {}
        try:
            for address in wanted.keys() - self._servers.keys():
                fresh[address] = health = HealthServer("dns")
                health.add_page("/health", lambda: Page(200, b"OK"))
                health.add_page("/ready", self._ready)
                health.ready_check("synced", self._unready)
                await health.start(address)
        except (OSError, ValueError) as error:
            for health in fresh.values():
                await health.close()
            raise Fatal(getattr(error, "strerror", None) or str(error)) from None
        for address in self._servers.keys() - wanted.keys():
            await self._servers.pop(address).close()
        self._servers |= fresh

    async def close(self) -> None:
        for health in self._servers.values():
            await health.close()
        self._servers.clear()

    def _ready(self) -> Page:
        return Page(200, b"OK") if self._unready() is None else Page(503, b"kubernetes")
