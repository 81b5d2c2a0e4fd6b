"""Content by its digest: files named by the SHA-256 of what they hold, whole or not there."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO

CHUNK = 256 * 1024


class DigestMismatch(Exception):
    """Content that is not what its name says."""


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class BlobWriter:
    """A blob under way. ``commit`` gives it its name; without that, nothing remains."""

    def __init__(self, directory: Path, descriptor: int, temporary: str) -> None:
        self._directory = directory
        self._file = open(descriptor, "wb")  # noqa: SIM115 - closed by Blobs.writer
        self._temporary = temporary
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def copy(self, source: IO[bytes]) -> None:
        while chunk := source.read(CHUNK):
            self.write(chunk)

    def commit(self, expected: str = "") -> str:
        """Keep the blob, durably, and return its digest.

        Raises:
            DigestMismatch: the content's digest is not the ``expected`` one.
        """
        found = f"sha256:{self._hash.hexdigest()}"
        if expected and found != expected:
            raise DigestMismatch(
                f"content has digest {found} where {expected} was promised; the source is damaged"
            )
        self._file.flush()
        os.fsync(self._file.fileno())
        os.rename(self._temporary, self._directory / found.removeprefix("sha256:"))
        return found

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        Path(self._temporary).unlink(missing_ok=True)

    def __enter__(self) -> BlobWriter:
        return self


class Blobs:
    """The blobs of one directory; several processes may use it at once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, digest: str) -> Path:
        return self.directory / digest.removeprefix("sha256:")

    def has(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def read(self, digest: str) -> bytes:
        """A small blob's content. Raises FileNotFoundError if it is not there."""
        return self.path(digest).read_bytes()

    @contextmanager
    def writer(self) -> Iterator[BlobWriter]:
        self.directory.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=self.directory)
        with BlobWriter(self.directory, descriptor, temporary) as writer:
            yield writer

    def put(self, data: bytes) -> str:
        """Keep a small blob; its digest."""
        with self.writer() as writer:
            writer.write(data)
            return writer.commit()

    def digests(self) -> list[str]:
        if not self.directory.is_dir():
            return []
        return [f"sha256:{e.name}" for e in self.directory.iterdir() if not e.name.startswith(".")]
