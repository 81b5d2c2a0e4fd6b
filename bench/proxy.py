"""How fast the proxy's data plane is, in a network namespace of its own: ``python bench/proxy.py 10000``.

Objects are given to the tracker directly, as JSON decoded by the proxy's own types, so this is all the
work there is but the connection to the API server.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import os
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from ipaddress import IPv4Address
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
SLICE_SIZE = 100
"""As many endpoints as Kubernetes writes into a slice."""
NAMESPACE = "clusterip-bench-proxy"
OPTIONS = BackendOptions(PodDetection(cidrs=(ipaddress.ip_network("10.128.0.0/9"),)))


def service(number: int, name: str = "") -> wire.Service:
    address = str(ipaddress.ip_address("10.0.0.2") + number)
    tree = {
        "metadata": {"name": name or f"service-{number}", "namespace": "default", "uid": str(number)},
        "spec": {"type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "ports": [{"port": 80}]},
    }
    return msgspec.json.decode(msgspec.json.encode(tree), type=wire.Service)


def slice_of(number: int, shift: int = 0, size: int = ENDPOINTS) -> wire.EndpointSlice:
    """The slice of a Service; ``shift`` replaces its last endpoint by another."""
    first = ipaddress.ip_address("10.128.0.1") + number * ENDPOINTS
    addresses = [first + index for index in range(size)]
    if shift:
        addresses[-1] = ipaddress.ip_address("10.250.0.1") + shift
    return _slice(f"service-{number}", f"service-{number}-abcde", addresses)


def _slice(service_name: str, name: str, addresses: Sequence[IPv4Address]) -> wire.EndpointSlice:
    tree = {
        "addressType": "IPv4",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": service_name},
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

    async def giant(self, sync: Sync, size: int, rounds: int) -> None:
        """One more Service, of very many endpoints in slices of a hundred: one of them comes and goes."""
        first = ipaddress.ip_address("10.252.0.1")
        slices = [
            _slice("giant", f"giant-{start}", [first + start + index for index in range(SLICE_SIZE)])
            for start in range(0, size, SLICE_SIZE)
        ]
        started, cpu = time.perf_counter(), cpu_seconds()
        sync.tracker.service_changed(None, service(-1, "giant"))
        for each in slices:
            sync.slice_changed(None, each)
        sync.flush()
        await sync.settled()
        report(
            f"a Service of {size} endpoints",
            seconds=time.perf_counter() - started,
            cpu_seconds=cpu_seconds() - cpu,
        )
        for name, changed in (
            ("... one replaced", [first + index for index in range(SLICE_SIZE - 1)] + [first - 1]),
            ("... one gone or back", [first + index for index in range(SLICE_SIZE - 1)]),
        ):
            other = _slice("giant", "giant-0", changed)
            times, cpu, written = [], cpu_seconds(), self.backend.statistics.elements
            for step in range(rounds):
                old, new = (slices[0], other) if step % 2 == 0 else (other, slices[0])
                started = time.perf_counter()
                sync.slice_changed(old, new)
                sync.flush()
                await sync.settled()
                times.append((time.perf_counter() - started) * 1e3)
            report(
                name,
                p50_ms=statistics.median(times),
                p99_ms=statistics.quantiles(times, n=100)[98],
                cpu_ms=(cpu_seconds() - cpu) / rounds * 1e3,
                elements=(self.backend.statistics.elements - written) / rounds,
            )

    async def start(self, name: str, sync: Sync) -> asyncio.Task[None]:
        wall, cpu = time.perf_counter(), cpu_seconds()
        task = asyncio.create_task(sync.run())
        await sync.synced.wait()
        report(
            name,
            seconds=time.perf_counter() - wall,
            cpu_seconds=cpu_seconds() - cpu,
            longest_batch_ms=self.backend.statistics.longest_seconds * 1e3,
            longest_batch_cpu_ms=self.backend.statistics.longest_cpu_seconds * 1e3,
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
    await bench.change(sync, rounds, resize=False)
    await bench.change(sync, rounds, resize=True)
    await bench.giant(sync, 10_000, rounds // 5)
    report("longest batch, CPU", ms=bench.backend.statistics.longest_cpu_seconds * 1e3)
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
