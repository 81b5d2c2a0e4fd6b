"""Tells when files have changed, by inotify(7).

The directories are watched, not the files: an editor replaces a file by a new one, and a mounted ConfigMap
is a chain of symbolic links of which the kubelet swaps one (``..data``) in another directory's place.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable, Iterable
from pathlib import Path

_IN_ATTRIB, _IN_CLOSE_WRITE, _IN_MOVED_TO, _IN_CREATE, _IN_DELETE = 0x4, 0x8, 0x80, 0x100, 0x200
_MASK = _IN_ATTRIB | _IN_CLOSE_WRITE | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE
_QUIET_SECONDS = 0.05
"""A change is complete when so long nothing has followed it."""

_libc = ctypes.CDLL(None, use_errno=True)


class FileWatch:
    """Calls ``changed`` soon after one of the files may have another content."""

    def __init__(self, changed: Callable[[], None]) -> None:
        """Raises OSError if the kernel allows no more watches."""
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._watched: set[str] = set()
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1: " + os.strerror(ctypes.get_errno()))
        self._loop.add_reader(self._fd, self._read)

    def watch(self, files: Iterable[str]) -> None:
        """Watch these files too. A directory that is not there is left out."""
        for file in files:
            for directory in _directories(Path(file)):
                if directory in self._watched or not os.path.isdir(directory):
                    continue
                if _libc.inotify_add_watch(self._fd, os.fsencode(directory), _MASK) >= 0:
                    self._watched.add(directory)

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        if self._timer is not None:
            self._timer.cancel()

    def _read(self) -> None:
        os.read(self._fd, 65536)  # which file it was does not matter: the content decides
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(_QUIET_SECONDS, self._changed)


def _directories(file: Path) -> list[str]:
    """The directories in which a change could give a file another content: also those of link targets."""
    found: dict[str, None] = {}
    for _ in range(16):
        found[str(file.absolute().parent)] = None
        if not file.is_symlink():
            break
        file = file.absolute().parent / os.readlink(file)
    return list(found)
