"""A store in one SQLite file, for a control plane on one machine.

Commits are durable (write-ahead log, ``synchronous=FULL``). Waiting for the disk is what a commit
costs, so transactions that arrive while one is under way are joined into the next *group commit*: one
SQLite transaction and one sync for all of them, in which each still has its own revision and its own
compares. Statements run on threads, one that writes and two that read, which sleep when nothing is
asked of the store.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

from clusterip.storage.sqlite_database import Committed, Reader, Transaction, Writer
from clusterip.storage.store import Change, Closed, Compare, Conflict, Events, KeyValue, Page, StoreError
from clusterip.storage.watchers import Watchers

P = ParamSpec("P")
T = TypeVar("T")

READERS = 2
"""So that a long listing does not hold up everyone's reads."""

GROUP_SIZE = 500
"""How many transactions one commit joins at most, which bounds how long the first one waits."""

COMPACTION_STEP = 1000
"""How many revisions are compacted at a time, between which commits can go on."""


class SQLiteStore:
    """A ``Store`` in the SQLite file ``path``. Make one with ``open``."""

    shared = False

    def __init__(self, path: str, lock: int, writer: Writer) -> None:
        self.path = path
        self._lock = lock
        self._writer = writer
        self._writing = ThreadPoolExecutor(1, "store-write")
        self._reading = ThreadPoolExecutor(READERS, "store-read")
        self._readers: list[Reader] = []
        self._idle_readers: list[Reader] = []
        self._watchers = Watchers(writer.revision, self._history)
        self._pending: list[tuple[Transaction, asyncio.Future[int]]] = []
        self._committing: asyncio.Task[None] | None = None
        self._closed = False
        self.trouble = ""

    @classmethod
    async def open(cls, path: str | Path) -> Self:
        """Open the store in a file, which is created, with its directory, if there is none.

        Raises:
            StoreError: the file is in use by another process, is not a store, or cannot be read.
        """
        return await asyncio.get_running_loop().run_in_executor(None, cls._open, str(path))

    @classmethod
    def _open(cls, path: str) -> Self:
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            lock = lock_file(path)
        except OSError as error:
            raise StoreError(f"cannot open the store {path}: {error.strerror}") from error
        try:
            return cls(path, lock, Writer(path))
        except sqlite3.Error as error:
            os.close(lock)
            raise StoreError(f"cannot use {path} as a store: {error}") from error
        except BaseException:
            os.close(lock)
            raise

    async def revision(self) -> int:
        return self._watchers.revision

    async def get(self, key: str, revision: int = 0) -> KeyValue | None:
        return await self._read(Reader.get, key, revision)

    async def list(self, prefix: str, *, revision: int = 0, start_after: str = "", limit: int = 0) -> Page:
        return await self._read(Reader.page, prefix, revision, start_after, limit)

    async def _history(self, prefix: str, after: int, upto: int) -> Events:
        return await self._read(Reader.history, prefix, after, upto)

    def watch(self, prefix: str, after: int) -> AsyncIterator[Events]:
        return self._watchers.watch(prefix, after)

    async def transact(self, compares: Sequence[Compare], changes: Sequence[Change]) -> int:
        if len({change.key for change in changes}) != len(changes):
            raise ValueError("a transaction changes a key more than once")
        self._check_open()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[int] = loop.create_future()
        self._pending.append((Transaction(compares, changes), done))
        if self._committing is None:
            self._committing = loop.create_task(self._commit_pending())
        return await done

    async def _commit_pending(self) -> None:
        """Commit group after group until nothing is pending."""
        group: list[tuple[Transaction, asyncio.Future[int]]] = []
        try:
            while self._pending:
                group, self._pending = self._pending[:GROUP_SIZE], self._pending[GROUP_SIZE:]
                transactions = [transaction for transaction, _ in group]
                try:
                    committed = await self._write(self._writer.commit, transactions)
                except StoreError as error:
                    _fail(group, error)
                else:
                    self._publish(committed, group)
                group = []
        finally:
            self._committing = None
            # Only left over if something unforeseen ended the loop; nobody may wait for ever.
            _fail(group + self._pending, Closed(f"the store {self.path} stopped writing"))

    def _publish(
        self, committed: Committed, group: Sequence[tuple[Transaction, asyncio.Future[int]]]
    ) -> None:
        """Tell the watchers, then those who asked, so that these find the watchers informed."""
        if committed.events:
            self._watchers.publish(committed.events, committed.revision)
        for (_, done), outcome in zip(group, committed.outcomes, strict=True):
            if done.done():  # its caller was cancelled
                continue
            if isinstance(outcome, Conflict):
                done.set_exception(outcome)
            else:
                done.set_result(outcome)

    async def compact(self, revision: int) -> None:
        revision = min(revision, self._watchers.revision)
        while (compacted := self._writer.compacted) < revision:
            self._check_open()
            await self._write(self._writer.compact, min(revision, compacted + COMPACTION_STEP))

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._committing is not None:
            await asyncio.wait([self._committing])
        self._watchers.close()
        await asyncio.get_running_loop().run_in_executor(None, self._release)

    def _release(self) -> None:
        self._reading.shutdown()
        self._writing.shutdown()
        for reader in self._readers:
            reader.close()
        self._writer.close()
        os.close(self._lock)

    async def _write(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            done = await self._run(self._writing, lambda: function(*args, **kwargs))
        except StoreError as error:
            self.trouble = str(error)
            raise
        self.trouble = ""
        return done

    async def _read(
        self, method: Callable[Concatenate[Reader, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self._check_open()
        return await self._run(self._reading, lambda: self._with_reader(method, *args, **kwargs))

    async def _run(self, threads: ThreadPoolExecutor, function: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, function)
        except sqlite3.Error as error:
            raise StoreError(f"SQLite could not read or write {self.path}: {error}") from error

    def _check_open(self) -> None:
        if self._closed:
            raise Closed(f"the store {self.path} is closed")

    def _with_reader(
        self, method: Callable[Concatenate[Reader, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a read on this thread with a connection that no other thread is using."""
        try:
            reader = self._idle_readers.pop()
        except IndexError:
            reader = Reader(self.path)
            self._readers.append(reader)
        try:
            return method(reader, *args, **kwargs)
        finally:
            self._idle_readers.append(reader)


def _fail(group: Sequence[tuple[Transaction, asyncio.Future[int]]], error: StoreError) -> None:
    for _, done in group:
        if not done.done():
            done.set_exception(error)


def lock_file(path: str) -> int:
    """Take the file for this process, as events reach only watchers of the process that writes.

    The lock is on a file beside it: SQLite loses its own locks when anyone else in the process closes
    a descriptor of the database. The kernel gives the lock back when the process ends, however it ends.
    """
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if not isinstance(error, BlockingIOError):
            raise
        raise StoreError(
            f"the store {path} is in use by another process; stop it, or use etcd to share a store"
        ) from None
    return lock
