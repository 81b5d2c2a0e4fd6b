"""How fast the store is: durable commits, reads, listings and watch latency.

    python bench/store.py [--store sqlite:///PATH] [--seconds 5]

Without ``--store`` a new file in the current directory's file system is used and removed afterwards
(not in /tmp, which may be in memory). What a commit costs is mostly one sync of the disk, so the disk's
own figure is shown beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable

import uvloop

from clusterip.storage.open import open_store
from clusterip.storage.store import Compare, Put, Store

VALUE = b'{"kind":"Service","spec":{}}'.ljust(1000, b" ")


def line(what: str, value: float, unit: str) -> None:
    print(f"{what:<52}{value:>12,.1f} {unit}")


async def rate(seconds: float, workers: int, work: Callable[[int], Awaitable[object]]) -> tuple[float, float]:
    """Let ``workers`` tasks repeat ``work(number)``: calls per second, and their median milliseconds."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def repeat(worker: int) -> None:
        n = worker
        while (began := time.perf_counter()) < end:
            await work(n)
            times.append(time.perf_counter() - began)
            n += workers

    await asyncio.gather(*(repeat(worker) for worker in range(workers)))
    return len(times) / seconds, statistics.median(times) * 1000


def disk_syncs(directory: str, seconds: float = 1.0) -> float:
    """How often a second this disk can append 4 KiB durably."""
    with tempfile.TemporaryFile(dir=directory) as file:
        count, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            os.pwrite(file.fileno(), bytes(4096), count * 4096)
            os.fdatasync(file.fileno())
            count += 1
    return count / seconds


async def bench(store: Store, seconds: float) -> None:
    for workers in (1, 32):

        async def create(n: int, workers: int = workers) -> None:
            key = f"/registry/services/bench/{workers}-{n}"
            await store.transact([Compare(key, 0)], [Put(key, VALUE)])

        per_second, median = await rate(seconds, workers, create)
        line(f"durable creates, {workers} at a time", per_second, "/s")
        line("    median", median, "ms")

    per_second, _ = await rate(seconds, 32, lambda n: store.get(f"/registry/services/bench/32-{n % 1000}"))
    line("reads of one key, 32 at a time", per_second, "/s")

    prefix = "/registry/endpointslices/bench/"
    for start in range(0, 10_000, 500):
        await store.transact([], [Put(f"{prefix}{n}", VALUE) for n in range(start, start + 500)])
    began = time.perf_counter()
    await store.list(prefix)
    line("listing of 10,000 keys of 1 kB", (time.perf_counter() - began) * 1000, "ms")

    latencies: list[float] = []
    watch = store.watch("/registry/services/", await store.revision())
    for n in range(200):
        await store.transact([], [Put(f"/registry/services/watched/{n}", VALUE)])
        done = time.perf_counter()
        await anext(watch)
        latencies.append(time.perf_counter() - done)
    line("from commit to watcher, median", statistics.median(latencies) * 1000, "ms")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--store", help="URL of the store; its keys below /registry/ are written to")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each rate is measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.getcwd(), prefix=".bench-store-") as directory:
        line("this disk: durable appends of 4 KiB", disk_syncs(directory), "/s")
        store = await open_store(options.store or f"sqlite://{directory}/store.db")
        try:
            await bench(store, options.seconds)
        finally:
            await store.close()


if __name__ == "__main__":
    uvloop.run(main())
