"""Running a command in a container that runs: ``crun exec``, with pipes or a terminal."""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from clusterip.node.cgroups import tree as cgroups
from clusterip.node.files import remove_tree
from clusterip.node.runtime.container import Container
from clusterip.node.runtime.terminal import set_terminal_size

_CHUNK = 32 * 1024


_PREFIX = "clusterip-exec-"
_ENTER = Path(__file__).with_name("enter.sh")


class ExecFailed(Exception):
    """A command could not be started in a container."""


class Execution:
    """A command under way. With a terminal, ``stderr`` stays empty: a terminal has one output."""

    def __init__(self, process: asyncio.subprocess.Process, directory: Path, terminal: int | None) -> None:
        self._process = process
        self._directory = directory
        self._terminal = terminal
        self.has_terminal = terminal is not None

    async def write(self, data: bytes) -> None:
        """Send input; input after the command closed its own is lost, as in a shell."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, OSError):
            if self._terminal is not None:
                await write_all(self._terminal, data)
            elif self._process.stdin:
                self._process.stdin.write(data)
                await self._process.stdin.drain()

    def close_input(self) -> None:
        """No more input. A terminal gets its end-of-file character."""
        if self._terminal is not None:
            with contextlib.suppress(OSError):
                os.write(self._terminal, b"\x04")
        elif self._process.stdin:
            self._process.stdin.close()

    async def stdout(self) -> AsyncIterator[bytes]:
        if self._terminal is not None:
            async for data in _read_terminal(self._terminal):
                yield data
        elif self._process.stdout:
            while data := await self._process.stdout.read(_CHUNK):
                yield data

    async def stderr(self) -> AsyncIterator[bytes]:
        if self._process.stderr and self._terminal is None:
            while data := await self._process.stderr.read(_CHUNK):
                yield data

    def resize(self, width: int, height: int) -> None:
        if self._terminal is not None:
            set_terminal_size(self._terminal, width, height)

    async def wait(self) -> int:
        """The exit code, once the command has ended and its output has been read.

        Raises:
            ExecFailed: it never started.
        """
        code = await self._process.wait()
        if not (self._directory / "pid").exists():
            raise ExecFailed(_first_line(self._directory / "crun.log") or f"crun exec ended with {code}")
        return code

    def kill(self) -> None:
        """End the command at once; what it started itself goes on."""
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self._directory / "pid").read_text()), signal.SIGKILL)
        if self._process.returncode is None:
            self._process.kill()

    def close(self) -> None:
        if self._process.returncode is None:
            self.kill()
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None
        remove_tree(self._directory)


def remove_leftovers() -> None:
    """Remove the files of commands whose agent was killed."""
    for entry in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = entry.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            remove_tree(entry)


async def start(
    container: Container,
    command: Sequence[str],
    *,
    crun: str,
    state: Path,
    stdin: bool = False,
    terminal: bool = False,
) -> Execution:
    """Start ``command`` in a running container, with its user, environment and directory.

    Raises:
        ExecFailed: the container does not run, or crun cannot be started.
    """
    if not container.running:
        raise ExecFailed("container not running")
    if not os.access(crun, os.X_OK):
        raise ExecFailed(f"the container runtime {crun} is not found; install it again")
    try:
        return await _start(container, command, crun, state, stdin, terminal)
    except OSError as error:  # no crun, no memory, no room
        raise ExecFailed(f"cannot run a command: {error}") from error


async def _start(
    container: Container, command: Sequence[str], crun: str, state: Path, stdin: bool, terminal: bool
) -> Execution:
    # Not in the container's directory: the terminal's socket may have a path of 107 characters only.
    directory = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    configuration = msgspec.json.decode((container.directory / "config.json").read_bytes())
    process: dict[str, Any] = configuration["process"] | {"args": list(command), "terminal": terminal}
    if terminal and not any(each.startswith("TERM=") for each in process["env"]):
        process["env"].append("TERM=xterm")
    (directory / "process.json").write_bytes(msgspec.json.encode(process))
    arguments = [
        *(crun, "--root", str(state), "--log", str(directory / "crun.log"), "--cgroup-manager=disabled"),
        *("exec", "--process", str(directory / "process.json"), "--pid-file", str(directory / "pid")),
    ]
    if cgroups.noted(container.directory):
        arguments = ["/bin/sh", str(_ENTER), str(container.directory), *arguments]
    try:
        if terminal:
            return await _start_with_terminal(arguments, container.record.id, directory)
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        started = await asyncio.create_subprocess_exec(
            *arguments, container.record.id, stdin=pipe if stdin else null, stdout=pipe, stderr=pipe
        )
    except BaseException:
        remove_tree(directory)
        raise
    return Execution(started, directory, None)


async def _start_with_terminal(arguments: list[str], id: str, directory: Path) -> Execution:
    # crun makes the terminal inside the container and sends us our end through this socket.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        address = str(directory / "terminal")
        listener.bind(address)
        listener.listen(1)
        listener.setblocking(False)
        null = asyncio.subprocess.DEVNULL
        started = await asyncio.create_subprocess_exec(
            *arguments, "--console-socket", address, id, stdin=null, stdout=null, stderr=null
        )
        loop = asyncio.get_running_loop()
        accept = loop.create_task(loop.sock_accept(listener))
        ended = loop.create_task(started.wait())
        try:
            await asyncio.wait((accept, ended), return_when=asyncio.FIRST_COMPLETED)
            if not accept.done():
                message = _first_line(directory / "crun.log")
                raise ExecFailed(message or f"crun exec ended with {started.returncode}")
            connection = accept.result()[0]
            with connection:
                connection.setblocking(True)
                terminal = await asyncio.to_thread(_receive_descriptor, connection)
        finally:
            accept.cancel()
            ended.cancel()
    os.set_blocking(terminal, False)
    return Execution(started, directory, terminal)


def _receive_descriptor(connection: socket.socket) -> int:
    size = array.array("i", [0]).itemsize
    _data, ancillary, _flags, _address = connection.recvmsg(4096, socket.CMSG_SPACE(size))
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors = array.array("i")
            descriptors.frombytes(data[:size])
            os.set_inheritable(descriptors[0], False)
            return descriptors[0]
    raise ExecFailed("crun sent no terminal")


async def _read_terminal(descriptor: int) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        while True:
            try:
                data = os.read(descriptor, _CHUNK)
            except BlockingIOError:
                readable.clear()
                await readable.wait()
                continue
            except OSError:  # EIO: nothing has the other end open any more
                return
            if not data:
                return
            yield data
    finally:
        loop.remove_reader(descriptor)


async def write_all(descriptor: int, data: bytes) -> None:
    loop = asyncio.get_running_loop()
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            writable = asyncio.Event()
            loop.add_writer(descriptor, writable.set)
            try:
                await writable.wait()
            finally:
                loop.remove_writer(descriptor)


def _first_line(path: Path) -> str:
    try:
        text = path.read_text(errors="replace").strip()
    except FileNotFoundError:
        return ""
    return text.splitlines()[0] if text else ""
