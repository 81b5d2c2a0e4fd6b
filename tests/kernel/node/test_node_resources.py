"""Pods are held to their resources, as far as this machine has cgroups for it, and what they use is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterip.node.cgroups.tree import PodCgroups, noted
from tests.support.nodes import RunningNode, container_status, eventually, running_node

IMAGE = "clusterip.local/host"
FILL = "import time; kept = bytearray(%d << 20); kept[::4096] = b'x' * len(kept[::4096])"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with running_node(tmp_path_factory.mktemp("node"), "--pod-max-pids=40") as running:
        yield running


@pytest.fixture(scope="module")
def controllers() -> set[str]:
    """The controllers that Pods' cgroups have on this machine."""
    return {name for place in PodCgroups().places for name in place.controllers}


def need(controllers: set[str], *wanted: str) -> None:
    if missing := set(wanted) - controllers:
        pytest.skip(f"no cgroup controllers here: {', '.join(sorted(missing))}")


def cgroups(node: RunningNode, pod: dict[str, Any], container: str = "") -> list[Path]:
    """The cgroups of a Pod, or of the first attempt at a container."""
    place = node.root / "pods" / pod["metadata"]["uid"]
    return noted(place / "containers" / container / "0" if container else place)


def value(paths: list[Path], *names: str) -> str:
    """What the first file says that there is: its name differs between the versions of cgroups."""
    files = [path / name for path in paths for name in names]
    return next(file for file in files if file.exists()).read_text().strip()


def test_limits_and_requests_are_those_of_cgroups(node: RunningNode, controllers: set[str]) -> None:
    need(controllers, "cpu", "memory", "pids")
    resources = {"requests": {"cpu": "250m", "memory": "16Mi"}, "limits": {"cpu": "500m", "memory": "64Mi"}}
    node.run("burst", "sleep", "1000", resources=resources)
    node.run("best", "sleep", "1000")
    same = {"cpu": "100m", "memory": "32Mi"}
    node.run("guaranteed", "sleep", "1000", resources={"requests": same, "limits": same})
    pods = {name: node.wait_ready(name) for name in ("burst", "best", "guaranteed")}
    of_pod, of_container = cgroups(node, pods["burst"]), cgroups(node, pods["burst"], "main")
    for paths in (of_pod, of_container):
        assert value(paths, "cpu.shares", "cpu.weight") in ("256", "10")
        assert value(paths, "cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
        assert value(paths, "memory.limit_in_bytes", "memory.max") == str(64 << 20)
    assert value(of_pod, "pids.max") == "40"
    assert all(path.parent.name == "burstable" for path in of_pod)
    assert all(path.parent.name == "besteffort" for path in cgroups(node, pods["best"]))
    assert all(path.parent.name == "kubepods" for path in cgroups(node, pods["guaranteed"]))
    assert value(cgroups(node, pods["best"]), "cpu.shares", "cpu.weight") in ("2", "1")
    scores = {name: int(node.kubectl("exec", name, "--", "cat", "/proc/1/oom_score_adj")) for name in pods}
    assert scores["best"] == 1000
    own = int(Path("/proc/self/oom_score_adj").read_text())
    assert scores["guaranteed"] in (-997, own)  # a lower one than its own is not everybody's to give
    assert 3 <= scores["burst"] <= 999
    # What is run in a container later is held as well.
    shown = node.kubectl("exec", "burst", "--", "cat", "/proc/self/cgroup")
    assert f"pod{pods['burst']['metadata']['uid']}" in shown
    for name in pods:
        node.kubectl("delete", "pod", name, "--wait=false")
    for name in pods:
        node.wait_gone(name)
    eventually(lambda: not any(path.exists() for path in (*of_pod, *of_container)))


def test_who_takes_more_memory_than_its_limit_is_ended(node: RunningNode, controllers: set[str]) -> None:
    need(controllers, "memory")
    limits = {"limits": {"memory": "48Mi"}}
    command = ("python3", "-c", f"{FILL % 100}; print('filled', flush=True); time.sleep(1000)")
    node.run("greedy", *command, resources=limits, restartPolicy="Never")
    pod = node.wait_phase("greedy", "Failed")
    ended = container_status(pod)["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
    node.kill()
    node.start()
    # A new agent knows it too.
    assert container_status(node.pod("greedy") or {})["state"]["terminated"]["reason"] == "OOMKilled"
    # Only what its Pod has counts: another one of that size runs.
    node.run("modest", *command, resources={"limits": {"memory": "300Mi"}})
    node.wait_ready("modest")
    eventually(lambda: node.kubectl("logs", "modest") == "filled\n")


def test_a_pod_has_no_more_processes_than_it_may(node: RunningNode, controllers: set[str]) -> None:
    need(controllers, "pids")
    script = "for i in $(seq 100); do sleep 1000 & done; sleep 1000"
    node.run("many", "bash", "-c", script)
    eventually(lambda: "Resource temporarily unavailable" in node.kubectl("logs", "many"))


def test_the_processor_is_rationed(node: RunningNode, controllers: set[str]) -> None:
    need(controllers, "cpu")
    node.run("busy", "sh", "-c", "while :; do :; done", resources={"limits": {"cpu": "100m"}})
    pod = node.wait_ready("busy")
    pid = int((node.root / "pods" / pod["metadata"]["uid"] / "containers/main/0/pid").read_text())

    def throttled() -> int:
        stat = value(cgroups(node, pod, "main"), "cpu.stat")
        return int(dict(line.split() for line in stat.splitlines())["nr_throttled"])

    eventually(lambda: throttled() > 3)
    assert Path(f"/proc/{pid}").exists()
    node.kubectl("delete", "pod", "busy")
