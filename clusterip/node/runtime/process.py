"""Processes that are watched and signalled by descriptor, so that a reused PID is never mistaken."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator


class Process:
    """A running process, a child of ours or not. Make it inside the event loop that follows it."""

    def __init__(self, pid: int) -> None:
        """Raises ProcessLookupError if there is no such process."""
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)
        self._loop: asyncio.AbstractEventLoop | None = None

    def on_exit(self, callback: Callable[[], None]) -> None:
        """Call back once, when the process has ended."""
        self._loop = asyncio.get_running_loop()

        def ended() -> None:
            self.close()
            callback()

        self._loop.add_reader(self._descriptor, ended)

    def kill(self, number: signal.Signals) -> None:
        """Send a signal. Harmless if the process has ended."""
        if self._descriptor >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def close(self) -> None:
        """Stop following the process, and reap it if it is an ended child of ours."""
        if self._descriptor < 0:
            return
        if self._loop:
            self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)


def is_run_with(pid: int, argument: str) -> bool:
    """Whether a process runs that has ``argument`` among the words it was started with."""
    return argument in _command_line(pid)


def processes_run_with(argument: str) -> Iterator[int]:
    """The PIDs of all processes that have ``argument`` among the words they were started with."""
    for pid in _pids():
        if is_run_with(pid, argument):
            yield pid


def mount_namespace(pid: int) -> int:
    """Which mount namespace a process is in, as a number; 0 if there is no such process."""
    try:
        return os.stat(f"/proc/{pid}/ns/mnt").st_ino
    except OSError:
        return 0


def kill_in_mount_namespace(number: int) -> None:
    """Kill all processes that are in a mount namespace, and those they start meanwhile."""
    while found := [pid for pid in _pids() if mount_namespace(pid) == number and not _is_dying(pid)]:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _is_dying(pid: int) -> bool:
    """Whether a process has ended, or a SIGKILL that it cannot escape waits for it."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            fields = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    except OSError:
        return True
    pending = int(fields["ShdPnd"], 16) | int(fields["SigPnd"], 16)
    return fields["State"][0] in "ZX" or bool(pending >> (signal.SIGKILL - 1) & 1)


def _command_line(pid: int) -> list[str]:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            data = file.read()
    except OSError:  # it has ended
        return []
    return [argument.decode(errors="surrogateescape") for argument in data.rstrip(b"\0").split(b"\0")]
