"""Names outside the cluster: asked of the upstreams, remembered as long as they allow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from clusterip.dns import message
from clusterip.dns.message import Query, Record, Reply
from clusterip.dns.upstream import Response, Unanswered, Upstream
from clusterip.process import log

_ATTEMPT_SECONDS = 2.0
_TOTAL_SECONDS = 4.5
"""glibc and musl ask again after 5 s: by then they should have an answer, if only that there is none."""
_ROUNDS = 2
_MAX_PENDING = 1000
_CACHE_SIZE = 10_000
_MAX_TTL = 3600
_MAX_NEGATIVE_TTL = 1800

_log = log.get("dns")


class _Key(NamedTuple):
    question: bytes
    dnssec_ok: bool
    checking_disabled: bool


class _Entry(NamedTuple):
    reply: Reply
    stored: float
    expires: float


class Forwarder:
    """Resolves names through upstreams, in the order given, with a cache.

    Askers of the same question share one exchange.
    """

    def __init__(self, upstreams: Callable[[], Sequence[Upstream]]) -> None:
        self.upstreams = upstreams
        self.failures = 0
        """Questions that no upstream answered."""
        self._cache: dict[_Key, _Entry] = {}
        self._pending: dict[_Key, asyncio.Task[Reply]] = {}

    def cached(self, name: bytes, query: Query) -> Reply | None:
        """An answer at hand: remembered, or that there is nobody to ask."""
        key = _key(name, query)
        entry = self._cache.get(key)
        if entry is None and not self.upstreams():
            why = "no upstream name servers are configured"
            return Reply(message.REFUSED, extended_error=message.EDE_PROHIBITED, why=why)
        if entry is None:
            return None
        now = time.monotonic()
        if now >= entry.expires:
            del self._cache[key]
            return None
        return _aged(entry.reply, int(now - entry.stored))

    async def resolve(self, name: bytes, query: Query) -> Reply:
        """Ask the upstreams for the query's type at ``name``; SERVFAIL if none answers. Never raises."""
        key = _key(name, query)
        task = self._pending.get(key)
        if task is None:
            if len(self._pending) >= _MAX_PENDING:
                return self._failure("too many questions wait for upstreams")
            task = asyncio.create_task(self._resolve(key))
            self._pending[key] = task
            task.add_done_callback(lambda _task: self._pending.pop(key, None))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Give up all exchanges."""
        tasks = list(self._pending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _resolve(self, key: _Key) -> Reply:
        flags = message.RD | message.AD | (message.CD if key.checking_disabled else 0)
        deadline = time.monotonic() + _TOTAL_SECONDS
        reasons: list[str] = []
        unwilling: Response | None = None
        for _ in range(_ROUNDS):
            for upstream in self.upstreams():
                seconds = min(_ATTEMPT_SECONDS, deadline - time.monotonic())
                if seconds <= 0 or not upstream.may_be_asked():
                    continue
                try:
                    response = await upstream.ask(
                        key.question, flags=flags, dnssec_ok=key.dnssec_ok, seconds=seconds
                    )
                except Unanswered as error:
                    reasons.append(str(error))
                    continue
                if response.rcode in (message.NOERROR, message.NXDOMAIN):
                    return self._remember(key, response)
                unwilling = response
            if unwilling is not None:
                known = unwilling.rcode <= message.REFUSED
                return Reply(unwilling.rcode if known else message.SERVFAIL)
        why = "; ".join(dict.fromkeys(reasons)) or "no upstream name server answers at present"
        _log.debug("not forwarded", question=key.question, why=why)
        return self._failure(why)

    def _failure(self, why: str) -> Reply:
        self.failures += 1
        return Reply(message.SERVFAIL, extended_error=message.EDE_NO_REACHABLE_AUTHORITY, why=why)

    def _remember(self, key: _Key, response: Response) -> Reply:
        reply = Reply(
            response.rcode,
            answer=response.answer,
            authority=response.authority,
            additional=response.additional,
            authentic=response.authentic,
        )
        ttl = _ttl(reply)
        if ttl > 0:
            if len(self._cache) >= _CACHE_SIZE:
                self._make_room()
            now = time.monotonic()
            self._cache[key] = _Entry(reply, now, now + ttl)
        return reply

    def _make_room(self) -> None:
        """Drop what has expired, or else the oldest tenth."""
        now = time.monotonic()
        old = [key for key, entry in self._cache.items() if now >= entry.expires]
        for key in old or list(self._cache)[: _CACHE_SIZE // 10]:
            del self._cache[key]


def _key(name: bytes, query: Query) -> _Key:
    return _Key(name + query.question[-4:], query.dnssec_ok, bool(query.flags & message.CD))


def _ttl(reply: Reply) -> int:
    """For how many seconds a reply may be kept (RFC 2308 for those that deny something)."""
    if reply.answer and reply.rcode == message.NOERROR:
        return min([_MAX_TTL, *(record.ttl for record in reply.answer)])
    for record in reply.authority:
        if record.type == message.SOA:
            minimum = int.from_bytes(record.rdata[-4:], "big")
            return min(record.ttl, minimum, _MAX_NEGATIVE_TTL)
    return 0


def _aged(reply: Reply, seconds: int) -> Reply:
    def age(records: Sequence[Record]) -> list[Record]:
        return [record._replace(ttl=max(0, record.ttl - seconds)) for record in records]

    return Reply(
        reply.rcode,
        answer=age(reply.answer),
        authority=age(reply.authority),
        additional=age(reply.additional),
        authentic=reply.authentic,
    )
