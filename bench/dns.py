#!/usr/bin/env python
"""Queries per second of the DNS server, one core for it and the others for dnsperf.

    python bench/dns.py [--services 10000] [--seconds 10] [--case NAME ...] [--processes N] [--json FILE]

The zone is filled directly, without an API server. Needs dnsperf (Debian: apt install dnsperf). Prints a
line per case and, with ``--json``, writes them to a file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path

import uvloop

from clusterip.dns import wire
from clusterip.dns.counters import Counters
from clusterip.dns.forward import Forwarder
from clusterip.dns.message import Query
from clusterip.dns.records import records_of
from clusterip.dns.responder import Responder
from clusterip.dns.tcp import TcpServer
from clusterip.dns.udp import UdpServer
from clusterip.dns.upstream import Upstream
from clusterip.dns.zone import Zone

NAMESPACES = 100
ENDPOINTS = 5
UPSTREAM_NAMES = 1000


def namespace_of(number: int) -> str:
    return f"ns-{number % NAMESPACES}"


def cluster_ip_service(number: int) -> wire.Service:
    address = f"10.{96 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
    ports = [wire.ServicePort(port=80, name="http")]
    spec = wire.ServiceSpec(clusterIP=address, clusterIPs=[address], ports=ports)
    return wire.Service(wire.Metadata(f"svc-{number}", namespace_of(number)), spec)


def headless_service(number: int) -> tuple[wire.Service, wire.EndpointSlice]:
    service = wire.Service(
        wire.Metadata(f"peers-{number}", namespace_of(number)), wire.ServiceSpec(clusterIP="None")
    )
    endpoints = [
        wire.Endpoint([f"10.244.{number >> 8 & 255}.{(number + each * 51) & 255}"], hostname=f"pod-{each}")
        for each in range(ENDPOINTS)
    ]
    metadata = wire.SliceMetadata(
        f"peers-{number}-x", namespace_of(number), "1", wire.SliceLabels(f"peers-{number}")
    )
    ports = [wire.EndpointPort(port=8080, name="http", protocol="TCP")]
    return service, wire.EndpointSlice(metadata, "IPv4", endpoints, ports)


def filled_zone(services: int) -> Zone:
    """``services`` with a ClusterIP and a tenth as many headless ones."""
    zone = Zone("cluster.local", 5)
    for number in range(NAMESPACES):
        zone.put_namespace(namespace_of(number), True)
    for number in range(services):
        service = cluster_ip_service(number)
        zone.put(("c", number), records_of(service, (), zone.domain))
    for number in range(services // 10):
        headless, endpoints = headless_service(number)
        zone.put(("h", number), records_of(headless, [endpoints], zone.domain))
    zone.synced = True
    return zone


Names = Callable[[int], list[str]]
CASES: dict[str, Names] = {
    "A, ClusterIP": lambda count: [f"svc-{i}.{namespace_of(i)}.svc.cluster.local A" for i in range(count)],
    "A and AAAA, ClusterIP": lambda count: [
        f"svc-{i}.{namespace_of(i)}.svc.cluster.local {kind}" for i in range(count) for kind in ("A", "AAAA")
    ],
    "A, headless": lambda count: [
        f"peers-{i}.{namespace_of(i)}.svc.cluster.local A" for i in range(count // 10)
    ],
    "SRV, ClusterIP": lambda count: [
        f"_http._tcp.svc-{i}.{namespace_of(i)}.svc.cluster.local SRV" for i in range(count)
    ],
    "NXDOMAIN of a search path": lambda count: [
        f"www{i}.example.com.{namespace_of(i)}.svc.cluster.local A" for i in range(count)
    ],
    "A, letter case at random": lambda count: [
        "".join(c.upper() if hash((c, n, i)) & 1 else c for n, c in enumerate(f"svc-{i}.{namespace_of(i)}"))
        + ".svc.cluster.local A"
        for i in range(count)
    ],
    "forwarded, remembered": lambda count: [f"host-{i % UPSTREAM_NAMES}.example.net A" for i in range(count)],
}


class _Static(asyncio.DatagramProtocol):
    """An upstream that knows every name."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        end = data.index(b"\0", 12) + 5
        answer = data[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + data[12:end]
        answer += b"\xc0\x0c\0\1\0\1\0\0\x01\x2c\0\4\xc6\x33\x64\x01"
        self.transport.sendto(answer, address)  # type: ignore[attr-defined]


def serve(port: int, services: int, core: int, profile: str, ready: Event, pipe: object) -> None:
    """The server process."""
    os.sched_setaffinity(0, {core})

    async def main() -> None:
        loop = asyncio.get_running_loop()
        upstream, _ = await loop.create_datagram_endpoint(_Static, local_addr=("127.0.0.1", 0))
        started = time.perf_counter()
        zone = filled_zone(services)
        seconds = time.perf_counter() - started
        known = [Upstream("127.0.0.1", upstream.get_extra_info("sockname")[1])]
        forwarder = Forwarder(lambda: known)
        responder = Responder(zone, forwarder)
        for number in range(UPSTREAM_NAMES if services else 0):
            await forwarder.resolve(*_upstream_query(number))
        counters = Counters()
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        udp.bind(("127.0.0.1", port))
        udp.setblocking(False)
        UdpServer(udp, responder, counters)
        listening = socket.create_server(("127.0.0.1", port), reuse_port=True)
        listening.setblocking(False)
        await TcpServer(responder, counters).start(listening)
        pipe.send(seconds)  # type: ignore[attr-defined]
        ready.set()
        await asyncio.Event().wait()

    if profile:
        import cProfile

        profiler = cProfile.Profile()
        import signal

        def stop(*_: object) -> None:
            profiler.disable()
            profiler.dump_stats(profile)
            os._exit(0)

        signal.signal(signal.SIGTERM, stop)
        profiler.runcall(asyncio.run, main())
    uvloop.run(main())


def _upstream_query(number: int) -> tuple[bytes, Query]:
    from clusterip.dns.names import to_wire

    name = to_wire(f"host-{number}.example.net")
    return name, Query(b"\0\0", 0x0100, name + b"\0\1\0\1", name, 1, 1)


def dnsperf(
    port: int, queries: list[str], seconds: int, cores: str, *, tcp: bool = False, clients: int = 4
) -> dict[str, float]:
    """Run dnsperf with 200 queries in flight."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(queries) + "\n")
        file.flush()
        command = ["taskset", "-c", cores, "dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", file.name]
        command += ["-l", str(seconds), "-c", str(clients), "-q", "200", *(["-m", "tcp"] if tcp else [])]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def number(pattern: str) -> float:
        found = re.search(pattern, out)
        return float(found.group(1)) if found else float("nan")

    return {
        "queries_per_second": number(r"Queries per second:\s+([\d.]+)"),
        "average_ms": number(r"Average Latency \(s\):\s+([\d.]+)") * 1000,
        "lost": number(r"Queries lost:\s+(\d+)"),
    }


def memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--case", action="append", choices=[*CASES, "TCP"])
    parser.add_argument("--processes", type=int, default=1, help="that share the port, one core each")
    parser.add_argument("--port", type=int, default=15353)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--profile", default="", help="write cProfile data of the server here")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))

    cores = os.cpu_count() or 1
    context = multiprocessing.get_context("spawn")
    results: dict[str, dict[str, float]] = {}
    for case in options.case or [*CASES, "TCP"]:
        servers, build_seconds = [], 0.0
        try:
            for core in range(options.processes):
                ready = context.Event()
                ours, theirs = context.Pipe()
                arguments = (options.port, options.services, core % cores, options.profile, ready, theirs)
                servers.append(context.Process(target=serve, args=arguments))
                servers[-1].start()
                if not ready.wait(60):
                    raise RuntimeError("the server did not start")
                build_seconds = ours.recv()
            queries = CASES["A, ClusterIP" if case == "TCP" else case](options.services)
            # Cores of its own for the client, unless the servers need them all.
            theirs_first = options.processes if options.processes < cores else 0
            result = dnsperf(
                options.port,
                queries,
                options.seconds,
                f"{theirs_first}-{cores - 1}",
                tcp=case == "TCP",
                clients=4 if options.processes == 1 else 32,
            )
            memory = sum(memory_mb(server.pid) for server in servers if server.pid is not None)
            result |= {"memory_mb": memory, "zone_built_s": build_seconds, "processes": options.processes}
        finally:
            for server in servers:
                server.terminate()
                server.join()
        results[case] = result
        print(
            f"{case:28} {result['queries_per_second']:10,.0f}/s   average {result['average_ms']:6.3f} ms   "
            f"lost {result['lost']:.0f}   {result['memory_mb']:.0f} MB   zone in {build_seconds:.2f} s",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
