"""Hands the changes of a store to its watchers, within the process.

A watcher keeps what it has not yet read, up to a bound. One that falls behind is not waited for and
does not fill the memory: its buffer is dropped, and it reads what it missed from the store's history.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

from clusterip.storage.store import Closed, Events

History = Callable[[str, int, int], Awaitable[Events]]
"""``await history(prefix, after, upto)``: the changes with ``after < revision <= upto``."""

BUFFERED_EVENTS = 4096
"""How far a watcher may fall behind before it has to read history."""

REPLAYED_REVISIONS = 1000
"""How many revisions are read from history at a time."""


class Watchers:
    """Everyone who watches one store. Used from one event loop."""

    def __init__(self, revision: int, history: History) -> None:
        self.revision = revision
        self._history = history
        self._watchers: set[_Watcher] = set()
        self._closed = False

    def publish(self, events: Events, revision: int) -> None:
        """Tell everyone of the changes that brought the store to ``revision``."""
        self.revision = revision
        for watcher in self._watchers:
            matching = [event for event in events if event.key.startswith(watcher.prefix)]
            if matching:
                watcher.add(matching)

    async def watch(self, prefix: str, after: int) -> AsyncIterator[Events]:
        """As ``Store.watch``."""
        watcher = _Watcher(prefix)
        self._watchers.add(watcher)
        seen = after
        try:
            while not self._closed:
                # Nothing can be published between these two lines, so history up to `upto` and the
                # buffer from here on have neither a gap nor an overlap.
                upto = self.revision
                watcher.restart()
                while seen < upto:
                    last = min(upto, seen + REPLAYED_REVISIONS)
                    if events := await self._history(prefix, seen, last):
                        yield events
                    seen = last
                while not watcher.behind and not self._closed:
                    events = [event for event in watcher.take() if event.revision > seen]
                    if events:
                        seen = events[-1].revision
                        yield events
                    else:
                        await watcher.changed.wait()
            raise Closed("the store is closed")
        finally:
            self._watchers.discard(watcher)

    def close(self) -> None:
        self._closed = True
        for watcher in self._watchers:
            watcher.changed.set()


class _Watcher:
    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.behind = False
        self.changed = asyncio.Event()
        self._buffer: deque[Events] = deque()
        self._buffered = 0

    def add(self, events: Events) -> None:
        if self.behind:
            return
        self._buffered += len(events)
        if self._buffered > BUFFERED_EVENTS and self._buffer:
            self.behind = True
            self._buffer.clear()
        else:
            self._buffer.append(events)
        self.changed.set()

    def take(self) -> Events:
        """Everything buffered, oldest first."""
        batches = list(self._buffer)
        self.restart()
        return batches[0] if len(batches) == 1 else [event for batch in batches for event in batch]

    def restart(self) -> None:
        self._buffer.clear()
        self._buffered = 0
        self.behind = False
        self.changed.clear()
