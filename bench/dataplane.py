"""What a connection to a Service costs beside one to the Pod itself: ``python bench/dataplane.py``.

Client and server are in Pods' namespaces, on one node and on two; the proxy of each mode runs on the
client's node. Figures are ratios to the direct connection, measured in turns with it, so that a noisy
machine disturbs both. Takes nginx, wrk and iperf3 (Debian: nginx-light wrk iperf3), root, and a machine
that does nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import itertools
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from dataplane_picture import Point, draw

from clusterip.kernel import namespaces
from clusterip.kernel.bpf.filesystem import cgroup_root
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.proxy import modes, wire
from clusterip.proxy.backend import BackendOptions, PodDetection
from clusterip.proxy.sync import Sync
from clusterip.proxy.tracker import Tracker

PREFIX = "clusterip-bench-dp"
POD_CIDR = ipaddress.ip_network("10.244.0.0/16")
CLIENT, NEAR, FAR = "10.244.1.9", "10.244.1.2", "10.244.2.2"
HTTP, BEHIND, IPERF = 8080, 8081, 5201
"""The server's ports: for direct connections, behind Services, and iperf3's. A connection that is tracked
under a Service's address and one that is not would otherwise compete for the same source ports."""
CONTROL = "control"
"""In place of a mode: the Pod itself, measured against itself."""
FIRST_IP = ipaddress.ip_address("10.96.0.1")
NGINX = """
worker_processes 1; daemon off; pid {pid}; error_log /dev/null;
events {{ worker_connections 4096; multi_accept on; }}
http {{ access_log off; keepalive_requests 1000000000;
  server {{ listen {direct} backlog=65535 reuseport; listen {behind} backlog=65535 reuseport;
    return 200 "ok"; }} }}
"""


class Figures(NamedTuple):
    """Of one way to the server."""

    connections_per_second: float
    connect_p50_us: float
    connect_p99_us: float
    requests_per_second: float
    bytes_per_second: float


class Network:
    """Two nodes, a client Pod on the first, a server Pod on each."""

    def __init__(self) -> None:
        self.close()
        self.node = namespaces.create_named(f"{PREFIX}-node-a")
        self.far_node = namespaces.create_named(f"{PREFIX}-node-b")
        for each in (self.node, self.far_node):
            namespaces.write_sysctl("net.ipv4.ip_forward", 1, each)
            for state in ("time_wait", "close"):  # or the table fills up with connections long gone
                namespaces.write_sysctl(f"net.netfilter.nf_conntrack_tcp_timeout_{state}", 1, each)
        with RouteSocket(self.node) as a, RouteSocket(self.far_node) as b:
            a.add_veth("wire", "wire", peer_namespace=self.far_node)
            for side, address, other, pods in (
                (a, "192.0.2.1", "192.0.2.2", "10.244.2.0/24"),
                (b, "192.0.2.2", "192.0.2.1", "10.244.1.0/24"),
            ):
                side.add_address("wire", f"{address}/24")
                side.set_link("wire", up=True)
                side.set_link("lo", up=True)
                side.add_route(pods, gateway=other)
            a.add_route(None, gateway="192.0.2.2")
        self.client = self._pod(self.node, "client", CLIENT)
        self.near = self._pod(self.node, "near", NEAR)
        self.far = self._pod(self.far_node, "far", FAR)

    def _pod(self, node: Path, name: str, address: str) -> Path:
        pod = namespaces.create_named(f"{PREFIX}-{name}")
        namespaces.write_sysctl("net.ipv4.ip_local_port_range", "1024 65535", pod)
        # A port seen with one Service's timestamps would be refused to the next for a minute.
        namespaces.write_sysctl("net.ipv4.tcp_max_tw_buckets", 0, pod)
        namespaces.write_sysctl("net.core.somaxconn", 65535, pod)
        with RouteSocket(node) as outside, RouteSocket(pod) as inside:
            outside.add_veth(name, "eth0", peer_namespace=pod)
            outside.add_address(name, "169.254.1.1/32")
            outside.set_link(name, up=True)
            outside.add_route(f"{address}/32", link=name)
            inside.add_address("eth0", f"{address}/32")
            inside.set_link("eth0", up=True)
            inside.set_link("lo", up=True)
            inside.add_route("169.254.1.1/32", link="eth0")
            inside.add_route(None, gateway="169.254.1.1", link="eth0")
        return pod

    def close(self) -> None:
        for name in namespaces.names():
            if name.startswith(PREFIX):
                namespaces.delete_named(name)


class Processes:
    """What runs in the Pods; the client's are in a cgroup of their own, for eBPF to find."""

    def __init__(self, network: Network, directory: Path) -> None:
        self.network = network
        root = cgroup_root()
        self.cgroup = root / f"{PREFIX}-{os.getpid()}" if root is not None else None
        if self.cgroup is not None:
            self.cgroup.mkdir(exist_ok=True)
        self._running = []
        for pod in (network.near, network.far):
            config = directory / f"{pod.name}.conf"
            config.write_text(NGINX.format(pid=directory / f"{pod.name}.pid", direct=HTTP, behind=BEHIND))
            self._running.append(self._start(pod, "nginx", "-p", str(directory), "-c", str(config)))
            self._running.append(self._start(pod, "iperf3", "-s", "-p", str(IPERF)))
        for address in (NEAR, FAR):
            self._await_port(address)

    def _start(self, pod: Path, *command: str) -> subprocess.Popen[bytes]:
        with namespaces.enter(pod):
            return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _await_port(self, address: str) -> None:
        for _ in range(200):
            try:
                with namespaces.open_socket(self.network.client) as probe:
                    probe.connect((address, HTTP))
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"nginx does not answer on {address}:{HTTP}")

    def run(self, *command: str) -> str:
        """A program in the client's Pod; its output."""
        join = f"echo $$ > {self.cgroup}/cgroup.procs; " if self.cgroup is not None else ""
        with namespaces.enter(self.network.client):
            shell = ["sh", "-c", f'{join}exec "$@"', "sh", *command]
            return subprocess.run(shell, capture_output=True, text=True, check=True).stdout

    def close(self) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait()
        if self.cgroup is not None:
            self.cgroup.rmdir()


def measure(processes: Processes, address: str, http: int, iperf: int, seconds: float) -> Figures:
    """Everything about one way to the server."""
    url = f"http://{address}:{http}/"
    duration = f"{max(1, round(seconds))}s"
    fresh = processes.run("wrk", "-t1", "-c16", f"-d{duration}", "-H", "Connection: close", url)
    kept = processes.run("wrk", "-t1", "-c16", f"-d{duration}", url)
    times = json.loads(processes.run(sys.executable, __file__, "--probe", address, str(http)))
    sent = json.loads(processes.run("iperf3", "-c", address, "-p", str(iperf), "-t", duration[:-1], "-J"))
    return Figures(
        connections_per_second=_requests(fresh),
        connect_p50_us=times[0],
        connect_p99_us=times[1],
        requests_per_second=_requests(kept),
        bytes_per_second=sent["end"]["sum_received"]["bits_per_second"] / 8,
    )


def _requests(output: str) -> float:
    [line] = [each for each in output.splitlines() if each.startswith("Requests/sec:")]
    return float(line.split()[1])


def probe(address: str, port: int, count: int = 20_000) -> tuple[float, float]:
    """The median and the 99th percentile of the time that ``connect`` takes, in microseconds."""
    times = []
    for _ in range(count):
        with socket.socket() as client:
            started = time.perf_counter()
            client.connect((address, port))
            times.append((time.perf_counter() - started) * 1e6)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    times.sort()
    return times[count // 2], times[count * 99 // 100]


class Nothing:
    """In place of a proxy: how far two measurements of one and the same way lie apart."""

    async def start(self, count: int, server: str) -> float:
        return 0.0

    def close(self) -> None:
        pass


class Proxy:
    """The proxy of the client's node, with so many Services of one endpoint, the server."""

    def __init__(self, network: Network, mode: str, cgroup: Path | None) -> None:
        self._network, self._mode = network, mode
        options = BackendOptions(PodDetection(cidrs=(POD_CIDR,)), cgroup=cgroup)
        with namespaces.enter(network.node):
            self._sync = Sync(Tracker("node-a"), modes.get(mode).open(options))
        self._task: asyncio.Task[None]

    async def start(self, count: int, server: str) -> float:
        """Returns the seconds until every Service works."""
        for number in range(count):
            self._sync.tracker.service_changed(None, service(number))
            self._sync.tracker.slice_changed(None, slice_of(number, server))
        started = time.perf_counter()
        self._task = asyncio.create_task(self._sync.run())
        await self._sync.synced.wait()
        return time.perf_counter() - started

    def close(self) -> None:
        self._task.cancel()
        self._sync.close()
        namespaces.run_in(self._network.node, lambda: modes.clean_up(self._mode))


def service(number: int) -> wire.Service:
    address = str(FIRST_IP + number)
    ports = [{"name": "http", "port": 80}, {"name": "iperf", "port": IPERF}]
    tree = {
        "metadata": {"name": f"s{number}", "namespace": "default", "uid": str(number)},
        "spec": {"type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "ports": ports},
    }
    return msgspec.json.decode(msgspec.json.encode(tree), type=wire.Service)


def slice_of(number: int, server: str) -> wire.EndpointSlice:
    labels = {"kubernetes.io/service-name": f"s{number}"}
    tree = {
        "addressType": "IPv4",
        "metadata": {"name": f"s{number}-a", "namespace": "default", "labels": labels},
        "endpoints": [{"addresses": [server], "conditions": {"ready": True}}],
        "ports": [{"name": "http", "port": BEHIND}, {"name": "iperf", "port": IPERF}],
    }
    return msgspec.json.decode(msgspec.json.encode(tree), type=wire.EndpointSlice)


async def compare(
    processes: Processes, mode: str, count: int, server: str, seconds: float, rounds: int
) -> tuple[Figures, Figures, float]:
    """The medians of the ratios of a Service to the Pod, and of the figures themselves; start-up seconds."""
    proxy = Nothing() if mode == CONTROL else Proxy(processes.network, mode, processes.cgroup)
    try:
        start = await proxy.start(count, server)
        targets = itertools.cycle((count - 1, random.randrange(count)))
        pairs = []
        for number in range(rounds):
            way = (server, BEHIND) if mode == CONTROL else (str(FIRST_IP + next(targets)), 80)
            ways = {"direct": (server, HTTP), "through": way}
            taken = {}
            for name in sorted(ways, reverse=bool(number % 2)):  # neither is always the later one
                taken[name] = await asyncio.to_thread(measure, processes, *ways[name], IPERF, seconds)
            pairs.append((taken["through"], taken["direct"]))
    finally:
        proxy.close()

    def median(of: Callable[[Figures, Figures, int], float]) -> Figures:
        return Figures(
            *(statistics.median(of(t, d, i) for t, d in pairs) for i in range(len(Figures._fields)))
        )

    return median(lambda t, d, i: t[i] / d[i]), median(lambda t, d, i: t[i]), start


@contextlib.contextmanager
def running() -> Iterator[Processes]:
    network = Network()
    directory = Path(tempfile.mkdtemp(prefix=PREFIX))
    processes = Processes(network, directory)
    try:
        yield processes
    finally:
        processes.close()
        network.close()
        shutil.rmtree(directory)


async def main(arguments: argparse.Namespace) -> list[Point]:
    points = []
    print("ratios to the Pod itself:  new connections/s  connect p99  requests/s  throughput")
    with running() as processes:
        for place, server in (("one node", NEAR), ("two nodes", FAR)):
            for mode in arguments.modes:
                if mode != CONTROL:
                    why = namespaces.run_in(processes.network.node, modes.get(mode).missing)
                    if why:
                        print(f"{mode}: {why}")
                        continue
                for count in arguments.services if mode != CONTROL else [1]:
                    ratio, figures, start = await compare(
                        processes, mode, count, server, arguments.seconds, arguments.rounds
                    )
                    print(
                        f"{place:9} {mode:9} {count:6} Services: {ratio.connections_per_second:.3f}"
                        f"  {ratio.connect_p99_us:.3f}  {ratio.requests_per_second:.3f}"
                        f"  {ratio.bytes_per_second:.3f}"
                        f"   ({figures.connections_per_second:,.0f}/s, connect {figures.connect_p50_us:.0f}/"
                        f"{figures.connect_p99_us:.0f} us, {figures.requests_per_second:,.0f} requests/s,"
                        f" {figures.bytes_per_second / 1e9:.2f} GB/s, start {start:.2f} s)",
                        flush=True,
                    )
                    if mode != CONTROL:
                        points.append(Point(place, mode, count, figures.connect_p50_us))
    return points


if __name__ == "__main__":
    if sys.argv[1:2] == ["--probe"]:
        print(json.dumps(probe(sys.argv[2], int(sys.argv[3]))))
        sys.exit()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--modes",
        nargs="+",
        default=[CONTROL, "nftables", "ebpf", "iptables"],
        choices=(CONTROL, *modes.NAMES),
    )
    parser.add_argument("--services", nargs="+", type=int, default=[1, 1_000, 10_000])
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each measurement takes")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is taken")
    parser.add_argument("--picture", help="where to draw connect time against the number of Services (SVG)")
    given = parser.parse_args()
    measured = asyncio.run(main(given))
    if given.picture:
        Path(given.picture).write_text(draw(measured))
