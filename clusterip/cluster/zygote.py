"""Forking processes that have everything imported already.

A process that forks parts starts them in milliseconds and shares the memory of all modules with them.
Each part is otherwise as if it had been started from a shell: its own session, network namespace, log,
name in ``ps``; it runs the very command a person could type.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import setproctitle

from clusterip.cluster import cgroups
from clusterip.cluster.plan import Program
from clusterip.kernel import namespaces
from clusterip.process.sockets import hand_over

PREFIX = "clusterip"
_LOG_BYTES = 16 << 20

_collectors: dict[str, set[Any]] = {}


@dataclass(frozen=True)
class CommandLine:
    """The program's commands, which belong to a layer above: ``load`` one, ``run`` one's arguments."""

    load: Callable[[str], object]
    run: Callable[[Sequence[str]], None]


def preload(command: str, commands: CommandLine) -> None:
    """Import all of a part: the command's module and the part's own ``main``."""
    from prometheus_client import REGISTRY

    if command in _collectors:
        return
    known = set(REGISTRY._collector_to_names)
    commands.load(command)
    importlib.import_module(f"clusterip.{command}.main")
    _collectors[command] = set(REGISTRY._collector_to_names) - known


def fork(record: Callable[[int], None], *, orphan_goes_on: bool = False) -> int:
    """Fork; the child goes on (this returns 0 there) once ``record(pid)`` has returned in the parent.

    If the parent dies in between, the child ends too, so that nothing runs that is written down nowhere;
    unless ``orphan_goes_on``, for a child that will see to that itself.
    """
    gate_read, gate_write = os.pipe()
    gc.freeze()  # so that the child's collections do not touch, and thus copy, what it shares
    pid = os.fork()
    if pid == 0:
        os.close(gate_write)
        is_recorded = os.read(gate_read, 1)
        os.close(gate_read)
        if not is_recorded and not orphan_goes_on:
            os._exit(1)
        return 0
    os.close(gate_read)
    try:
        record(pid)
        with contextlib.suppress(BrokenPipeError):  # killed already: whoever watches the PID notices
            os.write(gate_write, b"x")
    finally:
        os.close(gate_write)
    return pid


def run_child(work: Callable[[], None]) -> NoReturn:
    """Do ``work`` in a fresh child and end it, as the interpreter would end a program."""
    code = 1
    try:
        work()
        code = 0
    except SystemExit as request:
        code = request.code if isinstance(request.code, int) else int(request.code is not None)
    except BaseException:  # noqa: BLE001 - the outermost frame of a process: its log gets it all
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def become(
    program: Program, commands: CommandLine, sockets: Sequence[socket.socket], others: Iterable[int]
) -> None:
    """Turn this fresh child into a part and run it. Returns or raises SystemExit when it has ended.

    Args:
        program: what to run.
        commands: how to run it.
        sockets: the listening sockets held for it.
        others: descriptors that are none of its business.
    """
    os.setsid()
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    for descriptor in others:
        os.close(descriptor)
    if program.cgroup:
        cgroups.join(program.cgroup)
    if program.namespace:
        namespaces.join(namespaces.path_of(program.namespace))
    redirect_output(program.log)
    hand_over(sockets)
    os.environ.update(program.environment)
    setproctitle.setproctitle(" ".join((PREFIX, *program.arguments)))
    _forget_metrics_of_others(program.command)
    commands.run(program.arguments)


def redirect_output(log: str) -> None:
    """Make ``log`` this process's standard output and error, /dev/null its input."""
    path = Path(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > _LOG_BYTES:
            path.replace(path.with_name(path.name + ".1"))
    sys.stdout.flush()
    sys.stderr.flush()
    output = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.close(null)


def _forget_metrics_of_others(command: str) -> None:
    """Metrics register themselves when imported; a part is to show its own only."""
    from prometheus_client import REGISTRY

    own = _collectors.get(command, set())
    for other, collectors in _collectors.items():
        if other != command:
            for collector in collectors - own:
                REGISTRY.unregister(collector)
