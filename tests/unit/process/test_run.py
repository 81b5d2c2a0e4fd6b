"""Signals, clean-up and exit codes, of real processes."""

from __future__ import annotations

import signal
import subprocess
import sys

_PRELUDE = """
import asyncio, os, signal, sys
from clusterip.process import Fatal, log, run
log.setup()
"""


def _run(body: str) -> subprocess.CompletedProcess[str]:
    program = _PRELUDE + body + "\nsys.exit(run(main))\n"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)


def test_a_signal_cancels_once_and_clean_up_may_await() -> None:
    done = _run("""
async def main():
    os.kill(os.getpid(), signal.SIGTERM)
    try:
        await asyncio.Event().wait()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0.05)
        print("cleaned up")
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "cleaned up\n", "")


def test_a_second_interrupt_ends_a_clean_up_that_hangs() -> None:
    done = _run("""
async def main():
    os.kill(os.getpid(), signal.SIGINT)
    try:
        await asyncio.Event().wait()
    finally:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()
""")
    assert done.returncode == 128 + signal.SIGINT


def test_what_main_returns_is_the_exit_code() -> None:
    assert _run("async def main(): return 3").returncode == 3
    assert _run("async def main(): pass").returncode == 0


def test_a_fatal_error_is_a_sentence_not_a_traceback() -> None:
    done = _run("async def main(): raise Fatal('port 53 is taken: stop systemd-resolved')")
    assert done.returncode == 1
    assert done.stderr.endswith('ERROR process event="port 53 is taken: stop systemd-resolved"\n')
    assert "Traceback" not in done.stderr


def test_fatal_errors_are_found_in_groups() -> None:
    done = _run("""
async def bad(): raise Fatal("no")
async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(bad())
""")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert 'event="no"' in done.stderr


def test_a_bug_leaves_its_traceback() -> None:
    done = _run("async def main(): 1 / 0")
    assert done.returncode == 1
    assert "ZeroDivisionError: division by zero" in done.stderr
