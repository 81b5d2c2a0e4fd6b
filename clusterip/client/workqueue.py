"""A queue of keys to work on, as ``client-go/util/workqueue``.

A key that is added while it waits is worked on once; added while it is being worked on, it is worked
on once more afterwards, never twice at the same time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Keys to work on, in order, with delays and exponential back-off for each key.

    Failures of one key wait ``base`` seconds, then twice that, up to ``limit`` (client-go's 5 ms and
    1000 s, the latter far too long for people; 30 s here). ``adds`` and ``retries`` count for metrics.
    """

    def __init__(self, *, base: float = 0.005, limit: float = 30.0) -> None:
        self._base, self._limit = base, limit
        self._waiting: deque[K] = deque()
        self._dirty: set[K] = set()
        self._working: set[K] = set()
        self._available = asyncio.Event()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self.adds = 0
        self.retries = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: K) -> None:
        if key in self._dirty:
            return
        self.adds += 1
        self._dirty.add(key)
        if key not in self._working:
            self._push(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Add the key later; of several delays of one key the shortest counts."""
        if seconds <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= loop.time() + seconds:
                return
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self._expire, key)

    def add_rate_limited(self, key: K) -> float:
        """Add a key whose work failed, after a wait that grows with each failure; the wait in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.retries += 1
        delay = min(self._base * 2.0 ** min(failures, 60), self._limit)
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """The work succeeded: the next failure waits shortly again."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """How often in a row the key's work has failed."""
        return self._failures.get(key, 0)

    async def get(self) -> K:
        """The next key, as soon as there is one. Say ``done`` when its work has ended."""
        while not self._waiting:
            self._available.clear()
            await self._available.wait()
        key = self._waiting.popleft()
        self._dirty.discard(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """The work on a key has ended, well or badly."""
        self._working.discard(key)
        if key in self._dirty:
            self._push(key)

    def close(self) -> None:
        """Forget all delays, so that nothing fires after its owner is gone."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _push(self, key: K) -> None:
        self._waiting.append(key)
        self._available.set()

    def _expire(self, key: K) -> None:
        del self._timers[key]
        self.add(key)
