"""One container: started, followed, signalled and, after a restart of the agent, found again.

A container belongs to its monitor (``monitor.sh``), not to the agent. The agent learns of its start from
the file ``pid`` and of its end from the monitor's end; both are there for an agent that comes later.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from clusterip.node.cgroups import tree as cgroups
from clusterip.node.cgroups.files import oom_kills
from clusterip.node.files import remove_tree, write_atomic
from clusterip.node.runtime.inotify import Inotify
from clusterip.node.runtime.logs import LogFile, LogLimits, OutputReader, Sink
from clusterip.node.runtime.messages import termination_message
from clusterip.node.runtime.process import (
    Process,
    is_run_with,
    kill_in_mount_namespace,
    mount_namespace,
    processes_run_with,
)
from clusterip.node.runtime.record import Exit, Record
from clusterip.node.runtime.terminal import set_terminal_size
from clusterip.node.runtime.unprivileged import adapted
from clusterip.process import log

_log = log.get("node")

_LOOK_SECONDS = 0.1
_START_ERROR = 128  # the exit code upstream reports of a container that could not be started


class Container:
    """A container whose files are in ``directory``. ``exited`` is done once it has ended.

    ``pid`` is its first process' in our PID namespace, 0 while there is none.
    """

    def __init__(
        self,
        directory: Path,
        record: Record,
        log_path: Path,
        inotify: Inotify,
        log_limits: LogLimits | None = None,
    ) -> None:
        self.directory = directory
        self.record = record
        self.log_path = log_path
        self.log: LogFile | None = None
        self.pid = 0
        self.started_at: datetime | None = None
        self.exited: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._started = asyncio.Event()
        self._inotify = inotify
        self._log_limits = log_limits
        self._monitor: Process | None = None
        self._process: Process | None = None
        self._readers: list[OutputReader] = []
        self._sinks: list[Sink] = []
        self._stop_watching: Callable[[], None] = lambda: None

    @property
    def running(self) -> bool:
        return self.started_at is not None and not self.exited.done()

    @property
    def exit(self) -> Exit | None:
        """How it ended, or None while it has not."""
        return self.exited.result() if self.exited.done() else None

    def open_output(self) -> None:
        """Be ready for the output. Before the monitor starts: a FIFO forgets what nobody holds open."""
        self.log = LogFile(self.log_path, self._log_limits)
        self._readers = [
            OutputReader(self.directory / stream, stream, self.log, self._emit)
            for stream in ("stdout", "stderr")
        ]

    async def follow(self, monitor: int) -> None:
        """Follow the container under way in the monitor of that PID; returns once it runs or has ended."""
        try:
            self._monitor = Process(monitor)
        except ProcessLookupError:
            self._finish()
            return
        try:
            self._stop_watching = self._inotify.watch(self.directory, self._file_appeared)
        except OSError as error:  # as many watches as the user may have
            _log.warning("container's files are not watched but looked at", error=str(error))
            looking = asyncio.create_task(self._look())

            def stop() -> None:
                looking.cancel()

            self._stop_watching = stop
        self._monitor.on_exit(self._finish)
        for name in ("monitor", "pid"):  # they may have been there before we watched
            if _modified(self.directory / name) is not None:
                self._file_appeared(name)
        await self._started.wait()

    async def _look(self) -> None:
        """Find out now and then what else would be told."""
        while not self._started.is_set():
            await asyncio.sleep(_LOOK_SECONDS)
            for name in ("monitor", "pid"):
                if _modified(self.directory / name) is not None:
                    self._file_appeared(name)

    async def begun(self) -> None:
        """Return once the container runs or has ended."""
        await self._started.wait()

    def settle(self) -> None:
        """Take the container as ended: there is no monitor any more."""
        self._finish()

    def kill(self, number: signal.Signals) -> None:
        """Signal the first process. Harmless if it has ended."""
        if self._process is not None:
            self._process.kill(number)
        elif number == signal.SIGKILL and self._monitor is not None and not self.exited.done():
            self._monitor.kill(number)

    def listen(self, sink: Sink) -> Callable[[], None]:
        """Get the container's output as it comes from now on; returns how to stop that."""
        self._sinks.append(sink)
        return lambda: self._sinks.remove(sink)

    def detach(self) -> None:
        """Leave the container to itself; it runs on."""
        self._stop_watching()
        for reader in self._readers:
            reader.close_now()
        for process in (self._monitor, self._process):
            if process is not None:
                process.close()
        if self.log:
            self.log.close()

    def open_input(self) -> int:
        """A descriptor, for the caller to close, that writes to the container's standard input.

        Raises:
            OSError: the container's input is not open (``ENXIO``).
        """
        return os.open(self.directory / "stdin", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def resize(self, width: int, height: int) -> None:
        """Set the size of the container's terminal. Raises OSError if it has none."""
        descriptor = os.open(f"/proc/{self.pid}/fd/0", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            set_terminal_size(descriptor, width, height)
        finally:
            os.close(descriptor)

    def _file_appeared(self, name: str) -> None:
        if name == "monitor":
            for reader in self._readers:
                reader.start()
        elif name == "pid" and self._process is None:
            text = (self.directory / "pid").read_text().strip()
            if not text:
                return  # made but not written yet; that is told as well
            with contextlib.suppress(ProcessLookupError):  # it was quick; the exit code tells
                self._process = Process(int(text))
                self.pid = int(text)
            if self.record.shares_processes:
                self._take_rest_along()
            self.started_at = _modified(self.directory / "pid")
            self._started.set()

    def _take_rest_along(self) -> None:
        """Let the end of the first process be that of the container's others: crun waits for all of them."""
        number = mount_namespace(self.pid) if self.pid else 0
        if number and number != mount_namespace(os.getpid()):
            write_atomic(self.directory / "mountns", str(number))
        if self._process is not None:
            self._process.on_exit(self._kill_rest)
        else:
            self._kill_rest()

    def _kill_rest(self) -> None:
        number = _read_text(self.directory / "mountns")
        if number.isdigit():
            kill_in_mount_namespace(int(number))

    def _emit(self, stream: str, data: bytes) -> None:
        for sink in list(self._sinks):
            sink(stream, data)

    def _finish(self) -> None:
        if self.exited.done():
            return
        self._stop_watching()
        for reader in self._readers:
            reader.close()
        if self.log:
            self.log.close()
        if self._process is not None:
            # Normally gone with its monitor; if somebody killed the monitor, it is an orphan now.
            self._process.kill(signal.SIGKILL)
            self._process.close()
        self.pid = 0
        ended = self._read_exit()
        self.started_at = ended.started_at
        self._remove_scratch()
        self.exited.set_result(ended)
        self._started.set()

    def _read_exit(self) -> Exit:
        started = _modified(self.directory / "pid")
        try:
            code = int(noted(self.directory / "exitcode"))
            finished = _modified(self.directory / "exitcode") or datetime.now(UTC)
        except ValueError:
            # The monitor was killed, or the machine went down.
            return Exit(137, started, started or datetime.now(UTC), "ContainerStatusUnknown", _UNKNOWN)
        if started is None:
            message = _read_text(self.directory / "crun.log") or "the container runtime did not say why"
            return Exit(_START_ERROR, None, finished, "StartError", message)
        message = termination_message(
            self.directory / "termination-log",
            self.log_path,
            fall_back=self.record.message_from_log and code != 0,
        )
        reason = "Completed" if code == 0 else "Error"
        if self._ran_out_of_memory() and code != 0:
            reason = "OOMKilled"
        return Exit(code, started, finished, reason, message)

    def _ran_out_of_memory(self) -> bool:
        """Whether the kernel ended a process at the container's limit; its cgroups, which tell, go now."""
        mark = self.directory / "oomkilled"
        if oom_kills(cgroups.noted(self.directory)):
            mark.touch()
        cgroups.remove_container(self.directory)
        return mark.exists()

    def _remove_scratch(self) -> None:
        # What it was is kept for `kubectl logs --previous`; what it wrote to its own files is not.
        with contextlib.suppress(OSError):
            for name in ("scratch", "rootfs"):
                remove_tree(self.directory / name)


_UNKNOWN = "The container could not be located when the pod was terminated"


def create(
    directory: Path,
    record: Record,
    log_path: Path,
    inotify: Inotify,
    *,
    configuration: dict[str, object],
    mount_script: str,
    log_limits: LogLimits | None = None,
) -> Container:
    """Write a container's files; nothing runs yet."""
    directory.mkdir(parents=True)
    for name in ("rootfs", "scratch"):
        (directory / name).mkdir(mode=0o755)
    for name in ("stdin", "stdout", "stderr"):
        os.mkfifo(directory / name, 0o600)
    # A program may open /dev/stdout again, and need not be root.
    for name in ("stdout", "stderr"):
        (directory / name).chmod(0o622)
    write_atomic(directory / "config.json", msgspec.json.encode(adapted(configuration)), mode=0o600)
    write_atomic(directory / "mount.sh", mount_script)
    write_atomic(directory / "container.json", msgspec.json.encode(record))
    return Container(directory, record, log_path, inotify, log_limits)


async def start(container: Container, *, crun: str, state: Path) -> None:
    """Start a created container; returns once it runs or has ended, whichever comes first."""
    container.open_output()
    try:
        monitor = _spawn_monitor(container, crun, state)
    except OSError as error:  # no memory or no more processes
        with contextlib.suppress(OSError):
            (container.directory / "crun.log").write_text(f"cannot start a process: {error}")
            (container.directory / "exitcode").write_text(str(_START_ERROR))
        container.settle()
        return
    await container.follow(monitor)


def _spawn_monitor(container: Container, crun: str, state: Path) -> int:
    record = container.record
    stdin = "once" if record.stdin_once else "fifo" if record.stdin else "null"
    if record.terminal:
        stdin = "terminal"
    arguments = [
        *("unshare", "--mount", "--propagation", "slave", "/bin/sh", str(MONITOR)),
        *(str(container.directory), record.id, crun, str(state), stdin),
    ]
    null = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in range(3)]
    return os.posix_spawnp("unshare", arguments, _environment(), file_actions=null, setsid=True)


async def adopt(
    directory: Path, log_path: Path, inotify: Inotify, log_limits: LogLimits | None = None
) -> Container | None:
    """The container of a directory that an earlier agent made; None if that died while making it."""
    try:
        record = msgspec.json.decode((directory / "container.json").read_bytes(), type=Record)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    container = Container(directory, record, log_path, inotify, log_limits)
    monitor = 0 if noted(directory / "exitcode") else _find_monitor(directory)
    if monitor:
        container.open_output()
        await container.follow(monitor)
    else:
        container.settle()
    return container


def _find_monitor(directory: Path) -> int:
    """The PID of the monitor of a container's directory, 0 if none runs."""
    pid = noted(directory / "monitor")
    if pid.isdigit() and is_run_with(int(pid), str(directory)):
        return int(pid)
    # The agent may have died before the monitor it had just started came to write that file.
    return next(processes_run_with(str(directory)), 0)


MONITOR = Path(__file__).with_name("monitor.sh")


def _environment() -> dict[str, str]:
    # Nothing of the agent's own surroundings, such as the supervisor's sockets, is a container's business.
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def noted(path: Path) -> str:
    """What the monitor has written down. Where the disk was full it is in the target of a link."""
    return os.readlink(path) if path.is_symlink() else _read_text(path)


def _modified(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except FileNotFoundError:
        return None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except FileNotFoundError:
        return ""
