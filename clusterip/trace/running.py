"""Starting the client process of a trace, and what it answers."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from clusterip.trace.machine import Found, cgroup_for

_GRACE_SECONDS = 10.0


class ProbeError(Exception):
    """The client process could not be started or ended early; the text says why."""


@dataclass
class Connection:
    """What the client has of its connection. Times are of ``time.monotonic()``.

    ``result``: ``answered``, ``silent``, ``timeout``, ``refused``, ``unreachable``, ``reset``, ``forbidden``
    or ``failed``. ``peer`` is the other end as the socket says it, ``remote`` as the kernel has it.
    """

    begun: float
    ended: float
    result: str
    local: tuple[str, int] = ("", 0)
    peer: tuple[str, int] | None = None
    remote: tuple[str, int] | None = None
    connected: float | None = None
    answer: str = ""
    error: str = ""

    @property
    def is_reached(self) -> bool:
        return self.result == "answered" or (self.result == "silent" and self.connected is not None)


@dataclass
class Asked:
    """One question to one name server. ``answers`` are addresses and aliases; ``result`` as above."""

    name: str
    server: str
    begun: float
    ended: float
    result: str
    rcode: int = -1
    answers: list[str] = field(default_factory=list)
    local: tuple[str, int] = ("", 0)
    remote: tuple[str, int] | None = None
    error: str = ""


class Running:
    """The process, in a namespace and in a cgroup of its own; a context manager."""

    def __init__(self, found: Found, *, cgroup: Path | None = None) -> None:
        """Raises ProbeError. ``cgroup``: whose programs at sockets count; else that of a process there."""
        parent = cgroup or cgroup_for(found)
        self._group: Path | None = None
        if parent is not None:
            group = parent / f"clusterip-trace-{os.getpid()}"
            with contextlib.suppress(OSError):
                group.mkdir(exist_ok=True)
                self._group = group
        # "-P": the working directory may be anybody's.
        command = [
            sys.executable,
            "-P",
            "-m",
            "clusterip.trace.probe",
            str(found.path),
            str(self._group or ""),
        ]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        if self._group is not None:
            # The process is not out of its cgroup before it has ended for good; it was waited for.
            with contextlib.suppress(OSError):
                self._group.rmdir()

    def wait(self) -> None:
        """Until it is ready, so that its start is no part of any time."""
        self._do("wait", 0)

    def open(self, version: int, protocol: str, mark: int) -> None:
        self._do("open", 0, version=version, protocol=protocol, mark=mark)

    def connect(
        self,
        address: str,
        port: int,
        send: str,
        seconds: float,
        meanwhile: Iterable[Any] = (),
        ready: Callable[[], None] = lambda: None,
    ) -> Connection:
        """Make the connection; call ``ready`` whenever one of ``meanwhile`` can be read."""
        answer = self._do(
            "connect",
            seconds,
            meanwhile=meanwhile,
            ready=ready,
            address=address,
            port=port,
            send=send,
            seconds=seconds,
        )
        return Connection(**{key: _end(value) for key, value in answer.items()})

    def lookup(self, name: str, version: int, servers: list[str], seconds: float) -> list[Asked]:
        answer = self._do(
            "lookup", seconds * len(servers), name=name, version=version, servers=servers, seconds=seconds
        )
        return [
            Asked(**{key: _end(value) if key != "answers" else value for key, value in each.items()})
            for each in answer["tries"]
        ]

    def close_connection(self) -> None:
        self._do("close", 0)

    def _do(
        self,
        command: str,
        expected: float,
        *,
        meanwhile: Iterable[Any] = (),
        ready: Callable[[], None] = lambda: None,
        **arguments: Any,
    ) -> dict[str, Any]:
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        with contextlib.suppress(BrokenPipeError):
            into.write(json.dumps({"do": command, **arguments}).encode() + b"\n")
            into.flush()
        end = time.monotonic() + expected + _GRACE_SECONDS
        others = list(meanwhile)
        while True:
            readable = select.select([out, *others], [], [], max(end - time.monotonic(), 0))[0]
            if any(each is not out for each in readable):
                ready()
            if out in readable:
                line = out.readline()
                if not line:
                    raise ProbeError(self._complaint())
                answer: dict[str, Any] = json.loads(line)
                return answer
            if not readable:
                raise ProbeError("the client process of the trace does not answer")

    def _complaint(self) -> str:
        assert self._process.stderr is not None
        lines = self._process.stderr.read().decode(errors="replace").strip().splitlines()
        return f"the client process of the trace ended: {lines[-1] if lines else 'it said nothing'}"


def _end(value: Any) -> Any:
    """JSON has lists for pairs."""
    return tuple(value) if isinstance(value, list) else value
