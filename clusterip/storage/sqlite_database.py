"""The SQLite file behind ``SQLiteStore``: its schema and its statements, without asyncio.

Every change is one row of ``changes`` and is never modified, so reading at an old revision and
replaying history are ordinary queries, and a value is written once. A ``Reader`` or ``Writer`` wraps
one connection and is used by one thread at a time; write-ahead logging lets readers go on while the
writer commits. SQLite shows a commit to readers only after the log was synced, so whatever a reader
sees is durable.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import msgspec

from clusterip.storage.store import (
    Change,
    Compacted,
    Compare,
    Conflict,
    Event,
    FutureRevision,
    KeyValue,
    Page,
    Put,
    StoreError,
)

APPLICATION_ID = 0x636C6970
"""Marks the file as ours ("clip") in SQLite's header."""

SCHEMA_VERSION = 1

FIRST_REVISION = 1
"""The revision of an empty store. Not 0, which clients of the Kubernetes API read as "any"."""

# `created` is the revision at which the key came into being, 0 for a deletion. It is part of the index
# so that compares and counts are answered without touching values. `previous` is the row replaced.
_SCHEMA = f"""
CREATE TABLE changes (
    id       INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL,
    key      TEXT NOT NULL,
    created  INTEGER NOT NULL,
    previous INTEGER,
    value    BLOB NOT NULL
);
CREATE UNIQUE INDEX changes_by_key ON changes (key, revision, created);
CREATE INDEX changes_by_revision ON changes (revision);
CREATE TABLE state (revision INTEGER NOT NULL, compacted INTEGER NOT NULL);
INSERT INTO state VALUES ({FIRST_REVISION}, 0);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""

_LATEST = """
SELECT id, revision, created, value FROM changes WHERE key = ? ORDER BY revision DESC LIMIT 1
"""

_GET = """
SELECT key, value, created, revision FROM changes
WHERE key = ? AND revision <= ? ORDER BY revision DESC LIMIT 1
"""

# The last change of each key up to a revision; of what remains, those that are not deletions. Both are
# decided inside changes_by_key, so only the rows that are returned are read.
_AS_OF = """
FROM changes AS c
WHERE key >= :start AND key < :end AND revision <= :revision AND created > 0 AND NOT EXISTS (
    SELECT 1 FROM changes AS later
    WHERE later.key = c.key AND later.revision > c.revision AND later.revision <= :revision
)
"""
_LIST = f"SELECT key, value, created, revision {_AS_OF} ORDER BY key LIMIT :limit"
_COUNT = f"SELECT count(*) {_AS_OF}"

_HISTORY = """
SELECT c.revision, c.key, c.created, c.value, p.revision, p.created, p.value
FROM changes AS c LEFT JOIN changes AS p ON p.id = c.previous
WHERE c.revision > ? AND c.revision <= ? AND c.key >= ? AND c.key < ?
ORDER BY c.revision, c.id
"""

_SUPERSEDED = """
DELETE FROM changes WHERE id IN (
    SELECT old.id FROM changes AS new JOIN changes AS old ON old.key = new.key AND old.revision < new.revision
    WHERE new.revision > :after AND new.revision <= :upto
)
"""
_DELETIONS = "DELETE FROM changes WHERE revision > :after AND revision <= :upto AND created = 0"


class Transaction(msgspec.Struct, frozen=True):
    """What one caller asks for: all of ``changes`` if every one of ``compares`` holds."""

    compares: Sequence[Compare]
    changes: Sequence[Change]


class Committed(msgspec.Struct):
    """What came of a group of transactions: per transaction its revision or its conflict."""

    outcomes: list[int | Conflict]
    events: list[Event]
    revision: int


class Reader:
    """Reads the store at its newest or at an older revision."""

    def __init__(self, path: str) -> None:
        self._connection = _connect(path)

    def get(self, key: str, revision: int) -> KeyValue | None:
        with self._snapshot(revision) as at:
            row = self._connection.execute(_GET, (key, at)).fetchone()
        return KeyValue(*row) if row and row[2] else None

    def page(self, prefix: str, revision: int, start_after: str, limit: int) -> Page:
        start = max(prefix, _after(start_after)) if start_after else prefix
        with self._snapshot(revision) as at:
            bounds = {
                "start": start,
                "end": _end(prefix),
                "revision": at,
                "limit": limit + 1 if limit else -1,
            }
            items = [KeyValue(*row) for row in self._connection.execute(_LIST, bounds)]
            if not limit or len(items) <= limit:
                return Page(items, at)
            del items[limit:]
            (remaining,) = self._connection.execute(
                _COUNT, bounds | {"start": _after(items[-1].key)}
            ).fetchone()
            return Page(items, at, more=True, remaining=remaining)

    def history(self, prefix: str, after: int, upto: int) -> list[Event]:
        """The changes with ``after < revision <= upto``, oldest first.

        Raises:
            Compacted: some of them are no longer kept.
        """
        with self._snapshot(0):
            (compacted,) = self._connection.execute("SELECT compacted FROM state").fetchone()
            if after < compacted:
                raise Compacted(compacted)
            rows = self._connection.execute(_HISTORY, (after, upto, prefix, _end(prefix)))
            return [_event(*row) for row in rows]

    @contextmanager
    def everything(self, prefix: str) -> Iterator[tuple[int, Iterator[KeyValue]]]:
        """The revision and, one after the other, all keys with this prefix, as of one moment."""
        with self._snapshot(0) as at:
            bounds = {"start": prefix, "end": _end(prefix), "revision": at, "limit": -1}
            yield at, (KeyValue(*row) for row in self._connection.execute(_LIST, bounds))

    @contextmanager
    def _snapshot(self, revision: int) -> Iterator[int]:
        """A read transaction; gives the revision to read at. Raises Compacted or FutureRevision."""
        self._connection.execute("BEGIN")
        try:
            newest, compacted = self._connection.execute("SELECT revision, compacted FROM state").fetchone()
            if revision > newest:
                raise FutureRevision(revision, newest)
            if revision and revision < compacted:
                raise Compacted(compacted)
            yield revision or newest
        finally:
            self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


class Writer:
    """The one connection that changes the store."""

    def __init__(self, path: str) -> None:
        self._connection = connection = _connect(path)
        try:
            _prepare(connection, path)
            self.revision: int
            self.compacted: int
            self.revision, self.compacted = connection.execute(
                "SELECT revision, compacted FROM state"
            ).fetchone()
        except BaseException:
            connection.close()
            raise

    def commit(self, transactions: Sequence[Transaction]) -> Committed:
        """Do several transactions, each at its own revision, in one durable commit.

        Later ones see what earlier ones did. On an error none of them was done.

        Raises:
            sqlite3.Error: SQLite could not write, for example because the disk is full.
        """
        committed = Committed([], [], self.revision)
        with self._write():
            for transaction in transactions:
                committed.outcomes.append(self._apply(transaction, committed))
            if committed.revision != self.revision:
                self._connection.execute("UPDATE state SET revision = ?", (committed.revision,))
        self.revision = committed.revision
        return committed

    def _apply(self, transaction: Transaction, committed: Committed) -> int | Conflict:
        latest: dict[str, tuple[int, KeyValue] | None] = {}
        for compare in transaction.compares:
            found = latest[compare.key] = self._latest(compare.key)
            if compare.mod_revision != (found[1].mod_revision if found else 0):
                return Conflict(compare.key, found[1] if found else None)
        revision = committed.revision + 1
        for change in transaction.changes:
            found = latest[change.key] if change.key in latest else self._latest(change.key)
            row, previous = found or (None, None)
            if isinstance(change, Put):
                created, value = previous.create_revision if previous else revision, change.value
                event = Event("PUT", change.key, value, revision, previous)
            elif previous:
                created, value = 0, b""
                event = Event("DELETE", change.key, previous.value, revision, previous)
            else:
                continue
            self._connection.execute(
                "INSERT INTO changes (revision, key, created, previous, value) VALUES (?, ?, ?, ?, ?)",
                (revision, change.key, created, row, value),
            )
            committed.events.append(event)
            committed.revision = revision
        return committed.revision

    def _latest(self, key: str) -> tuple[int, KeyValue] | None:
        row = self._connection.execute(_LATEST, (key,)).fetchone()
        if row is None or not row[2]:
            return None
        row_id, revision, created, value = row
        return row_id, KeyValue(key, value, created, revision)

    def compact(self, upto: int) -> None:
        """Forget what was replaced or deleted at or before ``upto``."""
        with self._write():
            bounds = {"after": self.compacted, "upto": upto}
            self._connection.execute(_SUPERSEDED, bounds)
            self._connection.execute(_DELETIONS, bounds)
            self._connection.execute("UPDATE state SET compacted = ?", (upto,))
        self.compacted = upto

    def replace(self, items: Iterable[KeyValue], revision: int) -> None:
        """Let the store be at ``revision`` and hold these keys, with no history at all."""
        with self._write():
            self._connection.execute("DELETE FROM changes")
            self._connection.executemany(
                "INSERT INTO changes (revision, key, created, previous, value) VALUES (?, ?, ?, NULL, ?)",
                ((item.mod_revision, item.key, item.create_revision, item.value) for item in items),
            )
            self._connection.execute("UPDATE state SET revision = ?, compacted = ?", (revision, revision))
        self.revision = self.compacted = revision

    @contextmanager
    def _write(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        self._connection.close()


def _connect(path: str) -> sqlite3.Connection:
    # A connection is made by one thread and closed by another, but used by one at a time.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    """Create the schema in a new file, or make sure that an existing one has it."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if not tables:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
        _sync_directory(path)
    elif application != APPLICATION_ID:
        raise StoreError(f"{path} is an SQLite database of another program; choose another file")
    elif version != SCHEMA_VERSION:
        raise StoreError(f"{path} has store format {version}, this program reads format {SCHEMA_VERSION}")


def _sync_directory(path: str) -> None:
    """Make the new file's name durable; SQLite does that for its logs only."""
    descriptor = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _end(prefix: str) -> str:
    """What sorts after every key with this prefix. SQLite compares text by code point, as Python does."""
    return prefix + "\U0010ffff"


def _after(key: str) -> str:
    """What sorts directly after ``key``."""
    return key + "\0"


def _event(
    revision: int,
    key: str,
    created: int,
    value: bytes,
    previous_revision: int | None,
    previous_created: int,
    previous_value: bytes,
) -> Event:
    previous = None
    if previous_revision is not None:
        previous = KeyValue(key, previous_value, previous_created, previous_revision)
    type_: Literal["PUT", "DELETE"] = "PUT" if created else "DELETE"
    return Event(type_, key, value if created else previous_value, revision, previous)
