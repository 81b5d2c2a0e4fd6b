"""A PID namespace for all containers of a Pod (``shareProcessNamespace``), and the process that it lives by.

Alone of a Pod's namespaces this one needs a process, its first, which ``pause.sh`` is. It belongs to no
agent: a later one knows it by the Pod's directory among its arguments.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
from pathlib import Path

from clusterip.node.runtime.process import is_run_with, processes_run_with

_CLONE_NEWPID = 0x20000000
_SCRIPT = Path(__file__).with_name("pause.sh")

_libc = ctypes.CDLL(None, use_errno=True)


def start(directory: Path) -> int:
    """Start the first process of a new PID namespace, for the Pod of that directory; its PID here.

    Raises:
        OSError: the kernel gave no namespace or no process.
    """
    started: list[int] = []
    failures: list[OSError] = []

    def make() -> None:  # in a thread of its own: the children of this one only are in the namespace
        try:
            if _libc.unshare(_CLONE_NEWPID) != 0:
                number = ctypes.get_errno()
                raise OSError(number, f"unshare: {os.strerror(number)}")
            null = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in range(3)]
            words = ["/bin/sh", str(_SCRIPT), str(directory)]
            environment = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
            started.append(os.posix_spawn(words[0], words, environment, file_actions=null, setsid=True))
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=make, name="pause")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return started[0]


def runs(pid: int, directory: Path) -> bool:
    """Whether the process that ``start`` returned is still there."""
    return is_run_with(pid, str(directory))


def end(directory: Path) -> None:
    """End a Pod's PID namespace and everything in it. Harmless if there is none."""
    for pid in processes_run_with(str(directory)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
