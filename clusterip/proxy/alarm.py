"""Something to be done later, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls ``ring`` after a while, unless it is cancelled before."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        return self._handle is not None

    def set(self, seconds: float) -> None:
        """Ring in so many seconds, whatever was set before."""
        self.cancel()
        self._handle = asyncio.get_running_loop().call_later(seconds, self._time_is_up)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _time_is_up(self) -> None:
        self._handle = None
        self._ring()
