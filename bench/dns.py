#!/usr/bin/env python
"""What ``clusterip dns`` does per second, and what it costs: the real process, beside an API server.

    python bench/dns.py queries [--case NAME ...] [--seconds 10]   one process, one core; 200 in flight
    python bench/dns.py processes                                  one and two processes on one port
    python bench/dns.py visibility                                 an event -> the answer, 100,000 endpoints
    python bench/dns.py memory                                     10,000 Services, 50,000 endpoints
    python bench/dns.py others [--knotd FILE] [--dnsmasq FILE]     knot and dnsmasq with the same names

Needs dnsperf (Debian: apt install dnsperf). "per CPU s" is answers per second of processor time that the
server used, which other work on the machine changes little; "per s" is by the clock. ``--json FILE`` keeps
the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.dns_api import Api, addresses_of, namespace_of, serve, write_kubeconfig
from bench.dns_servers import Running, clusterip, dnsmasq, knot

UPSTREAM_NAMES = 1000
Results = dict[str, dict[str, float]]

Names = Callable[[int], list[str]]
CASES: dict[str, Names] = {
    "A": lambda count: [f"svc-{i}.{namespace_of(i)}.svc.cluster.local A" for i in range(count)],
    "A and AAAA": lambda count: [
        f"svc-{i}.{namespace_of(i)}.svc.cluster.local {kind}" for i in range(count) for kind in ("A", "AAAA")
    ],
    "A, headless": lambda count: [
        f"peers-{i}.{namespace_of(i)}.svc.cluster.local A" for i in range(count // 10)
    ],
    "SRV": lambda count: [
        f"_http._tcp.svc-{i}.{namespace_of(i)}.svc.cluster.local SRV" for i in range(count)
    ],
    "PTR": lambda count: [
        f"{i & 255}.{i >> 8 & 255}.{96 + (i >> 16)}.10.in-addr.arpa PTR" for i in range(count)
    ],
    "NXDOMAIN": lambda count: [
        f"www{i}.example.com.{namespace_of(i)}.svc.cluster.local A" for i in range(count)
    ],
    "A, letter case at random": lambda count: [
        "".join(c.upper() if hash((c, n, i)) & 1 else c for n, c in enumerate(f"svc-{i}.{namespace_of(i)}"))
        + ".svc.cluster.local A"
        for i in range(count)
    ],
    "forwarded, remembered": lambda count: [f"host-{i % UPSTREAM_NAMES}.example.net A" for i in range(count)],
    "TCP": lambda count: [f"svc-{i}.{namespace_of(i)}.svc.cluster.local A" for i in range(count)],
}


@contextmanager
def api(
    services: int, headless: int, endpoints: int
) -> Iterator[tuple[Api, Path, asyncio.AbstractEventLoop]]:
    """An API server in a thread, and how to reach it."""
    loop = asyncio.new_event_loop()
    made = Api(services, headless, endpoints)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner, port = asyncio.run_coroutine_threadsafe(serve(made), loop).result()
    with tempfile.TemporaryDirectory() as directory:
        try:
            yield made, write_kubeconfig(Path(directory) / "kubeconfig", port), loop
        finally:
            loop.call_soon_threadsafe(made.end)
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


def upstream() -> int:
    """A name server that knows every name; its port."""
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.bind(("127.0.0.1", 0))

    def run() -> None:
        while True:
            data, peer = own.recvfrom(4096)
            end = data.index(b"\0", 12) + 5
            answer = data[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + data[12:end]
            own.sendto(answer + b"\xc0\x0c\0\1\0\1\0\0\x0e\x10\0\4\xc6\x33\x64\x01", peer)

    threading.Thread(target=run, daemon=True).start()
    return int(own.getsockname()[1])


def dnsperf(
    server: Running,
    queries: list[str],
    seconds: int,
    *,
    cores: str = "1",
    tcp: bool = False,
    clients: int = 4,
    rate: int = 0,
) -> dict[str, float]:
    """200 queries in flight, or ``rate`` per second."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(queries) + "\n")
        file.flush()
        command = ["taskset", "-c", cores, "dnsperf", "-s", "127.0.0.1", "-p", str(server.port)]
        command += ["-d", file.name, "-c", str(clients), "-q", "200", *(["-m", "tcp"] if tcp else [])]
        # Every name once: what is measured is what comes after.
        subprocess.run([*command, "-n", "1"], capture_output=True, check=True)
        before = server.cpu_seconds
        command += ["-l", str(seconds), *(["-Q", str(rate)] if rate else [])]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = [after - then for after, then in zip(server.cpu_seconds, before, strict=True)]
    completed = _number(out, r"Queries completed:\s+(\d+)")
    return {
        "per_second": _number(out, r"Queries per second:\s+([\d.]+)"),
        "per_cpu_second": completed / sum(used),
        "busiest_share": max(used) / sum(used),
        "average_ms": _number(out, r"Average Latency \(s\):\s+([\d.]+)") * 1000,
        "lost": _number(out, r"Queries lost:\s+(\d+)"),
        "memory_mb": server.memory_mb,
    }


def _number(text: str, pattern: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"dnsperf did not say: {pattern}\n{text}")
    return float(found.group(1))


def show(name: str, result: dict[str, float], results: Results) -> None:
    results[name] = result
    print(
        f"{name:32} {result['per_second']:10,.0f} per s {result['per_cpu_second']:10,.0f} per CPU s   "
        f"{result['average_ms']:6.3f} ms   lost {result['lost']:.0f}   {result['memory_mb']:.0f} MB",
        flush=True,
    )


def queries(options: argparse.Namespace, results: Results) -> None:
    with api(options.services, options.services // 10, 5) as (_, kubeconfig, _loop):
        for case in options.case or CASES:
            with clusterip(kubeconfig, upstream=upstream()) as server:
                names = CASES[case](options.services)
                show(case, dnsperf(server, names, options.seconds, tcp=case == "TCP"), results)


def processes(options: argparse.Namespace, results: Results) -> None:
    """As many queries for each process, and the client beside them with time to spare.

    The kernel shares the queries out by the client's ports, so one process gets a little more than the
    other: it is full first. What two can do follows from the cost of a query and the share of the busier.
    """
    names = CASES["A"](options.services)
    with api(options.services, options.services // 10, 5) as (_, kubeconfig, _loop):
        for count in (1, 2):
            with clusterip(kubeconfig, workers=count, cores="0,1") as server:
                found = dnsperf(
                    server, names, options.seconds, cores="0,1", clients=64, rate=options.rate * count
                )
                show(f"{count} process{'es' * (count > 1)} at {options.rate * count:,}/s", found, results)
    one, two = (results[name] for name in results)
    ratio = two["per_cpu_second"] / two["busiest_share"] / (one["per_cpu_second"] / one["busiest_share"])
    results["ratio"] = {"two_to_one": ratio}
    print(f"two processes answer {ratio:.2f} times what one does")


def visibility(options: argparse.Namespace, results: Results) -> None:
    services, endpoints, changes = 10_000, 10, options.changes
    found: list[float] = []
    with (
        api(0, services, endpoints) as (made, kubeconfig, loop),
        clusterip(kubeconfig) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own,
    ):
        own.settimeout(5)
        own.connect(("127.0.0.1", server.port))
        before = sum(server.cpu_seconds)
        for change in range(changes):
            number = change * 37 % services
            first = (1 << 20) + change * endpoints
            asyncio.run_coroutine_threadsafe(
                made.change(number, addresses_of(first, endpoints)), loop
            ).result()
            started = time.perf_counter()
            found.append((_seen(own, number, addresses_of(first, 1)[0]) - started) * 1000)
        used = (sum(server.cpu_seconds) - before) / changes * 1000
        memory = server.memory_mb
    quantiles = statistics.quantiles(found, n=100)
    results["visibility"] = {
        "median_ms": statistics.median(found),
        "p99_ms": quantiles[98],
        "cpu_ms": used,
        "memory_mb": memory,
    }
    median = statistics.median(found)
    print(
        f"{services * endpoints:,} endpoints, {memory:.0f} MB: a change is in answers after {median:.2f} ms,"
    )
    print(f"99 of 100 within {quantiles[98]:.2f} ms; it costs {used:.2f} ms, questions included")


def _seen(own: socket.socket, number: int, address: str) -> float:
    """When an answer first had the address. The event was written just before."""
    labels = f"peers-{number}.{namespace_of(number)}.svc.cluster.local".split(".")
    name = b"".join(bytes((len(label),)) + label.encode() for label in labels) + b"\0"
    packed = socket.inet_aton(address)
    query = b"\0\1\1\0\0\1\0\0\0\0\0\0" + name + b"\0\1\0\1"
    for _ in range(100_000):
        own.send(query)
        if packed in own.recv(4096):
            return time.perf_counter()
    raise RuntimeError("the change was never seen")


def memory(options: argparse.Namespace, results: Results) -> None:
    """Once everything is known, and once each Service has been asked for."""
    headless = options.services // 10
    with (
        api(options.services - headless, headless, 5) as (_, kubeconfig, _loop),
        clusterip(kubeconfig) as server,
    ):
        known = server.memory_mb
        asked = dnsperf(server, CASES["A"](options.services - headless), 1)["memory_mb"]
    results["memory"] = {"known_mb": known, "asked_mb": asked}
    print(f"{options.services:,} Services, {options.services * 5:,} endpoints: {known:.0f} MB,")
    print(f"when all have been asked for {asked:.0f} MB")


def others(options: argparse.Namespace, results: Results) -> None:
    names = CASES["A"](options.services)
    for name, start, binary in (("knot", knot, options.knotd), ("dnsmasq", dnsmasq, options.dnsmasq)):
        if shutil.which(binary) is None:
            print(f"{name}: there is no {binary}")
            continue
        with (
            tempfile.TemporaryDirectory() as directory,
            start(Path(directory), options.services, binary) as server,
        ):
            show(f"{name}, A", dnsperf(server, names, options.seconds), results)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    suites = {each.__name__: each for each in (queries, processes, visibility, memory, others)}
    parser.add_argument("suite", nargs="?", default="queries", choices=suites)
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--case", action="append", choices=CASES, help="of queries; all by default")
    parser.add_argument("--rate", type=int, default=40_000, help="queries per second for each process")
    parser.add_argument("--changes", type=int, default=300)
    parser.add_argument("--knotd", default="knotd")
    parser.add_argument("--dnsmasq", default="dnsmasq")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    results: Results = {}
    suites[options.suite](options, results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
