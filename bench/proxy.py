"""How fast the proxy's data plane is, in a network namespace of its own: ``python bench/proxy.py 10000``.

Objects are given to the tracker directly, as JSON decoded by the proxy's own types, so this is all the
work there is but the connection to the API server.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import ipaddress
import os
import resource
import statistics
import sys
import time
from pathlib import Path

import msgspec

from clusterip.kernel import namespaces
from clusterip.kernel.nftables import Family
from clusterip.proxy import wire
from clusterip.proxy.backend import BackendOptions, PodDetection
from clusterip.proxy.nftables.backend import NftablesBackend
from clusterip.proxy.nftables.mode import clean_up
from clusterip.proxy.sync import Sync
from clusterip.proxy.tracker import Tracker

ENDPOINTS = 5
NAMESPACE = "clusterip-bench-proxy"
OPTIONS = BackendOptions(PodDetection(cidrs=(ipaddress.ip_network("10.128.0.0/9"),)))


def service(number: int) -> wire.Service:
    address = str(ipaddress.ip_address("10.0.0.1") + number)
    tree = {
        "metadata": {"name": f"service-{number}", "namespace": "default", "uid": str(number)},
        "spec": {"type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "ports": [{"port": 80}]},
    }
    return msgspec.json.decode(msgspec.json.encode(tree), type=wire.Service)


def slice_of(number: int, shift: int = 0, size: int = ENDPOINTS) -> wire.EndpointSlice:
    """The slice of a Service; ``shift`` replaces its last endpoint by another."""
    first = ipaddress.ip_address("10.128.0.1") + number * ENDPOINTS
    addresses = [first + index for index in range(size)]
    if shift:
        addresses[-1] = ipaddress.ip_address("10.250.0.1") + shift
    tree = {
        "addressType": "IPv4",
        "metadata": {
            "name": f"service-{number}-abcde",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": f"service-{number}"},
        },
        "endpoints": [
            {
                "addresses": [str(address)],
                "nodeName": f"node-{int(address) % 1000}",
                "conditions": {"ready": True, "serving": True, "terminating": False},
            }
            for address in addresses
        ],
        "ports": [{"name": "", "protocol": "TCP", "port": 8080}],
    }
    return msgspec.json.decode(msgspec.json.encode(tree), type=wire.EndpointSlice)


def resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Bench:
    def __init__(self, count: int) -> None:
        self.count = count
        self.services = [service(number) for number in range(count)]
        self.slices = [slice_of(number) for number in range(count)]
        self.backend: NftablesBackend

    def open(self) -> Sync:
        with namespaces.enter(namespaces.path_of(NAMESPACE)):
            self.backend = NftablesBackend((Family.IPV4, Family.IPV6), OPTIONS)
            sync = Sync(Tracker("node-1"), self.backend)
        for each in self.services:
            sync.tracker.service_changed(None, each)
        for each in self.slices:
            sync.tracker.slice_changed(None, each)
        return sync

    async def start(self, name: str, sync: Sync) -> asyncio.Task[None]:
        wall, cpu = time.perf_counter(), cpu_seconds()
        task = asyncio.create_task(sync.run())
        await sync.synced.wait()
        report(
            name,
            seconds=time.perf_counter() - wall,
            cpu_seconds=cpu_seconds() - cpu,
            longest_batch_ms=self.backend.statistics.longest_seconds * 1e3,
            resident_mb=resident_megabytes(),
        )
        return task

    async def change(self, sync: Sync, rounds: int, *, resize: bool) -> None:
        """One endpoint of one Service replaced (or, with ``resize``, one of the five gone and back)."""
        times, cpu = [], cpu_seconds()
        for step in range(rounds):
            number = step * 7919 % self.count
            old = self.slices[number]
            if resize:
                size = len(old.packed)
                new = slice_of(number, size=ENDPOINTS - 1 if size == ENDPOINTS else ENDPOINTS)
            else:
                new = slice_of(number, step + 1)
            started = time.perf_counter()
            sync.slice_changed(old, new)
            sync.flush()
            await sync.settled()
            times.append((time.perf_counter() - started) * 1e3)
            assert not sync.failing, sync.failing
            self.slices[number] = new
        report(
            "one endpoint gone" if resize else "one endpoint replaced",
            p50_ms=statistics.median(times),
            p99_ms=statistics.quantiles(times, n=100)[98],
            cpu_ms=(cpu_seconds() - cpu) / rounds * 1e3,
        )


def report(name: str, **figures: float) -> None:
    print(f"{name:28}", *(f"{key}={value:.3f}" for key, value in figures.items()), flush=True)


async def main(count: int, rounds: int) -> None:
    print(f"{count} Services, {count * ENDPOINTS} endpoints; before: {resident_megabytes():.0f} MB")
    bench = Bench(count)
    report("objects", resident_mb=resident_megabytes())
    sync = bench.open()
    task = await bench.start("cold start", sync)
    gc.collect()
    gc.freeze()
    await bench.change(sync, rounds, resize=False)
    await bench.change(sync, rounds, resize=True)
    task.cancel()
    sync.close()
    del sync
    again = bench.open()
    task = await bench.start("start with rules in place", again)
    report("written at that start", elements=bench.backend.statistics.elements)
    task.cancel()
    again.close()
    namespaces.run_in(namespaces.path_of(NAMESPACE), clean_up)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("services", type=int, nargs="?", default=10_000)
    parser.add_argument("--rounds", type=int, default=1000, help="changes to measure")
    arguments = parser.parse_args()
    if NAMESPACE in namespaces.names():
        namespaces.delete_named(NAMESPACE)
    namespaces.create_named(NAMESPACE)
    try:
        sys.exit(asyncio.run(main(arguments.services, arguments.rounds)))
    finally:
        namespaces.delete_named(NAMESPACE)
