"""Garbage collection where very much stays for long, such as the connections of a thousand nodes.

The oldest generation's collections walk everything that lives, and nothing else is done meanwhile: 200 ms for
a thousand nodes. What has survived one is set aside here, so that the next one walks only what is new since.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from typing import Any

LONG_SECONDS = 0.01
"""A collection that takes less is no reason to set anything aside."""

WHOLE_SECONDS = 600.0
"""How often all is walked at most, be there much more than at the last time or not."""

FEW = 100_000
"""So many objects more than at first are not worth a walk through all."""


class Collector:
    """Sets aside what survives a collection of the oldest generation, until it is to be walked again.

    That is when what was set aside has doubled, and after ``WHOLE_SECONDS`` if it is much: cyclic garbage
    among it can never be more than what lives.
    """

    def __init__(
        self, *, long: float = LONG_SECONDS, few: int = FEW, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._long = long
        self._few = few
        self._clock = clock
        self._base = self._last = 0
        self._walked = self._began = 0.0
        self._whole = False

    def start(self) -> None:
        """Begin; what is set aside by now stays so as long as there is not much more."""
        self._base = self._last = gc.get_freeze_count()
        self._walked = self._clock()
        gc.callbacks.append(self._on_collection)

    def stop(self) -> None:
        if self._on_collection in gc.callbacks:
            gc.callbacks.remove(self._on_collection)

    def _on_collection(self, phase: str, info: Mapping[str, Any]) -> None:
        if info["generation"] != 2:
            return
        if phase == "start":
            self._whole = self._due()
            if self._whole:
                gc.unfreeze()
            self._began = self._clock()
        elif self._whole or self._clock() - self._began >= self._long:
            gc.freeze()
            if self._whole:
                self._last = gc.get_freeze_count()
                self._walked = self._clock()

    def _due(self) -> bool:
        aside = gc.get_freeze_count()
        if aside - self._base < self._few:
            return False
        return aside > 2 * self._last or self._clock() - self._walked >= WHOLE_SECONDS
