"""Keeps a cluster's processes running, and survives its own death.

There are two of it. The *supervisor* starts the parts, watches them and starts them again when they end;
the *guardian*, its parent, only waits for the supervisor to end. Whichever is left alone becomes the
guardian and forks a new supervisor, which adopts the running parts instead of starting them again. Both
hold the parts' listening sockets, so a port stays open, and clients wait, while its part comes back.
"""

from __future__ import annotations

import contextlib
import ctypes
import heapq
import os
import resource
import select
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import setproctitle

from clusterip.cluster import isolation, lastwords, plan, processes, zygote
from clusterip.cluster.plan import COMMANDS, Plan, Program, Socket
from clusterip.cluster.processes import Part, Process
from clusterip.cluster.zygote import CommandLine
from clusterip.kernel import namespaces
from clusterip.process import log
from clusterip.process.sockets import bind_udp, listen_tcp

_PR_SET_CHILD_SUBREAPER = 36
_FIRST_DELAY = 0.1
_MOST_DELAY = 10.0
_STABLE_SECONDS = 10.0
_OPEN_FILES = 65536

_log = log.get("supervisor")


@dataclass
class _Watched:
    program: Program
    process: Process
    descriptor: int
    delay: float = 0.0
    log_begin: int = 0


class Supervisor:
    """Runs the programs of a plan. ``run`` returns only when the cluster goes down."""

    def __init__(self, plan: Plan, commands: CommandLine) -> None:
        self._plan = plan
        self._commands = commands
        self._sockets: dict[tuple[str, Socket], socket.socket] = {}
        self._watched: dict[int, _Watched] = {}
        self._due: list[tuple[float, str, float]] = []  # when, program, delay after that
        self._programs = {program.name: program for program in plan.programs}
        self._poll = select.epoll()
        self._other_descriptor = -1
        self._records = processes.read(Path(plan.records))

    def start(self) -> None:
        """Start what is not running, in order, importing each part just before it is needed."""
        _allow_many_files()
        _become_subreaper()
        for program in self._plan.programs:
            zygote.preload(program.command, self._commands)
            if not self._adopt(program):
                self._start(program, 0.0)

    def run(self) -> None:
        """Watch for ever: as the guardian first, and as the supervisor in the child it forks."""
        self._split()
        while not self._is_stopping:
            self._run_due()
            timeout = max(0.0, self._due[0][0] - time.monotonic()) if self._due else -1
            for descriptor, _events in self._poll.poll(timeout):
                if descriptor == self._other_descriptor:
                    if self._is_stopping:
                        return
                    _log.warning("guardian ended, taking its place")
                    self._split()
                elif descriptor in self._watched:
                    self._ended(self._watched.pop(descriptor))

    # The two halves

    def _split(self) -> None:
        """Stay as the guardian and go on as the supervisor in a child; each time that child ends, again."""
        self._forget()
        guardian = processes.identify(os.getpid())
        while True:
            _become_subreaper()
            born = time.monotonic()
            # Should we be killed right now, the child is the only half left: it notices, and splits again.
            pid = zygote.fork(lambda pid: self._record_halves(guardian, pid), orphan_goes_on=True)
            if pid == 0:
                self._go_on_as_supervisor(guardian)
                return
            setproctitle.setproctitle(f"{zygote.PREFIX} guardian")
            _reap_until(pid)
            if self._is_stopping:
                self._bury()
                os._exit(0)
            _log.warning("supervisor ended, starting another", pid=pid)
            if time.monotonic() - born < 1.0:
                time.sleep(1.0)  # should it be a bug of its own that ends it, not busily
            self._records = processes.read(Path(self._plan.records))

    def _bury(self) -> None:
        """End the parts, and reap all that is ours by birth or orphaned to us, so that no zombie stays."""
        processes.end(part.process for part in processes.read(Path(self._plan.records)).parts.values())
        with contextlib.suppress(ChildProcessError):  # which says that there are none any more
            while True:
                os.wait()

    def _forget(self) -> None:
        """Close what this half watched; it is for the next supervisor to watch."""
        for watched in self._watched.values():
            os.close(watched.descriptor)
        self._watched.clear()
        self._due.clear()
        self._poll.close()
        if self._other_descriptor >= 0:
            os.close(self._other_descriptor)
            self._other_descriptor = -1

    def _go_on_as_supervisor(self, guardian: Process) -> None:
        setproctitle.setproctitle(f"{zygote.PREFIX} supervisor")
        self._poll = select.epoll()
        self._records = processes.read(Path(self._plan.records))
        descriptor = guardian.open()
        if descriptor is None:  # killed just now; the end of a closed pipe is noticed like its end
            descriptor, writer = os.pipe()
            os.close(writer)
        self._other_descriptor = descriptor
        self._poll.register(descriptor, select.EPOLLIN)
        for program in self._plan.programs:
            if not self._adopt(program):
                self._schedule(program.name, 0.0)

    def _record_halves(self, guardian: Process, pid: int) -> None:
        self._records.guardian = guardian
        self._records.supervisor = processes.identify(pid)
        self._write_records()

    # Parts

    def _adopt(self, program: Program) -> bool:
        """Watch a part that runs already; False if it does not."""
        part = self._records.parts.get(program.name)
        descriptor = part.process.open() if part else None
        if part is None or descriptor is None:
            return False
        self._watch(_Watched(program, part.process, descriptor, log_begin=lastwords.size(program.log)))
        return True

    def _start(self, program: Program, delay: float) -> None:
        sockets = self._sockets_for(program)
        own = {each.fileno() for each in sockets}
        others = [each.fileno() for each in self._sockets.values() if each.fileno() not in own]
        others += [watched.descriptor for watched in self._watched.values()]
        others += [self._poll.fileno()]
        if self._other_descriptor >= 0:
            others.append(self._other_descriptor)

        def record(pid: int) -> None:
            previous = self._records.parts.get(program.name)
            restarts = previous.restarts + 1 if previous else 0
            part = Part(processes.identify(pid), time.time(), restarts)
            self._records.parts[program.name] = part
            self._write_records()

        log_begin = lastwords.size(program.log)
        pid = zygote.fork(record)
        if pid == 0:
            zygote.run_child(lambda: zygote.become(program, self._commands, sockets, others))
        _log.info("started", program=program.name, pid=pid)
        process = self._records.parts[program.name].process
        descriptor = os.pidfd_open(pid)  # the child is not reaped before its end is noticed here
        self._watch(_Watched(program, process, descriptor, delay, log_begin))

    def _watch(self, watched: _Watched) -> None:
        self._watched[watched.descriptor] = watched
        self._poll.register(watched.descriptor, select.EPOLLIN)

    def _ended(self, watched: _Watched) -> None:
        self._poll.unregister(watched.descriptor)
        os.close(watched.descriptor)
        how = "ended"
        with contextlib.suppress(ChildProcessError):  # adopted: then its parent gets to know, not we
            _pid, status = os.waitpid(watched.process.pid, 0)
            how = _describe(status)
        part = self._records.parts[watched.program.name]
        was_stable = time.time() - part.since > _STABLE_SECONDS
        delay = 0.0 if was_stable else watched.delay
        said = lastwords.last_error(watched.program.log, watched.log_begin)
        _log.warning(
            "part ended, starting it again",
            program=watched.program.name,
            pid=watched.process.pid,
            how=how,
            wait_seconds=delay,
            log=watched.program.log,
            **({"said": said} if said else {}),
        )
        self._schedule(watched.program.name, delay)

    def _schedule(self, name: str, delay: float) -> None:
        following = min(max(delay * 2, _FIRST_DELAY), _MOST_DELAY)
        heapq.heappush(self._due, (time.monotonic() + delay, name, following))

    def _run_due(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic() and not self._is_stopping:
            _when, name, following = heapq.heappop(self._due)
            try:
                self._start(self._programs[name], following)
            except OSError as error:
                _log.error("cannot start", program=name, error=error, wait_seconds=following)
                self._schedule(name, following)

    # What is held and written

    def _sockets_for(self, program: Program) -> list[socket.socket]:
        """The program's listening sockets, opened in its namespace if they are not yet."""
        found: list[socket.socket] = []
        for wanted in program.sockets:
            key = (program.namespace, wanted)
            if key not in self._sockets and wanted.outside:
                self._sockets[key] = isolation.outside_socket()
            elif key not in self._sockets:
                place = namespaces.path_of(program.namespace) if program.namespace else None
                opener = listen_tcp if wanted.kind == "tcp" else bind_udp
                with namespaces.enter(place) if place else contextlib.nullcontext():
                    self._sockets[key] = opener(wanted.address)
            found.append(self._sockets[key])
        return found

    def _write_records(self) -> None:
        processes.write(Path(self._plan.records), self._records)

    @property
    def _is_stopping(self) -> bool:
        return os.path.exists(self._plan.stopping)


def serve(plan_path: Path, log_path: Path, commands: CommandLine) -> None:
    """Import the parts, wait for a line on standard input, and run the plan that is in place by then.

    That way the imports take place while the network and certificates of the plan are being made.
    Standard input that ends without a line means that there is nothing to do.
    """
    start = os.dup(0)
    zygote.redirect_output(str(log_path))
    log.setup(2)
    with open(start, "rb", buffering=0) as line:
        for command in COMMANDS:
            if select.select([line], [], [], 0)[0]:
                break
            zygote.preload(command, commands)
        if not line.readline():
            return
    supervisor = Supervisor(plan.read(plan_path), commands)
    supervisor.start()
    supervisor.run()


def _reap_until(pid: int) -> None:
    """Reap all children, ours and those orphaned to us, until ``pid`` is among them."""
    while True:
        ended, status = os.wait()
        _log.info("process ended", pid=ended, how=_describe(status))
        if ended == pid:
            return


def _become_subreaper() -> None:
    """Orphaned descendants become our children, so that they do not stay as zombies."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, _OPEN_FILES) if hard != resource.RLIM_INFINITY else _OPEN_FILES
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _describe(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit code {os.WEXITSTATUS(status)}"
