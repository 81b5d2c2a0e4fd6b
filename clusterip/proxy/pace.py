"""``minSyncPeriod``: a least time between two writes, for those who want one."""

from __future__ import annotations

import time
from collections.abc import Callable

from clusterip.proxy.alarm import Alarm


class Pace:
    """Calls ``work`` when asked to, but not again within ``period`` seconds; what comes in between waits.

    With 0, kube-proxy's old default and ours, it calls at once, always.
    """

    def __init__(self, period: float, work: Callable[[], None]) -> None:
        self._period = period
        self._work = work
        self._last = -period
        self._alarm = Alarm(self._now)

    def __call__(self) -> None:
        if self._alarm.is_set:
            return
        wait = self._last + self._period - time.monotonic()
        if wait > 0:
            self._alarm.set(wait)
        else:
            self._now()

    def close(self) -> None:
        self._alarm.cancel()

    def _now(self) -> None:
        self._last = time.monotonic()
        self._work()
