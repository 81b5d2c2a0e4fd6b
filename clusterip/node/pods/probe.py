"""Probes: checks repeated over time, and what they say after their thresholds.

As upstream's ``pkg/kubelet/prober``: a result counts once it was the same ``successThreshold`` or
``failureThreshold`` times in a row; liveness and readiness wait for the startup probe. A check that could not
be done says nothing: no container ends because its node has no room to look at it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from typing import Literal

from clusterip.node.pods.checks import CheckErrored, CheckFailed
from clusterip.objects.core.containers import Probe

_SETTLING_SECONDS = 1.0
_FIRST_DELAY = 0.025

Kind = Literal["Startup", "Readiness", "Liveness"]


class Prober:
    """One probe of one running container.

    ``check`` does one check (raising CheckFailed or CheckErrored), ``on_failure`` hears of every one that did
    not succeed with a text such as ``failed: REASON``, ``on_check`` of every one and whether it was
    ``successful``, ``failed`` or ``unknown``, ``on_result`` of each change of what the probe says. ``run``
    ends after a startup probe's success and after a failure that restarts the container.
    """

    def __init__(
        self,
        kind: Kind,
        probe: Probe,
        check: Callable[[float], Awaitable[object]],
        *,
        on_result: Callable[[Kind, bool], None],
        on_failure: Callable[[Kind, str], None],
        on_check: Callable[[Kind, str], None] = lambda _kind, _result: None,
    ) -> None:
        self._kind = kind
        self._probe = probe
        self._check = check
        self._on_result = on_result
        self._on_failure = on_failure
        self._on_check = on_check
        self._hurry = asyncio.Event()
        self.result: bool | None = None

    def hurry(self) -> None:
        """Check now rather than after the period: something else has changed."""
        self._hurry.set()

    async def run(self, running_since: float, *, adopted: bool = False) -> None:
        """Check for as long as the container runs; ``running_since`` is in ``time.time()``.

        After a restart of the agent (``adopted``) checks are spread over a period, so that not all
        Pods are checked at once.
        """
        period = self._probe.periodSeconds or 10
        delay = running_since + self._probe.initialDelaySeconds - time.time()
        if adopted:
            delay = max(delay, random.random() * min(period, 1))
        if delay > 0:
            await asyncio.sleep(delay)
        streak = 0
        previous: bool | None = None
        success, message = await self._first(running_since)
        while True:
            if not success:
                self._on_failure(self._kind, message)
            if success is None:
                success, message = await self._next(period)
                continue
            streak = streak + 1 if success is previous else 1
            previous = success
            threshold = self._probe.successThreshold if success else self._probe.failureThreshold
            if streak >= (threshold or (1 if success else 3)) and self.result is not success:
                self.result = success
                self._on_result(self._kind, success)
                if success and self._kind == "Startup":
                    return
                if not success and self._kind != "Readiness":
                    return  # the container is about to be restarted
            success, message = await self._next(period)

    async def _next(self, period: float) -> tuple[bool | None, str]:
        self._hurry.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), period)
        return await self._once()

    async def _first(self, running_since: float) -> tuple[bool | None, str]:
        """The first check. While a container is younger than a second, failures do not count.

        Upstream learns of a start up to a second late, and thereby leaves programs that time to begin
        listening. We learn of it at once; without this most would wait out a whole period.
        """
        delay = _FIRST_DELAY
        while True:
            success, message = await self._once()
            if success or self._kind == "Liveness" or time.time() + delay > running_since + _SETTLING_SECONDS:
                return success, message
            await asyncio.sleep(delay)
            delay *= 2

    async def _once(self) -> tuple[bool | None, str]:
        try:
            await self._check(float(self._probe.timeoutSeconds or 1))
        except CheckFailed as error:
            self._on_check(self._kind, "failed")
            return False, f"failed: {error}"
        except CheckErrored as error:
            self._on_check(self._kind, "unknown")
            return None, f"errored and resulted in unknown state: {error}"
        self._on_check(self._kind, "successful")
        return True, ""
