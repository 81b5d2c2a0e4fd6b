"""The name servers that are measured: ours, and others with the same names beside it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.dns_api import namespace_of

_TICKS = os.sysconf("SC_CLK_TCK")
_START_SECONDS = 120.0


@dataclass
class Running:
    """A server and the processes that answer."""

    port: int
    pids: list[int]

    @property
    def cpu_seconds(self) -> list[float]:
        """What each process has used of a core (proc(5), fields utime and stime)."""
        return [cpu_seconds(pid) for pid in self.pids]

    @property
    def memory_mb(self) -> float:
        """Proportional set size: what is shared counts once."""
        return sum(pss_mb(pid) for pid in self.pids)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def pss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no Pss")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("127.0.0.1", 0))
        return int(own.getsockname()[1])


@contextmanager
def clusterip(
    kubeconfig: Path, *arguments: str, workers: int = 1, cores: str = "0", upstream: int = 0
) -> Iterator[Running]:
    """``clusterip dns``, ready."""
    port, health = free_port(), free_port()
    forward = f"127.0.0.1:{upstream}" if upstream else "none"
    command = ["taskset", "-c", cores, sys.executable, "-m", "clusterip.cli.main", "dns"]
    command += [f"--kubeconfig={kubeconfig}", f"--bind=127.0.0.1:{port}", f"--forward={forward}"]
    command += [f"--healthz-bind-address=127.0.0.1:{health}", "--metrics-bind-address=0"]
    command += [f"--workers={workers}", "--no-loop-detection", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        _wait_ready(health, process)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        pids = list(map(int, children)) if workers > 1 else [process.pid]
        yield Running(port, pids)
    finally:
        process.terminate()
        process.wait()


def _wait_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    import http.client

    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError("clusterip dns did not get ready")


@contextmanager
def knot(directory: Path, services: int, binary: str, cores: str = "0") -> Iterator[Running]:
    """knotd with the same names as a zone; one UDP worker."""
    port = free_port()
    lines = ["$ORIGIN cluster.local.", "@ 5 SOA ns.dns hostmaster 1 7200 1800 86400 5", "@ 5 NS ns.dns"]
    lines.append("ns.dns 5 A 10.96.0.10")
    for n in range(services):
        name = f"svc-{n}.{namespace_of(n)}.svc"
        lines.append(f"{name} 5 A 10.{96 + (n >> 16)}.{n >> 8 & 255}.{n & 255}")
        lines.append(f"_http._tcp.{name} 5 SRV 0 100 80 {name}")
    (directory / "cluster.local.zone").write_text("\n".join(lines) + "\n")
    (directory / "knot.conf").write_text(
        f"server:\n  listen: 127.0.0.1@{port}\n  rundir: {directory}\n  udp-workers: 1\n  tcp-workers: 1\n"
        f"database:\n  storage: {directory}\ntemplate:\n  - id: default\n    storage: {directory}\n"
        "zone:\n  - domain: cluster.local\n"
    )
    command = ["taskset", "-c", cores, binary, "-c", str(directory / "knot.conf")]
    with _other(command, port) as running:
        yield running


@contextmanager
def dnsmasq(directory: Path, services: int, binary: str, cores: str = "0") -> Iterator[Running]:
    """dnsmasq with the same names as a hosts file."""
    port = free_port()
    hosts = directory / "hosts"
    hosts.write_text(
        "".join(
            f"10.{96 + (n >> 16)}.{n >> 8 & 255}.{n & 255} svc-{n}.{namespace_of(n)}.svc.cluster.local\n"
            for n in range(services)
        )
    )
    command = ["taskset", "-c", cores, binary, "--keep-in-foreground", "--no-resolv", "--no-hosts"]
    command += [f"--port={port}", "--listen-address=127.0.0.1", "--bind-interfaces", "--user=root"]
    command += [f"--addn-hosts={hosts}", "--local=/cluster.local/", "--local-ttl=5", "--pid-file="]
    command += [f"--conf-file={os.devnull}"]
    with _other(command, port) as running:
        yield running


@contextmanager
def _other(command: Sequence[str], port: int) -> Iterator[Running]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        query = b"\0\1\1\0\0\1\0\0\0\0\0\0\5svc-0\4ns-0\3svc\7cluster\5local\0\0\1\0\1"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.settimeout(0.2)
            own.connect(("127.0.0.1", port))
            while time.monotonic() < deadline:
                try:
                    own.send(query)
                    if own.recv(512)[7]:
                        break
                except OSError:
                    time.sleep(0.1)
            else:
                raise RuntimeError(f"{command[3]} does not answer")
        yield Running(port, [process.pid])
    finally:
        process.terminate()
        process.wait()
