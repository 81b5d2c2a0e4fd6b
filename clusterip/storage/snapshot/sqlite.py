"""Snapshots of a store in SQLite: read beside the server that uses it, written when none does."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clusterip.storage.keys import PREFIX, SERVERS
from clusterip.storage.snapshot import BUMP
from clusterip.storage.sqlite import lock_file
from clusterip.storage.sqlite_database import Reader, Writer
from clusterip.storage.store import KeyValue, StoreError


@contextmanager
def reading(path: str) -> Iterator[tuple[int, Iterator[KeyValue]]]:
    """The revision and the keys of the store, as of one moment, whatever is written meanwhile.

    Raises:
        StoreError: there is no store, or it cannot be read.
    """
    if not Path(path).exists():
        raise StoreError(f"there is no store at {path}")
    with _explained(path):
        reader = Reader(path)
        try:
            with reader.everything(PREFIX) as (revision, items):
                yield revision, (item for item in items if not item.key.startswith(SERVERS))
        finally:
            reader.close()


def restore(path: str, revision: int, items: Iterable[KeyValue]) -> int:
    """Replace all that is in the store by ``items``, at once or not at all; the revision it has then.

    Raises:
        StoreError: a server uses the store, or it cannot be written.
    """
    with _explained(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        lock = lock_file(path)
        try:
            writer = Writer(path)
            try:
                writer.replace(items, max(revision, writer.revision) + BUMP)
                return writer.revision
            finally:
                writer.close()
        finally:
            os.close(lock)


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(
            f"cannot use {path} as a store: {error}. If it is damaged, move it away, with the files beside it"
        ) from error
    except OSError as error:
        raise StoreError(f"cannot use {path} as a store: {error.strerror}") from error
