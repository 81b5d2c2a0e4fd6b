"""File systems in memory, mounted and unmounted. See mount(2)."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

NOSUID, NODEV, NOEXEC = 2, 4, 8
"""Flags of a mount."""

_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


def mount_tmpfs(path: Path, options: str, flags: int = 0) -> None:
    """Mount a new tmpfs at an existing directory; ``options`` as ``mode=1777,size=65536``. Raises OSError."""
    if _libc.mount(b"tmpfs", os.fsencode(path), b"tmpfs", flags, options.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot mount a tmpfs: {os.strerror(number)}", str(path))


def unmount(path: Path) -> None:
    """Unmount what is mounted at a path, at once for all to come. Harmless if nothing is. Raises OSError."""
    if _libc.umount2(os.fsencode(path), _MNT_DETACH) != 0:
        number = ctypes.get_errno()
        if number not in (errno.EINVAL, errno.ENOENT):
            raise OSError(number, f"unmount: {os.strerror(number)}", str(path))
