"""A user-mode-linux that boots this machine's own file system, runs one command and ends."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

KERNEL = "linux.uml"
MODULES = Path("/usr/lib/uml/modules")
_SUPPORT = Path(__file__).parent
_MEMORY = "768M"


class UmlError(Exception):
    """The machine did not come up, or did not end."""


def lacking() -> str:
    """What this machine lacks for it; empty if it can run."""
    if shutil.which(KERNEL) is None or not MODULES.is_dir():
        return "user-mode-linux is not installed (apt install user-mode-linux)"
    if _has_amx() and shutil.which("clang") is None:
        return "clang is not installed, which user-mode-linux takes on processors with AMX"
    return ""


def run(command: Sequence[str], directory: Path, *, seconds: float) -> int:
    """Run a command in the machine, with ``directory`` to write to; its exit status.

    The rest of the file system is as it is here, and read only. Output goes to ``directory/output``.

    Raises UmlError.
    """
    script = directory / "run"
    script.write_text(f"#!/bin/sh\nexec {shlex.join(command)}\n")
    script.chmod(0o755)
    arguments = [
        *(KERNEL, "rootfstype=hostfs", "rootflags=/", "ro", f"mem={_MEMORY}", "quiet"),
        *("con=null", "con0=null,fd:1", f"init={_SUPPORT / 'init.sh'}"),
        f"uml_dir={directory}/",  # else it leaves its own beneath the home directory
        *(f"HERE={directory}", f"WHERE={Path.cwd()}", f"PATH={os.environ['PATH']}"),
    ]
    environment = dict(os.environ)
    if _has_amx():
        environment["LD_PRELOAD"] = str(_build_preload(directory))
    with (directory / "console").open("wb") as console:
        machine = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            machine.wait(seconds)
        except subprocess.TimeoutExpired:
            raise UmlError(f"still running after {seconds} s: {_tail(directory)}") from None
        finally:
            _kill(machine)
    try:
        return int((directory / "status").read_text())
    except (OSError, ValueError):
        raise UmlError(f"it ended early: {_tail(directory)}") from None


def _kill(machine: subprocess.Popen[bytes]) -> None:
    """End all of its processes: they are the only ones in their group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(machine.pid, signal.SIGKILL)
    machine.wait()


def _tail(directory: Path) -> str:
    texts = [
        path.read_text(errors="replace")[-1500:]
        for path in (directory / "console", directory / "output")
        if path.exists()
    ]
    return "\n".join(texts)


def _has_amx() -> bool:
    return " amx_tile" in Path("/proc/cpuinfo").read_text()


def _build_preload(directory: Path) -> Path:
    library = directory / "regset.so"
    source = _SUPPORT / "regset.c"
    subprocess.run(["clang", "-shared", "-fPIC", "-O2", "-o", library, source], check=True)
    return library
