"""How long to wait before trying again."""

from __future__ import annotations

import random


class Backoff:
    """Delays that double from ``first`` to ``limit`` seconds, each a random part of it longer or shorter.

    The jitter keeps many clients of one server that came back from asking all at once.
    """

    def __init__(self, first: float = 0.05, limit: float = 2.0, jitter: float = 0.25) -> None:
        self._first, self._limit, self._jitter = first, limit, jitter
        self._next = first

    def next(self) -> float:
        """Seconds to wait now; the next wait will be about twice as long."""
        delay = self._next
        self._next = min(delay * 2, self._limit)
        return delay * (1 + self._jitter * (2 * random.random() - 1))

    def reset(self) -> None:
        self._next = self._first
