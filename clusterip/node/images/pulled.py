"""Which images came from a registry, and when each was used last: only those may go for room on the disk.

What was imported stays until somebody removes it: nobody could bring it back. All nodes of a machine share
the records, a file for each image, whose modification time is that of the last use.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from clusterip.node.files import write_atomic


class _Record(msgspec.Struct):
    name: str
    pulled_at: float


@dataclass(frozen=True)
class Pulled:
    """An image; times are as ``time.time()``."""

    name: str
    pulled_at: float
    used_at: float


class PulledImages:
    """The records, in a directory that is made when first written to."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def note(self, name: str, now: float) -> None:
        """An image was pulled. Raises OSError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        write_atomic(self._file(name), msgspec.json.encode(_Record(name, now)))

    def forget(self, name: str) -> None:
        """An image is gone, or was imported since."""
        self._file(name).unlink(missing_ok=True)

    def use(self, names: Iterable[str]) -> None:
        """Images are in use now. Harmless for those that were not pulled."""
        for name in names:
            with contextlib.suppress(OSError):
                os.utime(self._file(name))

    def all(self) -> list[Pulled]:
        """All images that were pulled, the one that was used the longest time ago first."""
        found = []
        for path in self._directory.iterdir() if self._directory.is_dir() else ():
            if path.name.startswith("."):
                continue
            with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
                record = msgspec.json.decode(path.read_bytes(), type=_Record)
                found.append(Pulled(record.name, record.pulled_at, path.stat().st_mtime))
        return sorted(found, key=lambda image: (image.used_at, image.pulled_at))

    def _file(self, name: str) -> Path:
        return self._directory / hashlib.sha256(name.encode()).hexdigest()[:32]
