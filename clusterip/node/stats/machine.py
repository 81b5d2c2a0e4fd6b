"""What the machine itself uses, from ``/proc``. See proc(5)."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from clusterip.node.cgroups.files import Usage

_PROC = Path("/proc")
_NANOSECONDS_PER_TICK = 10**9 // os.sysconf("SC_CLK_TCK")
_IDLE = (3, 4)  # of the numbers after "cpu": idle and iowait


@dataclass(frozen=True)
class Interface:
    """Bytes and errors of a network interface since it is there."""

    name: str
    received: int
    receive_errors: int
    sent: int
    send_errors: int


@dataclass(frozen=True)
class Disk:
    """A file system, in bytes and inodes."""

    capacity: int
    available: int
    used: int
    inodes: int
    inodes_free: int


def usage() -> Usage:
    """Processor time of all processes since the start, and memory."""
    with (_PROC / "stat").open() as file:
        numbers = [int(word) for word in file.readline().split()[1:9]]
    busy = sum(number for index, number in enumerate(numbers) if index not in _IDLE)
    memory = memory_fields()
    used = memory["MemTotal"] - memory["MemFree"]
    return Usage(
        cpu=busy * _NANOSECONDS_PER_TICK,
        memory=used,
        working_set=max(0, used - memory.get("Inactive(file)", 0)),
        rss=memory.get("AnonPages", 0),
    )


def memory_fields() -> dict[str, int]:
    """``/proc/meminfo``, in bytes."""
    found = {}
    for line in (_PROC / "meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        found[name] = int(words[0]) * (1024 if len(words) > 1 else 1)
    return found


def interfaces() -> dict[str, Interface]:
    """The network interfaces of the node, by name."""
    found = {}
    for line in (_PROC / "net/dev").read_text().splitlines()[2:]:
        name, _, rest = line.partition(":")
        numbers = [int(word) for word in rest.split()]
        found[name.strip()] = Interface(name.strip(), numbers[0], numbers[2], numbers[8], numbers[10])
    return found


def disk(path: Path) -> Disk:
    """The file system that a path is on."""
    found = os.statvfs(path)
    size = found.f_frsize
    return Disk(
        capacity=found.f_blocks * size,
        available=found.f_bavail * size,
        used=(found.f_blocks - found.f_bfree) * size,
        inodes=found.f_files,
        inodes_free=found.f_ffree,
    )


def processes() -> tuple[int, int]:
    """The largest PID there can be, and how many processes and threads there are."""
    largest = int((_PROC / "sys/kernel/pid_max").read_text())
    return largest, int((_PROC / "loadavg").read_text().split()[3].partition("/")[2])


def started_at() -> float:
    """When the machine was started, as ``time.time()``."""
    return time.time() - float((_PROC / "uptime").read_text().split()[0])
