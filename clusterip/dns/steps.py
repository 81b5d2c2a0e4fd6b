"""Long work in steps, so that questions are answered in between.

A Service with 10,000 endpoints takes a tenth of a second to work out. As a generator it stops every few
milliseconds; whoever runs it decides what comes first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")
Steps = Generator[None, None, T]

STEP = 250
"""Names or endpoints worked on between two pauses: about a millisecond."""


def done(steps: Steps[T]) -> T:
    """All of it at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # what the generator returned


async def paced(steps: Steps[T]) -> T:
    """All of it, the event loop's other work in between."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # what the generator returned
        await asyncio.sleep(0)
