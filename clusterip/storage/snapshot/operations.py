"""Saving, restoring and looking at snapshots."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import msgspec

from clusterip.storage.etcd.endpoints import Tls
from clusterip.storage.etcd.login import User
from clusterip.storage.keys import PREFIX
from clusterip.storage.open import kind_of, sqlite_path
from clusterip.storage.snapshot import etcd, sqlite
from clusterip.storage.snapshot.file import Header, Reader, Writer
from clusterip.storage.store import Compacted, KeyValue, StoreError


class Status(msgspec.Struct, frozen=True):
    """What is in a snapshot.

    Attributes:
        path: the file.
        digest: its SHA-256, hexadecimal.
        size: the file's size in bytes.
        header: what it says about itself.
        keys: how many keys it has.
        resources: how many keys there are of each resource.
    """

    path: str
    digest: str
    size: int
    header: Header
    keys: int
    resources: dict[str, int]


async def save(url: str, path: Path, tls: Tls, user: User) -> int:
    """Write all that is in a store, as of one moment, to a file; how many keys. The store may be in use.

    Raises:
        StoreError: the store cannot be read, or the file not be written.
    """
    if kind_of(url) == "sqlite":
        return await asyncio.to_thread(_save_sqlite, sqlite_path(url), path)
    try:
        async with etcd.reading(url, tls, user) as (revision, items):
            with Writer(path, _header(revision, "etcd")) as writer:
                async for item in items:
                    writer.add(item)
    except Compacted:
        raise StoreError(
            "the store was compacted while the snapshot was taken, as that took very long: try again"
        ) from None
    return writer.count


def _save_sqlite(store: str, path: Path) -> int:
    with sqlite.reading(store) as (revision, items), Writer(path, _header(revision, "sqlite")) as writer:
        for item in items:
            writer.add(item)
    return writer.count


async def restore(path: Path, url: str, tls: Tls, user: User) -> tuple[int, int]:
    """Let a store hold what a file has, and nothing else; how many keys, and the store's new revision.

    No API server may use the store. One that is not there yet is made.

    Raises:
        StoreError: the file is damaged, the store is in use or cannot be written.
    """
    snapshot = await asyncio.to_thread(Reader, path)
    revision = snapshot.header.revision
    items = _Counted(snapshot.items())
    if kind_of(url) == "sqlite":
        reached = await asyncio.to_thread(sqlite.restore, sqlite_path(url), revision, items)
    else:
        reached = await etcd.restore(url, tls, user, str(path), revision, items)
    return items.count, reached


def status(path: Path) -> Status:
    """What is in a snapshot. Raises StoreError if it is none, or damaged."""
    snapshot = Reader(path)
    resources: dict[str, int] = {}
    count = 0
    for item in snapshot.items():
        resource = item.key.removeprefix(PREFIX).partition("/")[0]
        resources[resource] = resources.get(resource, 0) + 1
        count += 1
    return Status(str(path), snapshot.digest, snapshot.size, snapshot.header, count, resources)


def _header(revision: int, source: str) -> Header:
    saved = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return Header(revision, saved, source, metadata.version("clusterip"))


class _Counted:
    """Items, and how many of them were taken."""

    def __init__(self, items: Iterable[KeyValue]) -> None:
        self._items = iter(items)
        self.count = 0

    def __iter__(self) -> _Counted:
        return self

    def __next__(self) -> KeyValue:
        item = next(self._items)
        self.count += 1
        return item
