"""A cgroup that single threads of the tests' process can be in for a moment.

Sockets belong to the cgroup of the thread that makes them: so sockets of different nodes' programs can be
made by one process.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from clusterip.kernel.bpf.filesystem import cgroup_root


class ThreadCgroup:
    """A threaded cgroup. The process is in its parent until ``close``."""

    def __init__(self, name: str) -> None:
        root = cgroup_root()
        assert root is not None, "no cgroups of version 2 are mounted"
        [line] = [each for each in Path("/proc/self/cgroup").read_text().split() if each.startswith("0::")]
        self._home = root / line.removeprefix("0::").strip("/")
        self._parent = root / f"{name}-{os.getpid()}"
        self.path = self._parent / "node"
        self._parent.mkdir()
        self.path.mkdir()
        (self._parent / "cgroup.procs").write_text(str(os.getpid()))
        (self.path / "cgroup.type").write_text("threaded")

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """In it with this thread."""
        thread = str(threading.get_native_id())
        (self.path / "cgroup.threads").write_text(thread)
        try:
            yield
        finally:
            (self._parent / "cgroup.threads").write_text(thread)

    def close(self) -> None:
        """Leave it and remove it."""
        (self._home / "cgroup.procs").write_text(str(os.getpid()))
        self.path.rmdir()
        self._parent.rmdir()
