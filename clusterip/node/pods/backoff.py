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


def go_duration(seconds: float) -> str:
    """A delay of whole seconds as Go prints it: ``40s``, ``1m20s``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
