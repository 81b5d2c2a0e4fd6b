"""Several processes on one port: the kernel shares queries out among them (SO_REUSEPORT, socket(7)).

Each follows the API and forwards on its own. The first also serves health and metrics, for all of them.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable

from clusterip.process import log

_PR_SET_PDEATHSIG = 1
_SHORT_LIFE = 2.0
_log = log.get("dns")


def run_workers(count: int, run: Callable[[int], int]) -> int:
    """Run ``run(index)`` in ``count`` processes until SIGTERM or SIGINT; their exit code.

    A worker that dies is replaced; one that dies at once ends them all, for the next would too.
    """
    workers: dict[int, tuple[int, float]] = {}
    stopping = False

    def stop(number: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True
        for pid in workers:
            os.kill(pid, signal.SIGTERM)

    old = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    code = 0
    try:
        for index in range(count):
            workers[_fork(index, run)] = (index, time.monotonic())
        while workers:
            pid, status = os.wait()
            if pid not in workers:
                continue
            index, since = workers.pop(pid)
            ended = os.waitstatus_to_exitcode(status)
            if stopping:
                code = code or max(0, ended)
            elif time.monotonic() - since < _SHORT_LIFE:
                code = ended if ended > 0 else 1
                stop(signal.SIGTERM, None)
            else:
                _log.error("a worker died", worker=index, pid=pid, code=ended)
                workers[_fork(index, run)] = (index, time.monotonic())
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
    return code


def _fork(index: int, run: Callable[[int], int]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == parent:  # else it died before it could be watched
            code = run(index)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
