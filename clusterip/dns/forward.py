"""Names outside the cluster: asked of the upstreams, remembered as long as they allow."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from clusterip.dns import message, names
from clusterip.dns.cache import PLAIN_CACHE, Cache, Key
from clusterip.dns.config.model import CacheOptions
from clusterip.dns.message import Query, Reply
from clusterip.dns.upstream import Response, Unanswered, Upstream
from clusterip.dns.upstream_metrics import count_failed_check
from clusterip.process import log

_CHECK_SECONDS = 2.0
_TOTAL_SECONDS = 4.5
"""glibc and musl ask again after 5 s: by then they should have an answer, if only that there is none."""
_ROUNDS = 2
UNWILLING = frozenset((message.FORMERR, message.SERVFAIL, message.NOTIMP, message.REFUSED))
"""What an upstream answers that cannot or will not resolve a name, though another one may."""

_log = log.get("dns")


@dataclass(frozen=True)
class Forwarding:
    """Whom to ask what. Names and meanings are those of CoreDNS's ``forward``."""

    policy: Literal["sequential", "random", "round_robin"] = "sequential"
    excepted: tuple[bytes, ...] = ()
    """Names, in lower case, at and below which nothing is asked."""
    max_concurrent: int = 1000
    """Questions under way at which more get REFUSED; 0: no limit."""
    health_check: float = 0.5
    """Seconds between health checks of an upstream that failed; 0: none."""
    read_timeout: float = 2.0
    """Seconds that one upstream gets for an answer."""
    max_attempts: int | None = None
    """How often upstreams are asked for one question; None: each twice, 0: as long as there is time."""
    failover: frozenset[int] = UNWILLING
    """Response codes after which the next upstream is asked, as after no answer."""
    health_check_domain: bytes = b"\0"
    health_check_recursive: bool = True


class Forwarder:
    """Resolves names through upstreams, with a cache.

    Askers of the same question share one exchange.
    """

    def __init__(
        self,
        upstreams: Callable[[], Sequence[Upstream]],
        options: Forwarding | None = None,
        cache: CacheOptions = PLAIN_CACHE,
    ) -> None:
        self.upstreams = upstreams
        self.options = options or Forwarding()
        self.cache = Cache(cache)
        self.failures = 0
        """Questions that no upstream answered."""
        self.refused = 0
        """Questions turned away because too many were under way."""
        self._turn = 0
        self._pending: dict[Key, asyncio.Task[Reply]] = {}
        self._checks: dict[Upstream, asyncio.Task[None]] = {}

    def cached(self, name: bytes, query: Query) -> Reply | None:
        """An answer at hand: remembered, or that there is nobody to ask."""
        key = _key(name, query)
        hit = self.cache.get(key)
        if hit is None:
            if any(names.is_below(name, each) for each in self.options.excepted):
                return _refused("this name is not asked of upstreams")
            return None if self.upstreams() else _refused("no upstream name servers are configured")
        if not hit.fresh and not hit.resting and self.cache.options.serve_stale_refresh == "verify":
            return None
        if hit.due and not self._full():
            self._exchange(key)
        self.cache.stale += not hit.fresh
        return hit.reply

    async def resolve(self, name: bytes, query: Query) -> Reply:
        """Ask the upstreams for the query's type at ``name``; SERVFAIL if none answers. Never raises."""
        key = _key(name, query)
        if key not in self._pending and self._full():
            self.refused += 1
            return _refused("too many questions wait for upstreams")
        task = self._exchange(key)
        if self.cache.options.serve_stale is None:
            return await asyncio.shield(task)
        await asyncio.wait((task,), timeout=self.cache.options.verify_timeout or None)
        if not task.done() or not self._good(task.result()):
            old = self.cache.get(key)
            if old is not None and old.reply.rcode in (message.NOERROR, message.NXDOMAIN):
                self.cache.stale += not old.fresh
                return old.reply
        return await asyncio.shield(task)

    def _good(self, reply: Reply) -> bool:
        """Whether a reply goes before a stale one."""
        if self.cache.options.prefer_positive and not reply.answer:
            return False
        return reply.rcode in (message.NOERROR, message.NXDOMAIN)

    async def close(self) -> None:
        """Give up all exchanges."""
        tasks = [*self._pending.values(), *self._checks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for upstream in self.upstreams():
            upstream.close()

    def _full(self) -> bool:
        return 0 < self.options.max_concurrent <= len(self._pending)

    def _exchange(self, key: Key) -> asyncio.Task[Reply]:
        """The exchange about a question that is under way, or a new one."""
        task = self._pending.get(key)
        if task is None:
            task = asyncio.create_task(self._resolve(key))
            self._pending[key] = task
            task.add_done_callback(lambda _task: self._pending.pop(key, None))
        return task

    def _in_order(self) -> list[Upstream]:
        found = list(self.upstreams())
        if self.options.policy == "random":
            random.shuffle(found)
        elif self.options.policy == "round_robin" and found:
            self._turn = (self._turn + 1) % len(found)
            found = found[self._turn :] + found[: self._turn]
        return found

    async def _resolve(self, key: Key) -> Reply:
        deadline = time.monotonic() + max(_TOTAL_SECONDS, self.options.read_timeout)
        reasons: list[str] = []
        last: Response | None = None
        for upstream in self._attempts():
            seconds = min(self.options.read_timeout, deadline - time.monotonic())
            if seconds <= 0:
                break
            try:
                last = await upstream.ask(
                    key.question,
                    flags=message.RD | message.AD | (message.CD if key.checking_disabled else 0),
                    dnssec_ok=key.dnssec_ok,
                    seconds=seconds,
                    options=key.options,
                )
            except Unanswered as error:
                reasons.append(str(error))
                self._watch(upstream)
                continue
            if last.rcode not in self.options.failover:
                break
        if last is not None:
            return self._remember(key, last)
        why = "; ".join(dict.fromkeys(reasons)) or "no upstream name server answers at present"
        _log.debug("not forwarded", question=key.question, why=why)
        self.failures += 1
        self.cache.failed(key)
        failed = Reply(message.SERVFAIL, extended_error=message.EDE_NO_REACHABLE_AUTHORITY, why=why)
        self.cache.put(key, failed)
        return failed

    def _attempts(self) -> Iterator[Upstream]:
        """Whom to ask one after the other until somebody answers."""
        limit = self.options.max_attempts
        count = rounds = 0
        asked = True
        while asked and (limit is not None or rounds < _ROUNDS):
            asked = False
            rounds += 1
            for upstream in self._in_order():
                if limit and count >= limit:
                    return
                if upstream.may_be_asked():
                    asked = True
                    count += 1
                    yield upstream

    def _remember(self, key: Key, response: Response) -> Reply:
        if response.rcode not in (message.NOERROR, message.NXDOMAIN):
            known = response.rcode <= message.REFUSED
            failed = Reply(response.rcode if known else message.SERVFAIL, why="so an upstream answered")
            return self.cache.put(key, failed) if failed.rcode == message.SERVFAIL else failed
        reply = Reply(
            response.rcode,
            answer=response.answer,
            authority=response.authority,
            additional=response.additional,
            authentic=response.authentic,
        )
        return self.cache.put(key, reply)

    def _watch(self, upstream: Upstream) -> None:
        """Ask a failing upstream something harmless until it answers: queries need not wait for it."""
        if not self.options.health_check or upstream in self._checks:
            return
        task = asyncio.create_task(self._check(upstream))
        self._checks[upstream] = task
        task.add_done_callback(lambda _task: self._checks.pop(upstream, None))

    async def _check(self, upstream: Upstream) -> None:
        options = self.options
        question = options.health_check_domain + b"\0\2\0\1"  # NS, IN
        flags = message.RD if options.health_check_recursive else 0
        while upstream.failing and upstream in self.upstreams():
            await asyncio.sleep(options.health_check)
            try:
                await upstream.ask(question, flags=flags, dnssec_ok=False, seconds=_CHECK_SECONDS)
            except Unanswered as error:
                count_failed_check(str(upstream))
                _log.debug("upstream still fails", upstream=upstream, why=error)


def _refused(why: str) -> Reply:
    return Reply(message.REFUSED, extended_error=message.EDE_PROHIBITED, why=why)


def _key(name: bytes, query: Query) -> Key:
    checking_disabled = bool(query.flags & message.CD)
    return Key(name + query.question[-4:], query.dnssec_ok, checking_disabled, query.forwarded)
