"""Waiting longer after each failure in a row."""

from __future__ import annotations


class Backoff:
    """Delays in seconds: ``initial``, then twice as long each time, at most ``limit``."""

    def __init__(self, initial: float, limit: float) -> None:
        self._initial = initial
        self._limit = limit
        self.current = 0.0

    def next(self) -> float:
        self.current = min(self.current * 2 or self._initial, self._limit)
        return self.current

    def reset(self) -> None:
        self.current = 0.0
