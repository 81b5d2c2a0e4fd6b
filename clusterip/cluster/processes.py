"""Which processes belong to a cluster, told apart from others by pid *and* start time.

A pid alone is not an identity: after a crash it may be somebody else's.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec


class Process(msgspec.Struct, frozen=True):
    """A process; ``started`` is its start in clock ticks since boot (field 22 of proc_pid_stat(5))."""

    pid: int
    started: int

    @property
    def is_alive(self) -> bool:
        return start_time(self.pid) == self.started

    def open(self) -> int | None:
        """A pidfd, which becomes readable when the process ends; None if it has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        if self.is_alive:  # else the pid had been given to another before we opened it
            return descriptor
        os.close(descriptor)
        return None


class Part(msgspec.Struct):
    """A process that the supervisor keeps running; ``since`` is a Unix time in seconds."""

    process: Process
    since: float
    restarts: int = 0


class Records(msgspec.Struct):
    """What runs, as the supervisor writes it down before anything of it starts to work.

    ``starting`` is a supervisor that was not told to begin yet.
    """

    starting: Process | None = None
    supervisor: Process | None = None
    guardian: Process | None = None
    parts: dict[str, Part] = {}

    @property
    def is_supervised(self) -> bool:
        return any(half is not None and half.is_alive for half in (self.supervisor, self.guardian))

    @property
    def alive(self) -> list[Process]:
        """All that runs."""
        halves = [self.starting, self.supervisor, self.guardian]
        known = [*halves, *(part.process for part in self.parts.values())]
        return [process for process in known if process is not None and process.is_alive]


def read(path: Path) -> Records:
    """The records; empty ones if there are none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Records)
    except FileNotFoundError:
        return Records()


def write(path: Path, records: Records) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.write_bytes(msgspec.json.encode(records))
    temporary.replace(path)


def start_time(pid: int) -> int | None:
    """When a process started; None if there is none, or only its remains (a zombie)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])


def identify(pid: int) -> Process:
    """The identity of a running process. Raises ProcessLookupError if it has ended."""
    started = start_time(pid)
    if started is None:
        raise ProcessLookupError(f"process {pid} has ended")
    return Process(pid, started)


def end(processes: Iterable[Process], *, grace_seconds: float = 5.0) -> None:
    """Send SIGTERM, wait, and send SIGKILL to what is still there; all have ended when this returns.

    Processes that nothing can end (stuck in the kernel) are given up after another few seconds.
    """
    with _opened(processes) as opened:
        for number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 5.0)):
            for descriptor in opened:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, number)
            _wait(opened, seconds)


def wait(processes: Iterable[Process], *, seconds: float) -> None:
    """Wait until all have ended, or for ``seconds``."""
    with _opened(processes) as opened:
        _wait(opened, seconds)


@contextlib.contextmanager
def _opened(processes: Iterable[Process]) -> Iterator[dict[int, Process]]:
    """The pidfds of those that have not ended."""
    with contextlib.ExitStack() as stack:
        opened: dict[int, Process] = {}
        for process in processes:
            descriptor = process.open()
            if descriptor is not None:
                stack.callback(os.close, descriptor)
                opened[descriptor] = process
        yield opened


def _wait(opened: dict[int, Process], seconds: float) -> None:
    """Drop those that end within ``seconds`` from ``opened``."""
    poll = select.poll()
    for descriptor in opened:
        poll.register(descriptor, select.POLLIN)
    deadline = time.monotonic() + seconds
    while opened and (left := deadline - time.monotonic()) > 0:
        for descriptor, _events in poll.poll(left * 1000):
            poll.unregister(descriptor)
            process = opened.pop(descriptor)
            with contextlib.suppress(ChildProcessError):  # it is not a child of ours
                os.waitpid(process.pid, os.WNOHANG)
