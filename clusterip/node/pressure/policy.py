"""When images are removed to make room."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImagePolicy:
    """``high`` and ``low`` are in percent (a ``high`` of 100: never), ``minimum_age`` in seconds."""

    high: int = 85
    low: int = 80
    minimum_age: float = 120.0
