"""The BPF file system, where maps and links outlive their processes, and the cgroups."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

BPF_MAGIC = 0xCAFE4A11
_DEFAULT = Path("/sys/fs/bpf")
_MOUNTS = Path("/proc/self/mounts")


class _Statfs(ctypes.Structure):
    _fields_ = (("f_type", ctypes.c_long), ("rest", ctypes.c_long * 31))


def is_bpf(path: Path) -> bool:
    """Whether a path is in a BPF file system."""
    buffer = _Statfs()
    if ctypes.CDLL(None, use_errno=True).statfs(os.fsencode(path), ctypes.byref(buffer)) != 0:
        return False
    return bool(buffer.f_type & 0xFFFFFFFF == BPF_MAGIC)


def mount_bpf(path: Path = _DEFAULT) -> None:
    """Mount a BPF file system there unless there is one. Raises OSError."""
    if is_bpf(path):
        return
    path.mkdir(parents=True, exist_ok=True)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"bpf", os.fsencode(path), b"bpf", 0, b"mode=0700") != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))


def cgroup_root() -> Path | None:
    """Where the cgroups of version 2 are mounted, None if nowhere."""
    for line in _MOUNTS.read_text().splitlines():
        _, target, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(target.replace("\\040", " "))
    return None
