"""Forgets old revisions from time to time, so that a store does not grow with every change."""

from __future__ import annotations

import asyncio

from clusterip.storage.store import Store

INTERVAL = 300.0
"""Seconds of history that are kept at least: kube-apiserver's ``--etcd-compaction-interval``."""


async def compact_periodically(store: Store, interval: float = INTERVAL) -> None:
    """Every ``interval`` seconds, forget what was replaced before the last time; until cancelled."""
    known = await store.revision()
    while True:
        await asyncio.sleep(interval)
        await store.compact(known)
        known = await store.revision()
