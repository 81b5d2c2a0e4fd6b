"""Forgets old revisions from time to time, so that a store does not grow with every change."""

from __future__ import annotations

import asyncio
import logging

from clusterip.storage.store import Closed, Store, StoreError

logger = logging.getLogger(__name__)

INTERVAL = 300.0
"""Seconds of history that are kept at least: kube-apiserver's ``--etcd-compaction-interval``."""


async def compact_periodically(store: Store, interval: float = INTERVAL) -> None:
    """Every ``interval`` seconds, forget what was replaced before the last time; until cancelled.

    What cannot be done is left for the next time. Several servers that share a store may all do this:
    each forgets only what is older than ``interval``.

    Raises:
        Closed: the store was closed.
    """
    known = 0
    while True:
        try:
            if known:
                await store.compact(known)
            known = await store.revision()
        except Closed:
            raise
        except StoreError as error:
            logger.warning("cannot compact the store now: %s", error)
        await asyncio.sleep(interval)
