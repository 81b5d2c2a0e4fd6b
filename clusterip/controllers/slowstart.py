"""Doing a thing many times, carefully at first (``slowStartBatch`` in ``pkg/controller``)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


async def slow_start(things: Sequence[T], act: Callable[[T], Awaitable[object]]) -> None:
    """Act on batches of 1, 2, 4, … things, so that what fails for one reason fails once, not for each.

    Raises the first failure of a batch, after the batch has ended.
    """
    done, size = 0, 1
    while done < len(things):
        batch = things[done : done + size]
        await all_of(act(thing) for thing in batch)
        done += len(batch)
        size *= 2


async def all_of(actions: Iterable[Awaitable[object]]) -> None:
    """All actions at once; raises the first failure after all have ended."""
    for result in await asyncio.gather(*actions, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
