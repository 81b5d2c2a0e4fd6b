"""Being told when a file appears in a directory, or goes: inotify(7) in an asyncio event loop."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import struct
from collections.abc import Callable
from pathlib import Path

IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_CLOSE_WRITE = 0x08
IN_IGNORED = 0x8000
_IN_ONLYDIR = 0x01000000
_HEADER = struct.Struct("=iIII")

_libc = ctypes.CDLL(None, use_errno=True)

Callback = Callable[[str], None]
"""Gets the name of the file that appeared."""


class Inotify:
    """One inotify descriptor for all directories an event loop follows. Make it inside the loop."""

    def __init__(self) -> None:
        descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if descriptor < 0:
            _raise("inotify_init1", "")
        self._descriptor = descriptor
        self._callbacks: dict[int, Callback] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._read)

    def watch(self, directory: Path, callback: Callback, *, removals: bool = False) -> Callable[[], None]:
        """Call back for every file completed in or moved into ``directory``; returns how to stop that.

        With ``removals`` also for every file that is deleted or moved out of it.

        Raises:
            OSError: there is no such directory, or the user's limit of watches is reached.
        """
        flags = IN_MOVED_TO | IN_CLOSE_WRITE | _IN_ONLYDIR
        if removals:
            flags |= IN_DELETE | IN_MOVED_FROM
        watch = _libc.inotify_add_watch(self._descriptor, os.fsencode(directory), flags)
        if watch < 0:
            _raise("inotify_add_watch", str(directory))
        self._callbacks[watch] = callback

        def stop() -> None:
            if self._callbacks.pop(watch, None) is not None:
                _libc.inotify_rm_watch(self._descriptor, watch)

        return stop

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._descriptor, 64 * 1024)
            offset = 0
            while offset < len(data):
                watch, flags, _cookie, size = _HEADER.unpack_from(data, offset)
                offset += _HEADER.size
                name = data[offset : offset + size].rstrip(b"\0").decode(errors="surrogateescape")
                offset += size
                if flags & IN_IGNORED:
                    self._callbacks.pop(watch, None)
                elif callback := self._callbacks.get(watch):
                    callback(name)


def _raise(call: str, path: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{call}: {os.strerror(number)}", path)
