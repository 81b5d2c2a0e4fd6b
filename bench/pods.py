"""How soon 300 Pods of one `kubectl apply` are Ready on one machine, and how much memory of ours each takes.

    .venv/bin/python bench/pods.py [--pods 300]

Brings up a cluster of three nodes under a name and a directory of its own, as root; applies that many Pods of
`clusterip.local/echo` at once; follows them until the last one is Ready, and deletes them again; takes the
cluster down. Memory is the proportional set size (shared pages counted once) of what is not the containers'
own program: what the node agents have grown by, and what stays beside each container, its monitor and crun.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import uvloop
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from clusterip.client.config import load
from clusterip.client.rest import Client
from clusterip.cluster.status import memory_of
from clusterip.objects.core.pod import Pod
from tests.support.kubectl import kubectl_path

CLUSTERIP = Path(sys.executable).parent / "clusterip"
RANGES = [
    "--subnet=172.30.248.0/24",
    "--cluster-cidr=10.248.0.0/16",
    "--service-cluster-ip-range=10.252.0.0/16",
]
NAMESPACE = "default"
SECONDS = 150
"""When it is given up."""


def clusterip(*arguments: str) -> str:
    done = subprocess.run([CLUSTERIP, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def manifest(count: int) -> bytes:
    def pod(number: int) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"echo-{number}", "labels": {"app": "echo"}},
            "spec": {"containers": [{"name": "echo", "image": "clusterip.local/echo"}]},
        }

    return yaml.safe_dump_all([pod(number) for number in range(count)]).encode()


class Parts:
    """The cluster's processes: memory and time on a processor, by kind."""

    def __init__(self, where: list[str]) -> None:
        status = json.loads(clusterip("status", *where, "-o", "json"))
        self.kubeconfig: str = status["kubeconfig"]
        self._pids: dict[str, list[int]] = {}
        for part in status["parts"]:
            kind = part["name"].split("/")[-1].split("@")[0]
            self._pids.setdefault(kind, []).append(part["pid"])

    def memory(self) -> dict[str, int]:
        """Bytes."""
        return {kind: sum(map(memory_of, pids)) for kind, pids in self._pids.items()}

    def seconds(self) -> dict[str, float]:
        return {kind: sum(map(cpu_seconds, pids)) for kind, pids in self._pids.items()}


def cpu_seconds(pid: int) -> float:
    """What a process and those it has waited for have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def beside_containers(directory: str) -> Counter[str]:
    """Bytes of the processes that stay beside containers, by what they are."""
    found: Counter[str] = Counter()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if not any(word.startswith(directory.encode()) for word in words):
            continue
        if any(word.endswith(b"/monitor.sh") for word in words):
            found["monitors"] += memory_of(int(entry.name))
        elif words[0].endswith(b"crun"):
            found["crun"] += memory_of(int(entry.name))
    return found


async def follow(client: Client, count: int, ready: list[float], began: float) -> None:
    """Note when each Pod became Ready, until all are."""
    seen: set[str] = set()
    async for event in client.watch(Pod, NAMESPACE):
        if event.type == "BOOKMARK" or event.object.metadata.name in seen:
            continue
        if any(c.type == "Ready" and c.status == "True" for c in event.object.status.conditions):
            seen.add(event.object.metadata.name)
            ready.append(time.perf_counter() - began)
            if len(ready) == count:
                return


async def gone(client: Client) -> None:
    """Return when there are no Pods any more."""
    while True:
        listed = await client.list(Pod, NAMESPACE)
        left = {pod.metadata.name for pod in listed.items}
        if not left:
            return
        async for event in client.watch(Pod, NAMESPACE, resource_version=listed.metadata.resourceVersion):
            if event.type == "DELETED":
                left.discard(event.object.metadata.name)
                if not left:
                    return


async def kubectl(kubeconfig: str, *arguments: str, stdin: bytes = b"") -> None:
    process = await asyncio.create_subprocess_exec(
        *(kubectl_path(), f"--kubeconfig={kubeconfig}", *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    await process.communicate(stdin)
    if process.returncode:
        raise SystemExit(f"kubectl {arguments[0]} failed")


def differences(before: Mapping[str, float], after: Mapping[str, float]) -> Iterable[tuple[str, float]]:
    return sorted(((kind, after[kind] - before[kind]) for kind in after), key=lambda pair: -pair[1])


async def measure(parts: Parts, directory: str, count: int) -> None:
    kubectl_path()  # unpacked before the clock starts
    body = manifest(count)
    memory, used = parts.memory(), parts.seconds()
    ready: list[float] = []
    async with Client(load(parts.kubeconfig)) as client, asyncio.timeout(SECONDS):
        began = time.perf_counter()
        following = asyncio.create_task(follow(client, count, ready, began))
        try:
            await kubectl(parts.kubeconfig, "apply", "-f", "-", stdin=body)
            applied = time.perf_counter() - began
            await following
        except TimeoutError:
            raise SystemExit(f"{len(ready)} of {count} Pods were Ready after {SECONDS} s") from None
        print(f"kubectl apply of {count} Pods: {applied:.1f} s")
        print(f"half of them Ready: {ready[count // 2 - 1]:.1f} s; all: {ready[-1]:.1f} s", flush=True)
        spent = differences(used, parts.seconds())
        print("CPU until then: " + ", ".join(f"{kind} {value:.1f} s" for kind, value in spent))

        now = parts.memory()
        ours = beside_containers(directory)
        ours["agents"] = now["node"] - memory["node"]
        shares = ", ".join(f"{kind} {size / count / 1e6:.2f} MB" for kind, size in ours.most_common())
        print(f"memory of ours for a Pod: {sum(ours.values()) / count / 1e6:.2f} MB: {shares}")
        grown = differences(memory, now)
        shown = ", ".join(f"{kind} {value / 1e6:.0f} MB" for kind, value in grown)
        print(f"memory the parts grew by: {shown}")

        began = time.perf_counter()
        going = asyncio.create_task(gone(client))
        await kubectl(parts.kubeconfig, "delete", "pods", "--all", "--wait=false")
        await going
        print(f"all deleted: {time.perf_counter() - began:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pods", type=int, default=300)
    count = parser.parse_args().pods
    with tempfile.TemporaryDirectory() as directory:
        where = ["--name=benchpods", f"--state-dir={directory}"]
        try:
            clusterip("up", *where, *RANGES)
            uvloop.run(measure(Parts(where), directory, count))
        finally:
            clusterip("down", *where)


if __name__ == "__main__":
    main()
