"""Removing what nodes leave behind when they are ended without deleting their Pods first."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
from pathlib import Path

from clusterip.cluster.paths import Paths
from clusterip.cluster.processes import Process, end, identify
from clusterip.kernel import namespaces
from clusterip.node.cgroups import tree as cgroups
from clusterip.node.layout import NodeDirectory, PodDirectory
from clusterip.node.sandbox.sandbox import network_name

_MNT_DETACH = 2


def remove_pods(paths: Paths) -> int:
    """End the containers of all Pods and remove their namespaces, mounts and files; how many Pods."""
    pods = [pod for directory in _node_directories(paths) for pod in directory.pods()]
    end(_processes(paths.nodes, pods), grace_seconds=0.5)
    for pod in pods:
        namespaces.delete_named(network_name(pod.uid))
        for name in pod.containers():
            for attempt in pod.attempts(name):
                cgroups.remove_container(pod.container(name, attempt))
        cgroups.remove_pod(pod.path)
    _unmount_below(paths.nodes)
    shutil.rmtree(paths.nodes, ignore_errors=True)
    return len(pods)


def _node_directories(paths: Paths) -> list[NodeDirectory]:
    if not paths.nodes.is_dir():
        return []
    return [NodeDirectory(entry) for entry in sorted(paths.nodes.iterdir()) if entry.is_dir()]


def _processes(nodes: Path, pods: list[PodDirectory]) -> list[Process]:
    """Containers' processes, known by their UTS namespace, and their monitors, by their directory."""
    names = {_identity(pod.namespace("uts")) for pod in pods} - {None}
    found: list[Process] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            directory = os.readlink(entry / "cwd")
            if _identity(entry / "ns/uts") in names or Path(directory).is_relative_to(nodes):
                found.append(identify(int(entry.name)))
    return found


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _unmount_below(directory: Path) -> None:
    """Unmount whatever is mounted below a directory, innermost first."""
    libc = ctypes.CDLL(None, use_errno=True)
    prefix = os.fsencode(directory.resolve()) + b"/"
    with open("/proc/self/mountinfo", "rb") as mounts:
        points = [line.split(b" ", 5)[4] for line in mounts]
    for point in reversed([point for point in points if point.startswith(prefix)]):
        if libc.umount2(point, _MNT_DETACH) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"unmount: {os.strerror(number)}", os.fsdecode(point))
