"""A store in etcd, for a control plane on several machines.

etcd's model is the store's, so its revisions are used as they are. Other API servers, and other
programs, may write to the same etcd.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, Self

from clusterip.storage.etcd.endpoints import Tls, parse, tls_context
from clusterip.storage.etcd.failures import RESOURCE_EXHAUSTED, EtcdError
from clusterip.storage.etcd.gateway import PROBED_KEY, Gateway
from clusterip.storage.etcd.login import User
from clusterip.storage.etcd.messages import (
    CompactionResponse,
    RangeResponse,
    TxnResponse,
    bounds,
    transaction,
    watch_from,
)
from clusterip.storage.etcd.stream import stream
from clusterip.storage.etcd.watch import watch
from clusterip.storage.keys import PREFIX
from clusterip.storage.store import (
    Change,
    Compacted,
    Compare,
    Conflict,
    Events,
    FutureRevision,
    KeyValue,
    Page,
    Put,
)

CHUNK = 500
"""How many keys are asked for at a time."""


class EtcdStore:
    """A ``Store`` in an etcd cluster. Make one with ``open``."""

    shared = True

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._asking: asyncio.Task[int] | None = None
        self._next: asyncio.Task[int] | None = None
        self._newest = 0

    @property
    def trouble(self) -> str:
        return self._gateway.trouble

    @classmethod
    async def open(cls, url: str, tls: Tls = Tls(), user: User = User()) -> Self:  # noqa: B008 - immutable
        """Open the store at ``etcd://HOST:PORT,HOST:PORT`` or, with TLS, ``etcds://...``.

        Raises:
            StoreError: the URL, a TLS file or the user cannot be used, or no etcd answers there.
        """
        endpoints = parse(url, tls)
        context = tls_context(tls) if endpoints[0].startswith("https") else None
        store = cls(Gateway(endpoints, context, user))
        try:
            await store.revision()
        except BaseException:
            await store.close()
            raise
        return store

    async def revision(self) -> int:
        """Those who ask while an answer is on its way share the next one, which is late enough for all."""
        self._gateway.check_open()
        if self._asking is None or self._asking.done():
            self._asking, self._next = _task(self._revision()), None
            return await asyncio.shield(self._asking)
        if self._next is None:
            self._next = _task(self._revision_after(self._asking))
        return await asyncio.shield(self._next)

    async def _revision_after(self, other: asyncio.Task[int]) -> int:
        await asyncio.wait((other,))
        self._asking, self._next = asyncio.current_task(), None
        return await self._revision()

    async def _revision(self) -> int:
        request = {"key": PROBED_KEY, "keys_only": True}
        known = self._newest
        reply, _ = await self._gateway.call("/v3/kv/range", request, RangeResponse)
        return self._seen(reply.header.revision, known)

    def _seen(self, revision: int, known: int) -> int:
        """Take note of the revision of an answer to a question that was asked when ``known`` was the newest.

        Raises:
            Closed: it is older. Answers are linearizable, so this is no member that lags behind: whoever goes
                on with what is in memory serves what is no more, and misses what comes.
        """
        if revision < known:
            why = f"etcd is at revision {revision} after {known}: its data were lost or replaced"
            self._gateway.fail(why)
            self._gateway.check_open()
        self._newest = max(self._newest, revision)
        return revision

    async def get(self, key: str, revision: int = 0) -> KeyValue | None:
        reply = await self._range({"key": key.encode(), "revision": revision})
        return reply.kvs[0].plain() if reply.kvs else None

    async def list(self, prefix: str, *, revision: int = 0, start_after: str = "", limit: int = 0) -> Page:
        items: list[KeyValue] = []
        chunk = CHUNK
        while True:
            asked = min(chunk, limit - len(items)) if limit else chunk
            request = {**bounds(prefix, start_after), "revision": revision, "limit": asked}
            try:
                reply = await self._range(request)
            except EtcdError as error:
                if error.code != RESOURCE_EXHAUSTED or asked == 1:
                    raise
                chunk = max(1, asked // 4)
                continue
            revision = revision or reply.header.revision
            items += (kv.plain() for kv in reply.kvs)
            if not reply.more or len(items) == limit:
                return Page(items, revision, reply.more, reply.count - len(reply.kvs))
            start_after = items[-1].key

    async def _range(self, request: dict[str, Any]) -> RangeResponse:
        try:
            reply, _ = await self._gateway.call("/v3/kv/range", request, RangeResponse)
        except EtcdError as error:
            wanted = request["revision"]
            if "has been compacted" in str(error):
                raise Compacted(await self._compacted(wanted)) from None
            if "future revision" in str(error):
                raise FutureRevision(wanted, await self.revision()) from None
            raise
        return reply

    async def _compacted(self, revision: int) -> int:
        """The oldest revision that is kept, when ``revision`` is not; only watches are told it."""
        answers = stream(self._gateway, watch_from(PREFIX, revision))
        async with contextlib.aclosing(answers) as responses:  # type: ignore[type-var]
            async for response in responses:
                if response.compact_revision:
                    return response.compact_revision
        raise AssertionError("a stream ends with an error")

    async def transact(self, compares: Sequence[Compare], changes: Sequence[Change]) -> int:
        if len({change.key for change in changes}) != len(changes):
            raise ValueError("a transaction changes a key more than once")
        request = transaction(list(compares), list(changes))
        known = self._newest
        reply, repeated = await self._gateway.call("/v3/kv/txn", request, TxnResponse)
        revision = self._seen(reply.header.revision, known)
        if reply.succeeded:
            return revision
        found: dict[str, KeyValue | None] = {}
        for compare, response in zip(compares, reply.responses, strict=True):
            kvs = response.response_range.kvs if response.response_range else []
            found[compare.key] = kvs[0].plain() if kvs else None
        if repeated and (done := _done_before(found, changes)):
            return done
        for compare in compares:
            current = found[compare.key]
            if (current.mod_revision if current else 0) != compare.mod_revision:
                raise Conflict(compare.key, current)
        raise AssertionError("etcd refused a transaction whose compares hold")

    def watch(self, prefix: str, after: int) -> AsyncIterator[Events]:
        return watch(self._gateway, prefix, after)

    async def compact(self, revision: int) -> None:
        revision = min(revision, await self.revision())
        try:
            await self._gateway.call("/v3/kv/compaction", {"revision": revision}, CompactionResponse)
        except EtcdError as error:
            if "has been compacted" not in str(error):  # by another API server, or an earlier attempt
                raise

    async def close(self) -> None:
        await self._gateway.close()


def _task(revision: Coroutine[Any, Any, int]) -> asyncio.Task[int]:
    """A task whose failure is known to have been seen, though all who waited for it may have gone."""
    task = asyncio.create_task(revision)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


def _done_before(found: dict[str, KeyValue | None], changes: Sequence[Change]) -> int:
    """The revision at which these changes were made, if they were, by an attempt whose answer got lost.

    Repeating a transaction is safe if its compares no longer hold after it; then what was compared
    and put is found as it was to be put, all at one revision.
    """
    put = {change.key: change.value for change in changes if isinstance(change, Put)}
    there = [current for key, current in found.items() if current and put.get(key) == current.value]
    if not there or len(there) != len(put.keys() & found.keys()):
        return 0
    revisions = {current.mod_revision for current in there}
    return revisions.pop() if len(revisions) == 1 else 0
