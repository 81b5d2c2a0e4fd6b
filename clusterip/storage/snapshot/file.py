"""The file of a snapshot: a first line, compressed records, a checksum.

::

    clusterip snapshot 1\\n
    gzip of: a header in JSON; records in MessagePack; the number of records
    SHA-256 of all before, 32 bytes

Each of the header, the records and the number is preceded by its length, 4 bytes in network order; a length
of 0 is between records and number. Both ends are made for streams: no part has to fit into memory as a whole.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from clusterip.storage.store import KeyValue, StoreError

MAGIC = b"clusterip snapshot 1\n"
_DIGEST_BYTES = 32
_BLOCK = 1 << 20
_GZIP = 31

_encode = msgspec.msgpack.encode


class SnapshotError(StoreError):
    """A snapshot cannot be written or read; the message says which file and why."""


class Header(msgspec.Struct, frozen=True):
    """What a snapshot says about itself.

    Attributes:
        revision: the store's revision that it shows.
        saved: when it was taken, RFC 3339.
        source: the kind of store: ``sqlite`` or ``etcd``.
        version: the program that wrote it.
    """

    revision: int
    saved: str
    source: str
    version: str


class _Record(msgspec.Struct, array_like=True, frozen=True):
    key: str
    value: bytes
    create_revision: int
    mod_revision: int


_RECORD = msgspec.msgpack.Decoder(_Record)


class Writer:
    """Writes a snapshot under another name first, so that there is never half a one.

    ::

        with Writer(path, header) as writer:
            for item in items:
                writer.add(item)
    """

    def __init__(self, path: Path, header: Header) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.part")
        self._hash = hashlib.sha256()
        self._gzip = zlib.compressobj(6, wbits=_GZIP)
        self.count = 0
        try:
            # Nobody else may read it: there are Secrets in it.
            descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SnapshotError(f"cannot write {path}: {error.strerror}") from error
        self._file: BinaryIO = os.fdopen(descriptor, "wb")
        self._write(MAGIC)
        self._frame(msgspec.json.encode(header))

    def add(self, item: KeyValue) -> None:
        record = _Record(item.key, item.value, item.create_revision, item.mod_revision)
        self._frame(_encode(record))
        self.count += 1

    def _frame(self, data: bytes) -> None:
        self._write(self._gzip.compress(len(data).to_bytes(4, "big") + data))

    def _write(self, data: bytes) -> None:
        self._hash.update(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise SnapshotError(f"cannot write {self._path}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            self._file.close()
            self._part.unlink(missing_ok=True)

    def _finish(self) -> None:
        self._frame(b"")
        self._frame(_encode(self.count))
        self._write(self._gzip.flush())
        try:
            self._file.write(self._hash.digest())
            self._file.flush()
            os.fsync(self._file.fileno())
            self._part.rename(self._path)
            directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise SnapshotError(f"cannot write {self._path}: {error.strerror}") from error


class Reader:
    """A snapshot whose checksum is right: ``digest``, in hexadecimal. ``size`` is the file's, in bytes."""

    def __init__(self, path: Path) -> None:
        """Reads all of the file once. Raises SnapshotError if it is none, or not whole."""
        self._path = path
        try:
            self.size = path.stat().st_size
            self.digest = self._verify()
            self.header = self._header()
        except OSError as error:
            raise SnapshotError(f"cannot read {path}: {error.strerror}") from error

    def _verify(self) -> str:
        digest = hashlib.sha256()
        with self._path.open("rb") as file:
            start = file.read(len(MAGIC))
            if start != MAGIC:
                raise SnapshotError(f"{self._path} is no snapshot that this program can read")
            digest.update(start)
            for block in self._blocks(file):
                digest.update(block)
            if digest.digest() != file.read():
                raise SnapshotError(
                    f"{self._path} is damaged or incomplete: its checksum is wrong. Use another snapshot"
                )
        return digest.hexdigest()

    def _header(self) -> Header:
        try:
            return msgspec.json.decode(next(self._frames()), type=Header)
        except msgspec.MsgspecError as error:
            raise SnapshotError(
                f"{self._path} has a header that this program cannot read: {error}"
            ) from error

    def items(self) -> Iterator[KeyValue]:
        """All of it, in the order of keys. Raises SnapshotError if it is not what it says."""
        frames = self._frames()
        next(frames)
        count = 0
        for frame in frames:
            if not frame:
                break
            record = _RECORD.decode(frame)
            count += 1
            yield KeyValue(record.key, record.value, record.create_revision, record.mod_revision)
        told = msgspec.msgpack.decode(next(frames, b"\0"), type=int)
        if told != count:
            raise SnapshotError(f"{self._path} has {count} keys and says that it has {told}")

    def _blocks(self, file: BinaryIO) -> Iterator[bytes]:
        """What is between the first line, which has been read, and the checksum."""
        left = self.size - len(MAGIC) - _DIGEST_BYTES
        while left > 0 and (block := file.read(min(_BLOCK, left))):
            left -= len(block)
            yield block

    def _frames(self) -> Iterator[bytes]:
        unzip = zlib.decompressobj(wbits=_GZIP)
        data = bytearray()
        with self._path.open("rb") as file:
            file.seek(len(MAGIC))
            for block in self._blocks(file):
                data += unzip.decompress(block)
                start = 0
                while len(data) - start >= 4:
                    end = start + 4 + int.from_bytes(data[start : start + 4], "big")
                    if len(data) < end:
                        break
                    yield bytes(data[start + 4 : end])
                    start = end
                del data[:start]
