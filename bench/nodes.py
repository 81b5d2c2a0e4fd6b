"""A thousand nodes on one control plane: what it takes while idle, and how soon all know of a change.

    .venv/bin/python bench/nodes.py [--nodes 1000] [--seconds 60] [--changes 200]

The API server and the controllers are the real programs, with a store on disk and the authorizers of a
cluster. Each node is a client of its own with its own certificate, over TLS: it registers, renews its Lease
every ten seconds, reports its status every five minutes, and watches Services, EndpointSlices and its Pods
(with ``--watch-nodes`` also Nodes, as agents do that make the Pod network). All nodes are tasks of this one
process, on the same machine: the latencies include what it needs to decrypt and read a thousand events.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import random
import resource
import ssl
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1]))

from clusterip.objects import times
from tests.support.apiserver import RunningApiServer, running_apiserver
from tests.support.controllers import RunningControllers
from tests.support.pki import Authority

LEASE_SECONDS = 10.0
STATUS_SECONDS = 300.0
JOINING = 50
"""How many nodes join at a time."""
SERVICES = "/api/v1/namespaces/default/services"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class Connection:
    """One keep-alive connection, as plain as can be."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int, tls: ssl.SSLContext) -> Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls, limit=1 << 26))

    def send(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> None:
        data = json.dumps(body).encode() if body is not None else b""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        self._writer.write(head.encode() + data)

    async def request(
        self, method: str, path: str, body: Any = None, kind: str = "application/json"
    ) -> tuple[int, bytes]:
        self.send(method, path, body, kind)
        head = await self.reader.readuntil(b"\r\n\r\n")
        start = head.index(b"Content-Length: ") + 16
        length = int(head[start : head.index(b"\r\n", start)])
        return int(head[9:12]), await self.reader.readexactly(length)

    def close(self) -> None:
        self._writer.close()


class SimulatedNode:
    """One node's connections and what it does with them."""

    def __init__(self, name: str, bench: Bench) -> None:
        self.name = name
        self._bench = bench
        self._lease: dict[str, Any] = {
            "metadata": {"name": name},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": 40},
        }

    async def join(self, own: ssl.SSLContext) -> None:
        """Register, and have all watches open."""
        bench = self._bench
        self._requests = await Connection.open(bench.port, own)
        await self._expect(201, "POST", "/api/v1/nodes", {"metadata": {"name": self.name}})
        await self._report()
        await self._renew(created=False)
        pods = f"/api/v1/pods?fieldSelector=spec.nodeName={self.name}"
        await bench.watch(own, pods)
        await bench.watch(bench.proxy, "/apis/discovery.k8s.io/v1/endpointslices?x=")
        await bench.watch(bench.proxy, "/api/v1/services?x=", bench.seen)
        if bench.watches_nodes:
            await bench.watch(bench.network, "/api/v1/nodes?x=")
        bench.start(self._renew_for_ever())
        bench.start(self._report_for_ever())

    async def _renew(self, *, created: bool = True) -> None:
        self._lease["spec"]["renewTime"] = times.now_micro()
        if created:
            body = await self._expect(200, "PUT", f"{LEASES}/{self.name}", self._lease)
        else:
            body = await self._expect(201, "POST", LEASES, self._lease)
        self._lease = json.loads(body)

    async def _renew_for_ever(self) -> None:
        await asyncio.sleep(random.random() * LEASE_SECONDS)
        while True:
            await self._renew()
            await asyncio.sleep(LEASE_SECONDS)

    async def _report(self) -> None:
        now = times.now()
        conditions = [
            {"type": type_, "status": status, "reason": "Bench", "lastHeartbeatTime": now}
            for type_, status in (
                ("NetworkUnavailable", "False"),
                ("MemoryPressure", "False"),
                ("DiskPressure", "False"),
                ("PIDPressure", "False"),
                ("Ready", "True"),
            )
        ]
        status = {
            "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}],
            "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "conditions": conditions,
        }
        path = f"/api/v1/nodes/{self.name}/status"
        await self._expect(200, "PATCH", path, {"status": status}, "application/strategic-merge-patch+json")

    async def _report_for_ever(self) -> None:
        await asyncio.sleep(random.random() * STATUS_SECONDS)
        while True:
            await self._report()
            await asyncio.sleep(STATUS_SECONDS)

    async def _expect(self, code: int, *request: Any) -> bytes:
        async with self._bench.busy(self.name):
            found, body = await self._requests.request(*request)
        if found != code:
            raise SystemExit(f"{request[:2]}: {found}: {body.decode()}")
        return body


class Bench:
    """All nodes, and what they have seen."""

    def __init__(self, server: RunningApiServer, authority: Authority, *, watches_nodes: bool) -> None:
        self.port = server.port
        self.watches_nodes = watches_nodes
        self._authority = authority
        self._server = server
        self.proxy = self.context("proxy", "system:kube-proxy")
        self.network = self.context("network", "clusterip:network")
        self._admin = self.context("admin", "admin", "system:masters")
        self._locks: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._marker = b"nothing yet"
        self._began = 0.0
        self._arrivals: list[float] = []
        self._all_have_it = asyncio.Event()
        self._watchers = 0

    def context(self, file: str, user: str, group: str = "") -> ssl.SSLContext:
        """How a user connects."""
        certificate, key = self._authority.issue(file, user, organizations=[group] if group else [])
        context = ssl.create_default_context(cafile=str(self._server.ca_file))
        context.load_cert_chain(certificate, key)
        return context

    def busy(self, name: str) -> asyncio.Lock:
        """Held while a node's connection for requests is in use."""
        return self._locks.setdefault(name, asyncio.Lock())

    def start(self, work: Any) -> None:
        """Have something done until the end; its failure is that of all."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() and not self.failure.done():
            self.failure.set_exception(task.exception() or RuntimeError())

    async def join(self, count: int) -> None:
        places = asyncio.Semaphore(JOINING)

        async def one(number: int) -> None:
            name = f"node-{number}"
            async with places:
                context = self.context(name, f"system:node:{name}", "system:nodes")
                await SimulatedNode(name, self).join(context)

        await asyncio.gather(*(one(number) for number in range(count)))

    async def watch(
        self, tls: ssl.SSLContext, path: str, seen: Callable[[bytes], None] | None = None
    ) -> None:
        """Open a watch, and read from it until the end. Returns once the server has answered."""
        connection = await Connection.open(self.port, tls)
        connection.send("GET", f"{path}&watch=1&allowWatchBookmarks=true&timeoutSeconds=86400")
        head = await connection.reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise SystemExit(f"{path}: {head.decode()}")
        if seen is not None:
            self._watchers += 1

        async def read() -> None:
            while True:
                event = await connection.reader.readuntil(b"\n\r\n")
                if seen is not None:
                    seen(event)

        self.start(read())

    def seen(self, event: bytes) -> None:
        if self._marker in event:
            self._arrivals.append(time.perf_counter() - self._began)
            if len(self._arrivals) == self._watchers:
                self._all_have_it.set()

    async def change(self, count: int) -> tuple[list[float], list[float]]:
        """Change a Service so many times; after how many seconds each watcher had it, and the last one."""
        writer = await Connection.open(self.port, self._admin)
        ports = [{"port": 80, "protocol": "TCP", "targetPort": 8080}]
        code, body = await writer.request(
            "POST", SERVICES, {"metadata": {"name": "changed"}, "spec": {"ports": ports}}
        )
        assert code == 201, body
        each: list[float] = []
        last: list[float] = []
        for number in range(count):
            await asyncio.sleep(0.05 + random.random() * 0.1)
            self._marker = f'"bench":"change-{number}"'.encode()
            self._arrivals = []
            self._all_have_it.clear()
            patch = {"metadata": {"annotations": {"bench": f"change-{number}"}}}
            self._began = time.perf_counter()
            async with asyncio.timeout(60):
                code, body = await writer.request(
                    "PATCH", f"{SERVICES}/changed", patch, "application/merge-patch+json"
                )
                assert code == 200, body
                await self._all_have_it.wait()
            each += self._arrivals
            last.append(max(self._arrivals))
        return each, last


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def megabytes(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def percentile(values: list[float], share: float) -> float:
    """Milliseconds."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


async def measure(bench: Bench, processes: dict[str, int], options: argparse.Namespace) -> None:
    def memory(when: str) -> None:
        shown = ", ".join(f"{name} {megabytes(pid):,.0f} MB" for name, pid in processes.items())
        print(f"memory {when:24} {shown}", flush=True)

    memory("before")
    began = time.perf_counter()
    used = {name: cpu_seconds(pid) for name, pid in processes.items()}
    await bench.join(options.nodes)
    took = time.perf_counter() - began
    spent = ", ".join(f"{name} {cpu_seconds(pid) - used[name]:.1f} s" for name, pid in processes.items())
    print(f"{options.nodes} nodes joined in {took:.1f} s     of CPU: {spent}", flush=True)
    await asyncio.sleep(LEASE_SECONDS)  # what their joining has led to is over
    memory("with all nodes")
    used = {name: cpu_seconds(pid) for name, pid in processes.items()}
    await asyncio.sleep(options.seconds)
    idle = {name: (cpu_seconds(pid) - used[name]) / options.seconds for name, pid in processes.items()}
    shown = ", ".join(f"{name} {share:.2f} cores" for name, share in idle.items())
    print(f"CPU while idle                  {shown}", flush=True)
    gc.collect()
    gc.freeze()  # what this process would take for its own collections is no part of the measurement
    used = {name: cpu_seconds(pid) for name, pid in processes.items()}
    began = time.perf_counter()
    each, last = await bench.change(options.changes)
    took = time.perf_counter() - began
    for name, values in (("a watcher", each), ("the last watcher", last)):
        p50, p99 = percentile(values, 0.5), percentile(values, 0.99)
        print(f"a change reaches {name:18} p50 {p50:6.1f} ms   p99 {p99:6.1f} ms", flush=True)
    spent = cpu_seconds(processes["API server"]) - used["API server"]
    own = (spent - idle["API server"] * took) / options.changes * 1000
    print(f"CPU for a change                API server {own:.1f} ms", flush=True)
    memory("at the end")


async def main(options: argparse.Namespace) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        authority = Authority(directory)
        server = stack.enter_context(
            running_apiserver(
                directory,
                f"--client-ca-file={authority.certificate}",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
            )
        )
        log = directory / "controllers.log"
        controllers = RunningControllers(
            server.kubeconfig, log, "--cluster-cidr=10.128.0.0/9", "--service-cluster-ip-range=10.96.0.0/16"
        )
        controllers.start()
        stack.callback(controllers.stop)
        bench = Bench(server, authority, watches_nodes=options.watch_nodes)
        work = asyncio.ensure_future(
            measure(bench, {"API server": server.pid, "controllers": controllers.pid}, options)
        )
        await asyncio.wait((work, bench.failure), return_when=asyncio.FIRST_COMPLETED)
        if bench.failure.done():
            await bench.failure
        await work
        bench.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=60, help="how long to look at it while idle")
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--watch-nodes", action="store_true")
    uvloop.run(main(parser.parse_args()))
