"""Names outside the cluster: asked of the upstreams, remembered as long as they allow."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from clusterip.dns import message, names
from clusterip.dns.cache import PLAIN_CACHE, Cache, Key
from clusterip.dns.config.model import CacheOptions
from clusterip.dns.message import Query, Reply
from clusterip.dns.upstream import Response, Unanswered, Upstream
from clusterip.process import log

_ATTEMPT_SECONDS = 2.0
_TOTAL_SECONDS = 4.5
"""glibc and musl ask again after 5 s: by then they should have an answer, if only that there is none."""
_ROUNDS = 2
_PATIENCE = 1.8
"""Seconds after which a stale answer is better than waiting (RFC 8767 section 5)."""

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
        if not hit.fresh and self.cache.options.serve_stale_refresh == "verify":
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
        await asyncio.wait((task,), timeout=_PATIENCE)
        if not task.done() or task.result().rcode not in (message.NOERROR, message.NXDOMAIN):
            old = self.cache.get(key)
            if old is not None and old.reply.rcode in (message.NOERROR, message.NXDOMAIN):
                self.cache.stale += 1
                return old.reply
        return await asyncio.shield(task)

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
        flags = message.RD | message.AD | (message.CD if key.checking_disabled else 0)
        deadline = time.monotonic() + _TOTAL_SECONDS
        reasons: list[str] = []
        unwilling: Response | None = None
        for _ in range(_ROUNDS):
            for upstream in self._in_order():
                seconds = min(_ATTEMPT_SECONDS, deadline - time.monotonic())
                if seconds <= 0 or not upstream.may_be_asked():
                    continue
                try:
                    response = await upstream.ask(
                        key.question, flags=flags, dnssec_ok=key.dnssec_ok, seconds=seconds
                    )
                except Unanswered as error:
                    reasons.append(str(error))
                    self._watch(upstream)
                    continue
                if response.rcode in (message.NOERROR, message.NXDOMAIN):
                    return self._remember(key, response)
                unwilling = response
            if unwilling is not None:
                known = unwilling.rcode <= message.REFUSED
                return Reply(unwilling.rcode if known else message.SERVFAIL)
        why = "; ".join(dict.fromkeys(reasons)) or "no upstream name server answers at present"
        _log.debug("not forwarded", question=key.question, why=why)
        self.failures += 1
        failed = Reply(message.SERVFAIL, extended_error=message.EDE_NO_REACHABLE_AUTHORITY, why=why)
        self.cache.put(key, failed)
        return failed

    def _remember(self, key: Key, response: Response) -> Reply:
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
                await upstream.ask(question, flags=flags, dnssec_ok=False, seconds=_ATTEMPT_SECONDS)
            except Unanswered as error:
                _log.debug("upstream still fails", upstream=upstream, why=error)


def _refused(why: str) -> Reply:
    return Reply(message.REFUSED, extended_error=message.EDE_PROHIBITED, why=why)


def _key(name: bytes, query: Query) -> Key:
    return Key(name + query.question[-4:], query.dnssec_ok, bool(query.flags & message.CD))
