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
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from clusterip.kernel import namespaces
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.storage.open import open_store
from clusterip.storage.store import Put
from tests.support.apiserver import RunningApiServer

ENDPOINTS = 5
WRITERS = 3
"""Processes that change other slices: one alone is not fast enough."""
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
    """Have so many Services and slices. One of each is made by the API server, the others copied from it.

    That takes seconds instead of the minutes of so many requests. The server is stopped for it.
    """
    api = Api(server)
    api.request("POST", "/api/v1/namespaces/default/services", service(0))
    api.request("POST", PARENT, slice_of(0, some_addresses(0)))
    server.stop()
    asyncio.run(_copy(server, count))
    with namespaces.enter(namespaces.path_of(NAMESPACE)):
        server.start()


async def _copy(server: RunningApiServer, count: int) -> None:
    store = await open_store(server.store)
    found: dict[str, tuple[str, Any]] = {}
    for item in (await store.list("/registry/")).items:
        if item.key.endswith("/default/service-0"):
            tree = json.loads(item.value)
            found[tree["kind"]] = item.key.removesuffix("service-0"), tree
    changes = []
    for number in range(1, count):
        for kind, own in (
            ("Service", service(number)),
            ("EndpointSlice", slice_of(number, some_addresses(number))),
        ):
            prefix, tree = found[kind]
            tree["metadata"] |= own["metadata"] | {"uid": str(uuid.uuid4())}
            if kind == "Service":
                tree["spec"] |= {"clusterIP": cluster_ip(number), "clusterIPs": [cluster_ip(number)]}
            else:
                tree["endpoints"] = own["endpoints"]
            changes.append(Put(f"{prefix}service-{number}", json.dumps(tree, separators=(",", ":")).encode()))
    for start in range(0, len(changes), 1000):
        await store.transact((), changes[start : start + 1000])
    await store.close()


@contextlib.contextmanager
def proxy(server: RunningApiServer) -> Iterator[int]:
    """A running proxy's process; entered when its rules are in place."""
    command = ["-m", "clusterip.cli.main", "proxy", f"--kubeconfig={server.kubeconfig}"]
    _compiled(server.directory)
    started = time.perf_counter()
    with namespaces.enter(namespaces.path_of(NAMESPACE)):
        process = subprocess.Popen(
            [sys.executable, *command, "--hostname-override=node-1"], env=_compiled(server.directory)
        )
        try:
            while not ready():
                time.sleep(0.005)
            report("start until ready", seconds=time.perf_counter() - started, **usage(process.pid))
            yield process.pid
        finally:
            process.terminate()
            process.wait()


def _compiled(directory: Path) -> dict[str, str]:
    """The environment of programs that find their modules compiled, as installed ones do."""
    cache = directory / "compiled"
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(cache)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if not cache.exists():
        modules = (
            "clusterip.cli.main, clusterip.cli.proxy, clusterip.proxy.main, clusterip.proxy.nftables.mode"
        )
        subprocess.run([sys.executable, "-c", f"import {modules}"], env=environment, check=True)
    return environment


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
    """Meanwhile other processes change ``rate`` slices of other Services a second."""
    context = multiprocessing.get_context("fork")
    done = [context.Value("i", 0) for _ in range(WRITERS)]

    def work(writer: int) -> None:
        api = Api(server)
        begun = time.perf_counter()
        for step in itertools.count():
            number = 50 + (step * WRITERS + writer) % (count - 50)
            addresses = some_addresses(number)
            addresses[step // count % ENDPOINTS] = str(ipaddress.ip_address("10.250.0.1") + step)
            api.request("PUT", f"{PARENT}/service-{number}", slice_of(number, addresses))
            done[writer].value = step + 1
            time.sleep(max(begun + (step + 1) * WRITERS / rate - time.perf_counter(), 0))

    processes = [context.Process(target=work, args=(writer,), daemon=True) for writer in range(WRITERS)]
    for process in processes:
        process.start()
    started = time.perf_counter()
    try:
        yield
    finally:
        total = sum(counter.value for counter in done)
        report("  other changes", per_second=total / (time.perf_counter() - started))
        for process in processes:
            process.terminate()
            process.join()


class Traffic:
    """Connections to a Service, one after another, while the proxy is killed and started again."""

    def __init__(self, loop: asyncio.AbstractEventLoop, servers: dict[str, socket.socket]) -> None:
        self._loop = loop
        self._servers = servers
        self.made = 0
        self.failed = 0

    async def run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(1):
                    await served_by(self._loop, self._servers, cluster_ip(0))
                self.made += 1
            except OSError:
                self.failed += 1


async def restart(server: RunningApiServer, pid: int) -> None:
    """Kill the proxy and start another, while connections are made and one is held."""
    loop = asyncio.get_running_loop()
    servers = {address: listen(address) for address in REAL}
    with namespaces.open_socket(namespaces.path_of(NAMESPACE)) as held:
        held.setblocking(False)
        await loop.sock_connect(held, (cluster_ip(1), 80))
        accepted, _ = await asyncio.wait_for(_accept(loop, servers), 5)
        traffic = Traffic(loop, servers)
        task = loop.create_task(traffic.run())
        os.kill(pid, signal.SIGKILL)
        with proxy(server):
            await asyncio.sleep(1)
            task.cancel()
            await loop.sock_sendall(held, b"x")
            alive = await asyncio.wait_for(loop.sock_recv(accepted, 1), 5) == b"x"
        accepted.close()
    for opened in servers.values():
        opened.close()
    report("killed and started again", made=traffic.made, failed=traffic.failed, held_is_alive=float(alive))


async def _accept(
    loop: asyncio.AbstractEventLoop, servers: dict[str, socket.socket]
) -> tuple[socket.socket, Any]:
    waiting = [loop.create_task(loop.sock_accept(server)) for server in servers.values()]
    done, others = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for other in others:
        other.cancel()
    return next(iter(done)).result()


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
            Api(server).request("GET", f"{PARENT}?limit=1")  # the server has read its store by then
            with proxy(server) as pid:
                asyncio.run(changes(server, pid, count, rounds))
                for rate in (100, 500):
                    with background(server, count, rate):
                        print(f"while {rate} other slices change a second:")
                        asyncio.run(changes(server, pid, count, rounds))
                report("at the end", **usage(pid))
                asyncio.run(restart(server, pid))
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
