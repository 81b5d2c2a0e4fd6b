"""The images that need no registry: the host's own file system, and the echo server in it."""

from __future__ import annotations

import sys
from pathlib import Path

from clusterip.node.images.manifest import Process
from clusterip.node.images.reference import Reference

REGISTRY = "clusterip.local"
HOST = "host"
ECHO = "echo"

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def is_builtin(reference: Reference) -> bool:
    """Whether the image is made from this machine; any tag of it is the same."""
    return reference.registry == REGISTRY and reference.repository in (HOST, ECHO)


def process(reference: Reference) -> Process:
    """What a built-in image runs. ``host`` has no command of its own but a shell."""
    if reference.repository == ECHO:
        program = Path(__file__).resolve().parent.parent / "echo.py"
        # -I and -S: nothing of the user's Python set-up is looked at, which halves the start.
        return Process(Entrypoint=[sys.executable, "-I", "-S", str(program)], Env=[_PATH], WorkingDir="/")
    return Process(Cmd=["/bin/sh"], Env=[_PATH], WorkingDir="/")
