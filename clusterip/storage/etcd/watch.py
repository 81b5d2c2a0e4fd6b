"""Watches of etcd that survive its members."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator

from clusterip.storage.etcd.gateway import FIRST_PAUSE, LONGEST_PAUSE, Gateway
from clusterip.storage.etcd.messages import WatchEvent, watch_from
from clusterip.storage.etcd.stream import stream
from clusterip.storage.store import Compacted, Event, Events, Unavailable

logger = logging.getLogger(__name__)


async def watch(gateway: Gateway, prefix: str, after: int) -> AsyncIterator[Events]:
    """As ``Store.watch``; goes on where it was, at another endpoint, when a connection breaks."""
    seen = after
    pause = FIRST_PAUSE
    while True:
        try:
            async with contextlib.aclosing(_once(gateway, prefix, seen)) as batches:  # type: ignore[type-var]
                async for told, events in batches:
                    seen = told
                    pause = FIRST_PAUSE
                    if events:
                        yield events
        except Unavailable as error:
            level = logging.WARNING if pause == FIRST_PAUSE else logging.DEBUG  # once an outage
            logger.log(level, "%s; trying again at %s", error, gateway.endpoint)
            await gateway.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


async def _once(gateway: Gateway, prefix: str, after: int) -> AsyncIterator[tuple[int, Events]]:
    """Batches of one connection, each with the revision up to which everything has been told."""
    seen = after
    parts: list[WatchEvent] = []
    # Asking for one revision more than is needed lets etcd say if what comes after it is not all kept.
    answers = stream(gateway, watch_from(prefix, max(after, 1)))
    async with contextlib.aclosing(answers) as responses:  # type: ignore[type-var]
        async for response in responses:
            if response.canceled:
                if response.compact_revision:
                    raise Compacted(response.compact_revision)
                gateway.login.forget()  # which is what etcd 3.4 means by "permission denied", among others
                raise Unavailable(f"etcd ended the watch: {response.cancel_reason}")
            parts += response.events
            if response.fragment:
                continue
            events = [_plain(part) for part in parts if part.kv.mod_revision > seen]
            if response.created:
                yield seen, []
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
