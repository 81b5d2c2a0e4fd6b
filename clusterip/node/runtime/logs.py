"""A container's log: from the FIFOs its output goes to, to files in the format of the CRI.

A line is ``<RFC 3339 time with nanoseconds> stdout|stderr F|P <text>``; ``P`` marks a part of a line
that goes on in the next. When a file reaches its size it becomes ``.1``, older ones count up. What a full
disk does not take is lost: a container must not hang because nobody can keep what it says.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clusterip.process import log

_log = log.get("node")

_MAXIMUM_LINE = 16 * 1024
_PIPE_SIZE = 256 * 1024


@dataclass(frozen=True)
class LogLimits:
    """How much of a container's log is kept: bytes of a file, and how many files."""

    size: int = 10 << 20
    files: int = 5


class LogFile:
    """The log that a container's output is appended to. ``lost`` counts the bytes it could not take."""

    def __init__(self, path: Path, limits: LogLimits | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.closed = False
        self.lost = 0
        self._limits = limits or LogLimits()
        self._listeners: list[Callable[[], None]] = []
        self._open()

    def append(self, data: bytes) -> None:
        """Add whole lines; if the disk does not take them all, none."""
        try:
            if self._size and self._size + len(data) > self._limits.size:
                self._rotate()
            self._write(data)
        except OSError as error:
            if not self.lost:
                _log.warning("output of a container lost", log=str(self.path), error=str(error))
            self.lost += len(data)
            return
        self._size += len(data)
        self._notify()

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise

    def listen(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after every write and at the end; returns how to stop that."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            os.close(self._descriptor)
            self._notify()

    def _notify(self) -> None:
        for callback in list(self._listeners):
            callback()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o640)
        self._size = os.fstat(self._descriptor).st_size

    def _rotate(self) -> None:
        for number in range(self._limits.files - 2, 0, -1):
            older = rotated(self.path, number)
            if older.exists():
                older.rename(rotated(self.path, number + 1))
        if self._limits.files > 1 and self.path.exists():  # else an earlier try came no further
            self.path.rename(rotated(self.path, 1))
        else:
            self.path.unlink(missing_ok=True)
        old = self._descriptor
        self._open()
        os.close(old)


def rotated(path: Path, number: int) -> Path:
    """The ``number``-th older file of a log."""
    return path.with_name(f"{path.name}.{number}")


Sink = Callable[[str, bytes], None]
"""Gets output as it comes: the stream's name and the bytes. ``b""`` is the end of the stream."""


class OutputReader:
    """Reads one FIFO of a running container for as long as something can write to it."""

    def __init__(self, fifo: Path, stream: str, log: LogFile, sink: Sink) -> None:
        self.finished = asyncio.Event()
        self._stream = stream
        self._log = log
        self._sink = sink
        self._partial = b""
        self._loop = asyncio.get_running_loop()
        self._descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def start(self) -> None:
        """Begin to read, once the other end is open: a FIFO that nobody has open reads as ended."""
        if not self.finished.is_set():
            self._loop.add_reader(self._descriptor, self._read)

    def close(self) -> None:
        """Read what is left and stop."""
        while not self.finished.is_set():
            if not self._read():
                self._finish()

    def close_now(self) -> None:
        """Stop, leaving what has not been read to the next reader."""
        if not self.finished.is_set():
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self.finished.set()

    def _read(self) -> bool:
        try:
            data = os.read(self._descriptor, _PIPE_SIZE)
        except BlockingIOError:
            return False
        if not data:
            self._finish()
            return True
        self._sink(self._stream, data)
        self._write(data)
        return True

    def _write(self, data: bytes) -> None:
        lines = (self._partial + data).split(b"\n")
        self._partial = lines.pop()
        stamp = timestamp()
        out = [_line(stamp, self._stream, line) for line in lines]
        while len(self._partial) >= _MAXIMUM_LINE:
            out.append(f"{stamp} {self._stream} P ".encode() + self._partial[:_MAXIMUM_LINE] + b"\n")
            self._partial = self._partial[_MAXIMUM_LINE:]
        if out:
            self._log.append(b"".join(out))

    def _finish(self) -> None:
        if self.finished.is_set():
            return
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        if self._partial:
            self._log.append(_line(timestamp(), self._stream, self._partial))
            self._partial = b""
        self._sink(self._stream, b"")
        self.finished.set()


def timestamp() -> str:
    """The present, as log lines have it: UTC with nanoseconds."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09d}Z"


def _line(stamp: str, stream: str, line: bytes) -> bytes:
    start = f"{stamp} {stream} ".encode()
    pieces = [line[i : i + _MAXIMUM_LINE] for i in range(0, len(line), _MAXIMUM_LINE)] or [b""]
    parts = [start + b"P " + piece + b"\n" for piece in pieces[:-1]]
    return b"".join((*parts, start, b"F ", pieces[-1], b"\n"))
