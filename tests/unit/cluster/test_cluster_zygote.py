"""Forking: a child goes on only once it is written down, and its early end is nobody else's."""

from __future__ import annotations

import os
import signal

from clusterip.cluster import zygote


def test_a_child_killed_while_it_is_written_down_does_not_take_its_parent_along() -> None:
    def record_and_kill(pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # now nobody reads the gate any more

    pid = zygote.fork(record_and_kill)
    if pid == 0:
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_a_child_goes_on_after_it_is_written_down() -> None:
    written: list[int] = []
    pid = zygote.fork(written.append)
    if pid == 0:
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert written == [pid]
