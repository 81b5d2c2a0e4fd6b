"""The files of cgroups, in the words of version 1 and of version 2."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from clusterip.node.cgroups.limits import CPU_PERIOD, Limits, weight


def write_limits(directory: Path, version: int, limits: Limits) -> None:
    """Set what a cgroup of that version may use, as far as its controllers know it. Raises OSError."""
    for name, value in (_of_version_1(limits) if version == 1 else _of_version_2(limits)).items():
        file = directory / name
        if file.exists():
            file.write_text(value)


def _of_version_1(limits: Limits) -> dict[str, str]:
    values: dict[str, str] = {}
    if limits.cpu_shares is not None:
        values["cpu.shares"] = str(limits.cpu_shares)
    if limits.cpu_quota is not None:
        values["cpu.cfs_period_us"] = str(CPU_PERIOD)
        values["cpu.cfs_quota_us"] = str(limits.cpu_quota)
    if limits.memory is not None:
        values["memory.limit_in_bytes"] = str(limits.memory)
    if limits.processes is not None:
        values["pids.max"] = str(limits.processes)
    return values


def _of_version_2(limits: Limits) -> dict[str, str]:
    values: dict[str, str] = {}
    if limits.cpu_shares is not None:
        values["cpu.weight"] = str(weight(limits.cpu_shares))
    if limits.cpu_quota is not None:
        values["cpu.max"] = f"{limits.cpu_quota} {CPU_PERIOD}"
    if limits.memory is not None:
        values["memory.max"] = str(limits.memory)
        values["memory.swap.max"] = "0"
        values["memory.oom.group"] = "1"
    if limits.processes is not None:
        values["pids.max"] = str(limits.processes)
    return values


def oom_kills(directories: Iterable[Path]) -> int:
    """How many processes the kernel has ended because a cgroup was at its limit of memory."""
    for directory in directories:
        for name in ("memory.events", "memory.oom_control"):
            if (count := read_fields(directory / name).get("oom_kill")) is not None:
                return count
    return 0


@dataclass
class Usage:
    """What the processes of a cgroup use: bytes, and ns of processor time since its beginning.

    None is what no controller here counts. ``working_set`` is what could not be had back at once.
    """

    cpu: int | None = None
    memory: int | None = None
    working_set: int | None = None
    rss: int | None = None
    page_faults: int | None = None
    major_page_faults: int | None = None
    memory_limit: int | None = None
    processes: int | None = None


def usage(directories: Iterable[Path]) -> Usage:
    """What a cgroup uses that is a directory in each of several hierarchies."""
    found = Usage()
    for directory in directories:
        if (nanoseconds := _number(directory / "cpuacct.usage")) is not None:
            found.cpu = nanoseconds
        elif (microseconds := read_fields(directory / "cpu.stat").get("usage_usec")) is not None:
            found.cpu = microseconds * 1000
        if (count := _number(directory / "pids.current")) is not None:
            found.processes = count
        for used, limit, stat in (
            ("memory.usage_in_bytes", "memory.limit_in_bytes", "memory.stat"),
            ("memory.current", "memory.max", "memory.stat"),
        ):
            if (amount := _number(directory / used)) is not None:
                _add_memory(found, amount, read_fields(directory / stat))
                found.memory_limit = _number(directory / limit)
    return found


def _add_memory(found: Usage, amount: int, stat: dict[str, int]) -> None:
    def first(*names: str) -> int:
        return next((stat[name] for name in names if name in stat), 0)

    found.memory = amount
    found.working_set = max(0, amount - first("total_inactive_file", "inactive_file"))
    found.rss = first("total_rss", "anon", "rss")
    found.page_faults = first("total_pgfault", "pgfault")
    found.major_page_faults = first("total_pgmajfault", "pgmajfault")


def remove(directory: Path) -> None:
    """Remove a cgroup that nothing is in any more. Harmless if there is none, or something still is."""
    try:
        directory.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EBUSY, errno.ENOTEMPTY):
            raise


def read_fields(path: Path) -> dict[str, int]:
    """A file of lines with a name and a number each; empty if there is no such file."""
    found: dict[str, int] = {}
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            name, _, value = line.partition(" ")
            if value.isdigit():
                found[name] = int(value)
    return found


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
