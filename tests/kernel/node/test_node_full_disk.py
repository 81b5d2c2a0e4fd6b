"""A node short of disk or memory: images go, then Pods; and nothing is lost where there is no room at all."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterip.kernel import mounts
from clusterip.node.cgroups.tree import PodCgroups
from clusterip.node.cgroups.tree import noted as noted_cgroups
from clusterip.node.images.archive import import_archive
from clusterip.node.images.store import ImageStore
from clusterip.node.runtime.container import MONITOR, noted
from tests.support.images import layer, shell_layer, write_layout
from tests.support.nodes import (
    NODE,
    RunningNode,
    container_status,
    eventually,
    is_ready,
    running_node,
)

MIB = 1 << 20
SIZE = 64 * MIB


@contextlib.contextmanager
def small_disk(directory: Path) -> Iterator[None]:
    """All that a node keeps is on a disk of its own, a small one."""
    state = directory / "state"
    state.mkdir()
    mounts.mount_tmpfs(state, f"size={SIZE}")
    try:
        yield
    finally:
        mounts.unmount(state)


@pytest.fixture
def short(tmp_path: Path) -> Iterator[RunningNode]:
    options = (
        *("--housekeeping-interval=200ms", "--eviction-pressure-transition-period=1s"),
        *("--eviction-hard=nodefs.available<20%", "--minimum-image-ttl-duration=0s"),
        *("--image-gc-high-threshold=60", "--image-gc-low-threshold=50"),
    )
    with small_disk(tmp_path), running_node(tmp_path, *options) as running:
        yield running


def fill(node: RunningNode, size: int = SIZE) -> Path:
    """Take room on the node's disk: ``size``, or all there is."""
    path = node.root / "filler"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.tell() < size:
            file.write(os.urandom(MIB))
    return path


def node_reasons(node: RunningNode) -> set[str]:
    return {reason for reason, _message in node.events(NODE)}


def condition(node: RunningNode, name: str) -> str:
    _code, found = node.api.request("GET", f"/api/v1/nodes/{NODE}")
    return next(str(each["status"]) for each in found["status"]["conditions"] if each["type"] == name)


def test_images_and_then_pods_make_room(short: RunningNode, tmp_path: Path) -> None:
    store = ImageStore(short.images)
    for name, payload in (("imported", 1), ("used", 1), ("unused", 8)):
        layers = [shell_layer(), layer(("payload", os.urandom(payload * MIB)))]
        layout = write_layout(tmp_path / name, f"example.com/{name}:1", layers, {})
        import_archive(store, layout)
        if name != "imported":
            store.pulled.note(f"example.com/{name}:1", 0.0)
    write = "cat /payload /payload /payload /payload > /data/copy; read x"
    command = {"command": ["/bin/sh", "-c", write], "stdin": True}
    data = {"name": "data", "mountPath": "/data"}
    main = {"name": "main", "image": "example.com/used:1", **command, "volumeMounts": [data]}
    volumes = [{"name": "data", "emptyDir": {}}]
    short.apply("user", {"containers": [main], "volumes": volumes})
    user = short.wait_ready("user")
    used = 100 - 100 * os.statvfs(short.root).f_bavail * 4096 // SIZE
    filler = fill(short, (64 - used) * SIZE // 100)
    eventually(lambda: not store.has("example.com/unused:1"))
    assert store.has("example.com/used:1")
    assert store.has("example.com/imported:1")
    assert is_ready(short.pod("user") or {})
    filler.unlink()
    # Nothing more can go but Pods.
    filler = fill(short, 50 * MIB)
    evicted = short.wait_phase("user", "Failed")
    assert evicted["status"]["reason"] == "Evicted"
    message = evicted["status"]["message"]
    assert message.startswith("The node was low on resource: ephemeral-storage. Threshold quantity: 13107Ki")
    disruption = {each["type"]: each for each in evicted["status"]["conditions"]}["DisruptionTarget"]
    assert (disruption["status"], disruption["reason"]) == ("True", "TerminationByKubelet")
    eventually(lambda: condition(short, "DiskPressure") == "True")
    eventually(
        lambda: {"EvictionThresholdMet", "NodeHasDiskPressure", "FreeDiskSpaceFailed"} <= node_reasons(short)
    )
    _code, shown = short.api.request("GET", f"/api/v1/nodes/{NODE}")
    assert {"example.com/used:1"} in [set(each["names"]) for each in shown["status"]["images"]]
    short.run("late", "sleep", "1000")
    late = short.wait_phase("late", "Failed")
    assert late["status"]["message"] == "Pod was rejected: The node had condition: [DiskPressure]. "
    volume = short.root / "pods" / user["metadata"]["uid"] / "volumes"
    eventually(lambda: not volume.exists())  # what it wrote is gone, though the Pod is still shown
    filler.unlink()
    eventually(lambda: condition(short, "DiskPressure") == "False")
    short.run("after", "sleep", "1000")
    short.wait_ready("after")


def test_an_exit_code_has_room_where_there_is_none(tmp_path: Path) -> None:
    note = MONITOR.read_text().partition("note()")[2].partition("\n}")[0]
    disk = tmp_path / "disk"
    disk.mkdir()
    mounts.mount_tmpfs(disk, f"size={MIB}")
    try:
        with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(os.urandom(4096))
        subprocess.run(["sh", "-c", f"note(){note}\n}}\nnote exitcode 3"], cwd=disk, check=True)
        assert noted(disk / "exitcode") == "3"
        (disk / "filler").unlink()
        subprocess.run(["sh", "-c", f"note(){note}\n}}\nnote exitcode 4"], cwd=disk, check=True)
        assert noted(disk / "exitcode") == "4"
        assert not (disk / "exitcode").is_symlink()
    finally:
        mounts.unmount(disk)


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path), running_node(tmp_path, "--eviction-hard=") as node:
        script = "until [ -e /go ]; do echo waiting; sleep 0.02; done; echo went; exit 3"
        node.run("writer", "sh", "-c", script, restartPolicy="Never")
        node.run("steady", "sleep", "1000")
        node.wait_ready("writer")
        steady = container_status(node.wait_ready("steady"))
        filler = fill(node)
        node.run("waiting", "sleep", "1000")

        def told() -> bool:
            return any("No space left on device" in message for _reason, message in node.events("waiting"))

        eventually(told)
        place = node.root / "pods" / (node.pod("waiting") or {})["metadata"]["uid"]
        made = [path for each in PodCgroups().places for path in each.base.glob(f"**/pod{place.name}")]
        assert set(made) <= set(noted_cgroups(place))  # or nobody would ever remove them
        node.kubectl("exec", "writer", "--", "touch", "/go")
        ended = container_status(node.wait_phase("writer", "Failed"))["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (3, "Error")
        node.kill()
        node.start()
        found = container_status(node.pod("steady") or {})
        assert (found["containerID"], found["ready"]) == (steady["containerID"], True)
        again: dict[str, Any] = container_status(node.wait_phase("writer", "Failed"))
        assert again["state"]["terminated"]["exitCode"] == 3
        filler.unlink()
        pod = node.wait_ready("waiting")
        assert container_status(pod)["restartCount"] == 0


def test_a_node_without_memory(tmp_path: Path) -> None:
    options = ("--eviction-hard=memory.available<100%", "--housekeeping-interval=200ms")
    with running_node(tmp_path, *options) as node:
        eventually(lambda: condition(node, "MemoryPressure") == "True")
        node.run("modest", "sleep", "1000")
        refused = node.wait_phase("modest", "Failed")["status"]
        assert refused["message"] == "Pod was rejected: The node had condition: [MemoryPressure]. "
        node.run("asking", "sleep", "1000", resources={"requests": {"memory": "1Ki"}})
        evicted = node.wait_phase("asking", "Failed")["status"]
        assert evicted["reason"] == "Evicted"
        assert evicted["message"].startswith("The node was low on resource: memory. Threshold quantity: ")
        node.kill()
        node.start()
        node.run("later", "sleep", "1000")
        node.wait_phase("later", "Failed")
        again = (node.pod("asking") or {})["status"]
        assert (again["reason"], again["message"]) == ("Evicted", evicted["message"])


def test_a_node_that_is_patient(tmp_path: Path) -> None:
    """By a soft threshold a Pod goes only after a while, and may end in its own time."""
    options = (
        *("--eviction-hard=", "--housekeeping-interval=200ms"),
        *("--eviction-soft=memory.available<100%", "--eviction-soft-grace-period=memory.available=2s"),
        "--eviction-max-pod-grace-period=20",
    )
    with running_node(tmp_path, *options) as node:
        eventually(lambda: condition(node, "MemoryPressure") == "True")
        script = "trap 'sleep 1.5; exit 7' TERM; while :; do sleep 0.1; done"
        asking = {"resources": {"requests": {"memory": "1Ki"}}}
        main = {"name": "main", "image": "clusterip.local/host", "command": ["sh", "-c", script], **asking}
        node.apply("asking", {"containers": [main], "terminationGracePeriodSeconds": 10})
        evicted = node.wait_phase("asking", "Failed")
        assert evicted["status"]["reason"] == "Evicted"
        assert container_status(evicted)["state"]["terminated"]["exitCode"] == 7, "not killed at once"
