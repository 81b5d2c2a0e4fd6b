"""Keeping a machine's parts running, as a program in the foreground.

There is no guardian here: systemd, or who else started this program, is one. The parts do not end with it
when it is killed; the next one takes them over. When it is told to end (SIGTERM, SIGINT), it ends the parts;
Pods go on.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import setproctitle

from clusterip.cluster import plan, processes, zygote
from clusterip.cluster.errors import ClusterError
from clusterip.cluster.plan import Plan
from clusterip.cluster.supervisor import Supervisor
from clusterip.cluster.zygote import CommandLine
from clusterip.process import log

_log = log.get("supervisor")


@contextlib.contextmanager
def alone(path: Path, message: str) -> Iterator[None]:
    """Hold a lock file while this process lives, but not its children: they may outlive it.

    Raises:
        ClusterError: another process holds it; its text is ``message``.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise ClusterError(message) from None
        yield
    finally:
        os.close(descriptor)


class Foreground(Supervisor):
    """Runs the programs of a plan until told to end.

    Args:
        plan: what to run.
        commands: how to run it.
        setup: something to do beside it once, in a process of its own, that raises ClusterError if the parts
            are not to go on.
        chore: something to do now and then.
        chore_seconds: how often.
    """

    def __init__(
        self,
        plan: Plan,
        commands: CommandLine,
        *,
        setup: Callable[[], None] | None = None,
        chore: Callable[[], None] | None = None,
        chore_seconds: float = 12 * 3600.0,
    ) -> None:
        super().__init__(plan, commands)
        self._setup = setup
        self._chore = chore
        self._chore_seconds = chore_seconds
        self._chore_due = time.monotonic() + chore_seconds
        self._told = False
        self._failed = False
        self._wakeup, self._waker = socket.socketpair()
        self._setup_descriptor = -1
        self._setup_pid = 0

    def run(self) -> None:
        """Watch until a signal comes, ``clusterip down`` removes the machine, or the setup fails.

        Raises:
            ClusterError: the setup has failed; what it said is on standard error.
        """
        self._listen_to_signals()
        self._start_setup()
        try:
            while not (self._told or self._failed or self._is_stopping):
                self._run_due()
                self._do_chore()
                for descriptor, _events in self._poll.poll(self._timeout()):
                    if descriptor == self._wakeup.fileno():
                        with contextlib.suppress(BlockingIOError):
                            self._wakeup.recv(64)
                    elif descriptor == self._setup_descriptor:
                        self._setup_ended()
                    elif descriptor in self._watched:
                        self._ended(self._watched.pop(descriptor))
        finally:
            self.end()
        if self._failed:
            raise ClusterError("stopped, for the reason above")

    def _listen_to_signals(self) -> None:
        self._wakeup.setblocking(False)
        self._waker.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._poll.register(self._wakeup.fileno(), select.EPOLLIN)

    def _on_signal(self, number: int, _frame: object) -> None:
        self._told = True

    def _start_setup(self) -> None:
        if self._setup is None:
            return
        setup = self._setup
        pid = zygote.fork(lambda _pid: None)
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            setproctitle.setproctitle(f"{zygote.PREFIX} setup")
            zygote.run_child(setup)
        self._setup_pid = pid
        self._setup_descriptor = os.pidfd_open(pid)
        self._poll.register(self._setup_descriptor, select.EPOLLIN)

    def _setup_ended(self) -> None:
        self._poll.unregister(self._setup_descriptor)
        os.close(self._setup_descriptor)
        self._setup_descriptor = -1
        _pid, status = os.waitpid(self._setup_pid, 0)
        self._setup_pid = 0
        self._failed = os.waitstatus_to_exitcode(status) > 0

    def _do_chore(self) -> None:
        if self._chore is None or time.monotonic() < self._chore_due:
            return
        self._chore_due = time.monotonic() + self._chore_seconds
        try:
            self._chore()
        except (ClusterError, OSError) as error:
            _log.error("not done, trying again later", error=error)

    def _timeout(self) -> float:
        due = [when for when, _name, _delay in self._due[:1]]
        if self._chore is not None:
            due.append(self._chore_due)
        return max(0.0, min(due) - time.monotonic()) if due else -1

    def end(self) -> None:
        """End all parts."""
        if self._setup_pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._setup_pid, signal.SIGKILL)
            os.waitpid(self._setup_pid, 0)
        parts = processes.read(Path(self._plan.records)).parts
        # Those that say goodbye to others are to find them still there.
        for program in reversed(self._plan.programs):
            if program.name in parts:
                processes.end([parts[program.name].process])


def run(foreground_plan: Plan, path: Path, foreground: Foreground) -> None:
    """Write the plan down, start what does not run yet, and watch.

    Raises:
        ClusterError: as ``Foreground.run``; or somebody else has an address that is needed.
    """
    plan.write(path, foreground_plan)
    Path(foreground_plan.stopping).unlink(missing_ok=True)
    try:
        foreground.start()
    except OSError as error:
        foreground.end()
        if error.errno == errno.EADDRINUSE:
            raise ClusterError(f"{error.strerror}. `ss -lntup` shows which program has it") from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise ClusterError(f"{error.strerror}. `ip address` shows what this machine has") from None
        raise
    foreground.run()
