"""The proxy beside our API server, as processes: ``python bench/proxy_cluster.py 10000``.

Measured is what users see: from the answer to the PUT of an EndpointSlice to the first connection that
the new endpoint serves.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import ipaddress
import itertools
import json
import multiprocessing
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from clusterip.kernel import namespaces
from clusterip.kernel.rtnetlink import RouteSocket
from tests.support.apiserver import RunningApiServer

ENDPOINTS = 5
NAMESPACE = "clusterip-bench-cluster"
PORT = 8080
REAL = ("192.0.2.1", "192.0.2.2")
"""Addresses with servers; all other endpoints are only in the API."""
PARENT = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


def cluster_ip(number: int) -> str:
    return str(ipaddress.ip_address("10.96.1.0") + number)


def service(number: int) -> dict[str, Any]:
    return {
        "metadata": {"name": f"service-{number}"},
        "spec": {"clusterIP": cluster_ip(number), "ports": [{"port": 80, "targetPort": PORT}]},
    }


def slice_of(number: int, addresses: Iterable[str]) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": f"service-{number}"}
    return {
        "metadata": {"name": f"service-{number}", "labels": labels},
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": [address], "nodeName": f"node-{number % 100}", "conditions": {"ready": True}}
            for address in addresses
        ],
        "ports": [{"name": "", "port": PORT, "protocol": "TCP"}],
    }


def some_addresses(number: int) -> list[str]:
    first = ipaddress.ip_address("10.128.0.1") + number * ENDPOINTS
    return [str(first + index) for index in range(ENDPOINTS)]


class Api:
    """A kept-open connection to the API server."""

    def __init__(self, server: RunningApiServer) -> None:
        context = ssl.create_default_context(cafile=str(server.ca_file))
        self._connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context)
        self._headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
        with namespaces.enter(namespaces.path_of(NAMESPACE)):
            self._connection.connect()

    def request(self, method: str, path: str, body: Any = None) -> Any:
        self._connection.request(method, path, json.dumps(body) if body else None, self._headers)
        answer = self._connection.getresponse()
        tree = json.loads(answer.read())
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {tree}")
        return tree


def fill(server: RunningApiServer, count: int) -> None:
    def work(numbers: list[int]) -> None:
        api = Api(server)
        for number in numbers:
            api.request("POST", "/api/v1/namespaces/default/services", service(number))
            api.request("POST", PARENT, slice_of(number, some_addresses(number)))

    parts = 4
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(work, [list(range(part, count, parts)) for part in range(parts)]))


@contextlib.contextmanager
def proxy(server: RunningApiServer) -> Iterator[int]:
    """A running proxy's process; entered when its rules are in place."""
    command = ["-m", "clusterip.cli.main", "proxy", f"--kubeconfig={server.kubeconfig}"]
    started = time.perf_counter()
    with namespaces.enter(namespaces.path_of(NAMESPACE)):
        process = subprocess.Popen([sys.executable, *command, "--hostname-override=node-1"])
        try:
            while not ready():
                time.sleep(0.005)
            report("start until ready", seconds=time.perf_counter() - started, **usage(process.pid))
            yield process.pid
        finally:
            process.terminate()
            process.wait()


def ready() -> bool:
    try:
        with urllib.request.urlopen("http://127.0.0.1:10256/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def usage(pid: int) -> dict[str, float]:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return {
        "cpu_seconds": (int(fields[11]) + int(fields[12])) / ticks,
        "resident_mb": pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
    }


def listen(address: str) -> socket.socket:
    with namespaces.enter(namespaces.path_of(NAMESPACE)):
        server = socket.create_server((address, PORT), backlog=1024)
    server.setblocking(False)
    return server


async def changes(server: RunningApiServer, pid: int, count: int, rounds: int) -> None:
    """Point one Service after another to one of two real servers and see when it answers."""
    api = Api(server)
    loop = asyncio.get_running_loop()
    servers = {address: listen(address) for address in REAL}
    for number in range(min(count, 50)):  # begin with the one
        current = api.request("GET", f"{PARENT}/service-{number}")
        api.request("PUT", f"{PARENT}/service-{number}", current | slice_only(REAL[0]))
    before = usage(pid)["cpu_seconds"]
    times = []
    for number in itertools.islice(itertools.cycle(range(min(count, 50))), rounds):
        current = api.request("GET", f"{PARENT}/service-{number}")
        was = current["endpoints"][0]["addresses"][0]
        other = next(address for address in servers if address != was)
        api.request("PUT", f"{PARENT}/service-{number}", current | slice_only(other))
        answered = time.perf_counter()
        while await served_by(loop, servers, cluster_ip(number)) != other:
            pass
        times.append((time.perf_counter() - answered) * 1e3)
    cpu = (usage(pid)["cpu_seconds"] - before) / rounds * 1e3
    for opened in servers.values():
        opened.close()
    report(
        "PUT answered to served",
        p50_ms=statistics.median(times),
        p99_ms=statistics.quantiles(times, n=100)[98],
        proxy_cpu_ms=cpu,
    )


@contextlib.contextmanager
def background(server: RunningApiServer, count: int, rate: int) -> Iterator[None]:
    """Meanwhile another process changes ``rate`` slices of other Services a second."""

    context = multiprocessing.get_context("fork")
    done = context.Value("i", 0)

    def work() -> None:
        api = Api(server)
        begun = time.perf_counter()
        for step in itertools.count():
            number = 50 + step % (count - 50)
            addresses = some_addresses(number)
            addresses[step // count % ENDPOINTS] = str(ipaddress.ip_address("10.250.0.1") + step)
            api.request("PUT", f"{PARENT}/service-{number}", slice_of(number, addresses))
            done.value = step + 1
            time.sleep(max(begun + (step + 1) / rate - time.perf_counter(), 0))

    process = context.Process(target=work, daemon=True)
    process.start()
    started = time.perf_counter()
    try:
        yield
    finally:
        report("  other changes", per_second=done.value / (time.perf_counter() - started))
        process.terminate()
        process.join()


def slice_only(address: str) -> dict[str, Any]:
    return {"endpoints": [{"addresses": [address], "nodeName": "node-1", "conditions": {"ready": True}}]}


async def served_by(loop: asyncio.AbstractEventLoop, servers: dict[str, socket.socket], address: str) -> str:
    """Which server a new connection to an address ends at."""
    with namespaces.open_socket(namespaces.path_of(NAMESPACE)) as client:
        client.setblocking(False)
        await loop.sock_connect(client, (address, 80))
        while True:
            for name, server in servers.items():
                with contextlib.suppress(BlockingIOError):
                    server.accept()[0].close()
                    return name


def report(name: str, **figures: float) -> None:
    print(f"{name:28}", *(f"{key}={value:.3f}" for key, value in figures.items()), flush=True)


def main(count: int, rounds: int) -> None:
    path = namespaces.path_of(NAMESPACE)
    with RouteSocket(path) as routes:
        routes.set_link("lo", up=True)
        for address in REAL:
            routes.add_address("lo", f"{address}/32")
        routes.add_route(None, link="lo")
    with tempfile.TemporaryDirectory() as directory:
        server = RunningApiServer(Path(directory), ("--service-cluster-ip-range=10.96.0.0/15",))
        with namespaces.enter(path):
            server.start()
        try:
            Api(server).request("POST", "/api/v1/nodes", {"metadata": {"name": "node-1"}})
            started = time.perf_counter()
            fill(server, count)
            report(f"made {count} Services", seconds=time.perf_counter() - started)
            with proxy(server) as pid:
                asyncio.run(changes(server, pid, count, rounds))
                for rate in (100, 500):
                    with background(server, count, rate):
                        print(f"while {rate} other slices change a second:")
                        asyncio.run(changes(server, pid, count, rounds))
                report("at the end", **usage(pid))
            with proxy(server):
                pass
        finally:
            server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("services", type=int, nargs="?", default=10_000)
    parser.add_argument("--rounds", type=int, default=500, help="changes to measure")
    arguments = parser.parse_args()
    if NAMESPACE in namespaces.names():
        namespaces.delete_named(NAMESPACE)
    namespaces.create_named(NAMESPACE)
    try:
        main(arguments.services, arguments.rounds)
    finally:
        namespaces.delete_named(NAMESPACE)
