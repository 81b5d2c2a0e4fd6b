"""Watches of etcd that survive its members."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from clusterip.storage.etcd.gateway import Gateway, Unavailable
from clusterip.storage.etcd.messages import WatchEvent, watch_from
from clusterip.storage.store import Compacted, Event, Events


async def watch(gateway: Gateway, prefix: str, after: int) -> AsyncIterator[Events]:
    """As ``Store.watch``; goes on where it was, at another endpoint, when a connection breaks."""
    seen = after
    while True:
        try:
            async with contextlib.aclosing(_once(gateway, prefix, seen)) as batches:  # type: ignore[type-var]
                async for told, events in batches:
                    seen = told
                    if events:
                        yield events
        except Unavailable:
            await gateway.pause()


async def _once(gateway: Gateway, prefix: str, after: int) -> AsyncIterator[tuple[int, Events]]:
    """Batches of one connection, each with the revision up to which everything has been told."""
    seen = after
    parts: list[WatchEvent] = []
    # Asking for one revision more than is needed lets etcd say if what comes after it is not all kept.
    answers = gateway.stream(watch_from(prefix, max(after, 1)))
    async with contextlib.aclosing(answers) as responses:  # type: ignore[type-var]
        async for response in responses:
            if response.canceled:
                if response.compact_revision:
                    raise Compacted(response.compact_revision)
                raise Unavailable(f"etcd ended the watch: {response.cancel_reason}")
            parts += response.events
            if response.fragment:
                continue
            events = [_plain(part) for part in parts if part.kv.mod_revision > seen]
            if events:
                seen = events[-1].revision
                yield seen, events
            elif not parts and not response.created and response.header.revision > seen:
                seen = response.header.revision  # a progress notification
                yield seen, []
            parts = []


def _plain(event: WatchEvent) -> Event:
    if event.lacks_previous:
        raise Compacted(event.kv.mod_revision)
    return event.plain()
