"""Run by ``test_crash.py``: writes to a store as fast as it can until it is killed.

Prints ``acknowledged KEY REVISION`` for each change that the store has confirmed and
``watched KEY REVISION`` for each one that a watcher was told of.
"""

from __future__ import annotations

import asyncio
import os
import sys

from clusterip.storage.open import open_store
from clusterip.storage.store import Compare, Delete, Put, Store

WRITERS = 8


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())  # past Python's buffers, which die with the process


async def write(store: Store, writer: int) -> None:
    name = f"{os.getpid()}-{writer}"
    n = 0
    while True:
        key = f"/{name}/{n}"
        # Two keys that come and go together show whether a transaction can be torn apart.
        pair = [Put(f"/pair/{name}/{side}", b"%d" % n) for side in "ab"]
        revision = await store.transact([Compare(key, 0)], [Put(key, b"x" * 500), *pair])
        say(f"acknowledged {key} {revision}")
        if n % 3 == 2:
            revision = await store.transact([], [Delete(key)])
            say(f"acknowledged -{key} {revision}")
        n += 1


async def report_watched(store: Store) -> None:
    async for events in store.watch("/", await store.revision()):
        for event in events:
            say(f"watched {event.key} {event.revision}")


async def main(url: str) -> None:
    store = await open_store(url)
    await asyncio.gather(report_watched(store), *(write(store, n) for n in range(WRITERS)))


asyncio.run(main(sys.argv[1]))
