"""Work that goes on beside the requests, for as long as the server does.

A task is a *round* that is done over and over: it waits for its occasion, does what is to do and returns.
One that fails, be it for an outage of the store, is done again after a pause; until then the server's
readiness and the log say what cannot be done and why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from clusterip.apiserver.status import StatusError
from clusterip.process import log
from clusterip.process.health import HealthServer
from clusterip.storage.store import StoreError

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 15.0

Round = Callable[[], Awaitable[None]]

_log = log.get("apiserver")


class Background:
    """The server's background tasks. ``health`` shows each as ``poststarthook/NAME``."""

    def __init__(self, health: HealthServer) -> None:
        self._health = health
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, round_: Round) -> None:
        failing: list[str] = []
        self._health.ready_check(f"poststarthook/{name}", lambda: failing[0] if failing else None)
        self._tasks.append(asyncio.create_task(_forever(name, round_, failing), name=name))

    async def stop(self) -> None:
        """Cancel all of them, the last one first, and wait until they have ended."""
        while self._tasks:
            task = self._tasks.pop()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _forever(name: str, round_: Round, failing: list[str]) -> None:
    pause = FIRST_PAUSE
    while True:
        try:
            await round_()
        except (StatusError, StoreError) as error:
            failing[:] = [str(error)]
            _log.warning("background task failed", task=name, error=str(error), retry_in=pause)
        except Exception as error:  # noqa: BLE001 - a bug in one task must not end what it keeps up
            failing[:] = [f"{type(error).__name__}: {error}"]
            _log.exception("background task failed", task=name, retry_in=pause)
        else:
            if failing:
                _log.info("background task works again", task=name)
            failing.clear()
            pause = FIRST_PAUSE
            continue
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
