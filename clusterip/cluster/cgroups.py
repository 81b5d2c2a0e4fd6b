"""Cgroups of version 2, by their names below the root of all."""

from __future__ import annotations

import os
from pathlib import Path

from clusterip.kernel.bpf.filesystem import cgroup_root


def path_of(name: str) -> Path:
    """Raises FileNotFoundError if no cgroups of version 2 are mounted."""
    root = cgroup_root()
    if root is None:
        raise FileNotFoundError("no cgroups of version 2 are mounted")
    return root / name


def join(name: str) -> None:
    """Put this process, and all that it will start, into a cgroup. Raises OSError."""
    (path_of(name) / "cgroup.procs").write_text(str(os.getpid()))
