"""What clusters that run no more, or were removed by force, have left on the machine."""

from __future__ import annotations

import os
from pathlib import Path

from clusterip.cluster import processes
from clusterip.cluster.doctor.findings import Findings
from clusterip.cluster.doctor.patient import Patient
from clusterip.cluster.journal import Journal
from clusterip.kernel import namespaces
from clusterip.kernel.rtnetlink import RouteSocket

_PINS = Path("/sys/fs/bpf/clusterip")
_RUN = Path("/run")


def check(patient: Patient, found: Findings) -> None:
    before = len(found.found)
    _clusters(patient, found)
    _namespaces(patient, found)
    _pins(found)
    if len(found.found) == before:
        found.ok("former runs", "nothing of them is left")


def _clusters(patient: Patient, found: Findings) -> None:
    """Clusters whose processes have ended without ``clusterip down``, this one and others."""
    own = patient.paths.run
    others = [entry for entry in _RUN.glob("*") if (entry / "journal").exists() and entry != own]
    for run in [own, *others]:
        if not (run / "journal").exists():
            continue
        try:
            alive = processes.read(run / "processes.json").alive
            steps = len(Journal(run / "journal").entries())
        except (OSError, ValueError):
            continue
        name = patient.name if run == own else run.name
        if not alive and steps:
            found.warning(
                f"cluster {name}",
                f"its processes have ended; {steps} changes it made to the machine are still there",
                f"clusterip up --name {name} to start it again, or clusterip down --name {name} to remove it",
            )


def _namespaces(patient: Patient, found: Findings) -> None:
    """Namespaces of nodes and Pods in which nothing runs, and a cluster's network without a cluster."""
    if os.geteuid() == 0:
        inhabited = _inhabited()
        named = [name for name in namespaces.names() if name.startswith(("clusterip-", f"{patient.name}-"))]
        empty = [name for name in named if _inode(namespaces.path_of(name)) not in inhabited]
        if empty and not patient.is_running:
            found.warning(
                "network namespaces",
                f"{len(empty)} are named like a cluster's, and nothing runs in them: {', '.join(empty[:5])}",
                f"clusterip down --name {patient.name}, or for each: ip netns delete NAME",
            )
    link = f"{patient.name}0"
    with RouteSocket() as routes:
        is_there = routes.find_link(link) is not None
    if is_there and not patient.is_running:
        found.warning(
            "network",
            f"the interface {link} is that of a cluster, and none runs",
            f"clusterip down --name {patient.name}, or: ip link delete {link}",
        )


def _pins(found: Findings) -> None:
    """Programs at sockets of network namespaces that are gone."""
    try:
        pinned = [entry.name for entry in _PINS.iterdir() if entry.name.isdigit()]
    except OSError:
        return
    living = _inhabited() | {_inode(namespaces.path_of(name)) for name in namespaces.names()}
    gone = [name for name in pinned if int(name) not in living]
    if gone and os.geteuid() == 0:
        found.warning(
            "eBPF programs",
            f"those of {len(gone)} network namespaces that are gone are still pinned in {_PINS}",
            f"rm -r {' '.join(str(_PINS / name) for name in gone)}",
        )


def _inhabited() -> set[int]:
    """The network namespaces, by their inodes, that processes are in."""
    return {_inode(entry / "ns/net") for entry in Path("/proc").iterdir() if entry.name.isdigit()}


def _inode(path: Path) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0
