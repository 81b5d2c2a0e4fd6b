"""Space and numbers that run out."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

from clusterip.cluster.doctor.findings import Findings
from clusterip.cluster.doctor.patient import Patient
from clusterip.kernel import namespaces
from clusterip.kernel.rtnetlink import RouteSocket

_MIN_FREE = 1 << 30
_LITTLE_FREE = 200 << 20
_MIN_FILES = 4096
_FULL, _NEARLY_FULL = 0.95, 0.75


def check_disk(patient: Patient, found: Findings) -> None:
    seen: set[int] = set()
    for what, path in (("state", patient.paths.state), ("logs", patient.paths.logs)):
        place = _existing(path)
        device = os.stat(place).st_dev
        if device in seen:
            continue
        seen.add(device)
        usage = shutil.disk_usage(place)
        text = f"{usage.free / 1e9:.1f} GB free of {usage.total / 1e9:.1f} GB for {what} ({place})"
        remedy = f"free some space on the file system of {place}"
        if usage.free < _LITTLE_FREE:
            found.error("disk space", text, remedy)
        elif usage.free < _MIN_FREE:
            found.warning("disk space", text, remedy)
        else:
            found.ok("disk space", text)
        counts = os.statvfs(place)
        if counts.f_files and counts.f_favail < 10_000:
            found.warning(
                "inodes", f"{counts.f_favail} left on the file system of {place}", "delete small files"
            )


def check_limits(patient: Patient, found: Findings) -> None:
    instances, watches = _inotify()
    for name, used in (("max_user_instances", instances), ("max_user_watches", watches)):
        with contextlib.suppress(OSError, ValueError):
            most = int(namespaces.read_sysctl(f"fs.inotify.{name}"))
            remedy = f"sysctl -w fs.inotify.{name}={most * 4}"
            _fill(
                found, f"fs.inotify.{name}", used, most, remedy, "; each part and each Pod's log needs some"
            )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < _MIN_FILES:
        found.warning(
            "open files", f"a process may have {hard}", f"raise the hard limit: ulimit -Hn {_MIN_FILES * 16}"
        )
    else:
        found.ok("open files", f"a process may have {soft}, and raise it to {hard}")
    with contextlib.suppress(OSError, ValueError):
        used, _, most = map(int, Path("/proc/sys/fs/file-nr").read_text().split())
        _fill(found, "files of the machine", used, most, "sysctl -w fs.file-max=…")
    _places(patient, found, "connection tracking", _conntrack)
    _places(patient, found, "neighbours", _neighbours)


def _inotify() -> tuple[int, int]:
    """How many instances and watches of inotify this user has."""
    instances = watches = 0
    own = os.geteuid()
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if process.stat().st_uid != own:
                continue
            for descriptor in (process / "fd").iterdir():
                if os.readlink(descriptor) == "anon_inode:inotify":
                    instances += 1
                    watches += (process / "fdinfo" / descriptor.name).read_text().count("inotify wd:")
    return instances, watches


def _places(patient: Patient, found: Findings, what: str, look: Callable[[Findings, str], None]) -> None:
    """Look at the machine and at each node's network namespace."""
    look(found, f"{what} of this machine")
    if os.geteuid() != 0:
        return
    for node, name in patient.node_namespaces.items():
        with namespaces.enter(namespaces.path_of(name)):
            look(found, f"{what} of {node}")


def _conntrack(found: Findings, subject: str) -> None:
    try:
        used = int(namespaces.read_sysctl("net.netfilter.nf_conntrack_count"))
        most = int(namespaces.read_sysctl("net.netfilter.nf_conntrack_max"))
    except (OSError, ValueError):
        found.info(subject, "is not loaded yet; the first rule that needs it brings it in")
        return
    remedy = f"on the machine: sysctl -w net.netfilter.nf_conntrack_max={most * 2}"
    _fill(found, subject, used, most, remedy, "; new connections are dropped when it is full")


def _neighbours(found: Findings, subject: str) -> None:
    try:
        most = int(namespaces.read_sysctl("net.ipv4.neigh.default.gc_thresh3"))
        with RouteSocket() as routes:
            used = len(routes.neighbours())
    except (OSError, ValueError):
        return
    _fill(found, subject, used, most, f"sysctl -w net.ipv4.neigh.default.gc_thresh3={most * 4}")


def _fill(found: Findings, subject: str, used: int, most: int, remedy: str, more: str = "") -> None:
    text = f"{used} of {most} in use{more if used >= _NEARLY_FULL * most else ''}"
    if used >= _FULL * most:
        found.error(subject, text, remedy)
    elif used >= _NEARLY_FULL * most:
        found.warning(subject, text, remedy)
    else:
        found.ok(subject, text)


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that is there."""
    while not path.exists():
        path = path.parent
    return path
