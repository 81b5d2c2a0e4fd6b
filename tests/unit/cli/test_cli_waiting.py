"""A sign of life from what takes long: in a terminal, and nowhere else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

SCRIPT = """
import time
from clusterip.cli.waiting import saying
with saying("working"):
    time.sleep({seconds})
print("done")
"""


def run(seconds: float, errors: int) -> None:
    """Standard error is the descriptor `errors`."""
    command = [sys.executable, "-c", SCRIPT.format(seconds=seconds)]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=errors, check=True, timeout=60)


def test_a_terminal_is_told_after_a_second() -> None:
    ours, theirs = pty.openpty()
    try:
        run(1.5, theirs)
        assert os.read(ours, 1000).decode().startswith("\rworking … 1 s ")
    finally:
        os.close(ours)
        os.close(theirs)


def test_what_is_quick_says_nothing() -> None:
    ours, theirs = pty.openpty()
    try:
        run(0.0, theirs)
        os.set_blocking(ours, False)
        assert read_or_nothing(ours) == b""
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_file_gets_nothing() -> None:
    ours, theirs = os.pipe()
    run(1.2, theirs)
    os.close(theirs)
    assert os.read(ours, 1000) == b""
    os.close(ours)


def read_or_nothing(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1000)
    except BlockingIOError:
        return b""
