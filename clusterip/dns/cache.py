"""What upstreams answered, for as long as they allow: RFC 2308 for denials, RFC 8767 for stale answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from clusterip.dns import message, names
from clusterip.dns.config.model import CacheOptions, Capacity
from clusterip.dns.message import Record, Reply

PLAIN_CACHE = CacheOptions(
    zones=(b"\0",), success=Capacity(min_ttl=0), denial=Capacity(max_ttl=1800, min_ttl=0), servfail=1.0
)
"""TTLs as they come, within an hour (half an hour for denials); failures for a second (RFC 9520)."""


class Key(NamedTuple):
    """What an answer depends on."""

    question: bytes
    dnssec_ok: bool
    checking_disabled: bool
    options: bytes = b""
    """EDNS options that go with the question."""


class Hit(NamedTuple):
    """A remembered answer."""

    reply: Reply
    fresh: bool
    due: bool
    """It is asked for so often, and so near its end, that it should be fetched again."""
    resting: bool = False
    """Fetching it again has just failed: it is not to be tried yet."""


@dataclass(slots=True)
class _Entry:
    reply: Reply
    stored: float
    ttl: float
    hits: int = 0
    last_hit: float = 0.0
    rests_until: float = 0.0


class Cache:
    """Replies by key, positive and negative ones apart, so that one sort cannot push out the other."""

    def __init__(self, options: CacheOptions = PLAIN_CACHE) -> None:
        self.options = options
        self._positive: dict[Key, _Entry] = {}
        self._negative: dict[Key, _Entry] = {}
        self.hits = 0
        """Of positive answers."""
        self.denial_hits = 0
        self.misses = 0
        self.evictions = 0
        self.denial_evictions = 0
        self.stale = 0
        self.prefetches = 0

    def __len__(self) -> int:
        return len(self._positive) + len(self._negative)

    @property
    def sizes(self) -> tuple[int, int]:
        """How many positive answers and how many denials are remembered."""
        return len(self._positive), len(self._negative)

    def get(self, key: Key) -> Hit | None:
        """What is remembered, its TTLs lessened by its age; stale only as far as the options allow."""
        now = time.monotonic()
        entry = self._positive.get(key)
        if entry is None or entry.stored + entry.ttl + (self.options.serve_stale or 0.0) <= now:
            entry = self._negative.get(key, entry)
        if entry is None:
            self.misses += 1
            return None
        left = entry.stored + entry.ttl - now
        if left <= 0:
            self.misses += 1
            if left > -(self.options.serve_stale or 0.0):
                resting = now < entry.rests_until
                return Hit(_stale(entry.reply, self.options.stale_ttl), False, not resting, resting)
            self._forget(key)
            return None
        if entry.reply.answer:
            self.hits += 1
        else:
            self.denial_hits += 1
        reply = entry.reply if self.options.keepttl else _aged(entry.reply, int(now - entry.stored))
        return Hit(reply, True, self._popular(entry, now, left))

    def put(self, key: Key, reply: Reply) -> Reply:
        """Remember a reply, if it and the options allow it; the reply as it is to be given."""
        positive = bool(reply.answer) and reply.rcode == message.NOERROR
        if not self._wanted(key, positive):
            return reply
        capacity = self.options.success if positive else self.options.denial
        ttl = _ttl(reply)
        if reply.rcode not in (message.NOERROR, message.NXDOMAIN):
            if self.get(key) is not None:
                return reply  # an old answer is better than none
            wanted = self.options.servfail
        elif ttl is None:
            return reply
        else:
            wanted = min(max(ttl, capacity.min_ttl), capacity.max_ttl)
        if reply.rcode in (message.NOERROR, message.NXDOMAIN):
            self._negative.pop(key, None)
            if positive or not self.options.prefer_positive:
                self._positive.pop(key, None)
        if wanted <= 0:
            return reply
        entries = self._positive if positive else self._negative
        if len(entries) >= capacity.size:
            dropped = _make_room(entries)
            if positive:
                self.evictions += dropped
            else:
                self.denial_evictions += dropped
        if ttl is not None and wanted != ttl:
            reply = _limited(reply, int(wanted), raised=wanted > ttl)
        entries[key] = _Entry(reply, time.monotonic(), wanted)
        return reply

    def failed(self, key: Key) -> None:
        """The upstreams did not answer: what is remembered rests for as long as the options say."""
        entry = self._positive.get(key) or self._negative.get(key)
        if entry is not None:
            entry.rests_until = time.monotonic() + self.options.failure_recheck

    def _wanted(self, key: Key, positive: bool) -> bool:
        name = key.question[:-4]
        kind = "success" if positive else "denial"
        if not any(names.is_below(name, zone) for zone in self.options.zones):
            return False
        return not any(
            kind == each and any(names.is_below(name, zone) for zone in zones)
            for each, zones in self.options.disable
        )

    def _popular(self, entry: _Entry, now: float, left: float) -> bool:
        """Questions within one second count once: others are answered before they get here."""
        prefetch = self.options.prefetch
        if prefetch is None:
            return False
        entry.hits = entry.hits + 1 if now - entry.last_hit < prefetch.duration else 1
        entry.last_hit = now
        due = entry.hits >= prefetch.amount and left <= max(1.0, entry.ttl * prefetch.percentage / 100)
        self.prefetches += due
        return due

    def _forget(self, key: Key) -> None:
        self._positive.pop(key, None)
        self._negative.pop(key, None)


def _make_room(entries: dict[Key, _Entry]) -> int:
    """Drop what has expired, or else the oldest tenth; how many went before their time."""
    now = time.monotonic()
    old = [key for key, entry in entries.items() if now >= entry.stored + entry.ttl]
    for key in old or (oldest := list(entries)[: max(1, len(entries) // 10)]):
        del entries[key]
    return 0 if old else len(oldest)


def _ttl(reply: Reply) -> int | None:
    """For how many seconds a reply may be kept; None if it does not say."""
    if reply.answer and reply.rcode == message.NOERROR:
        return min(record.ttl for record in reply.answer)
    for record in reply.authority:
        if record.type == message.SOA and len(record.rdata) >= 4:
            return min(record.ttl, int.from_bytes(record.rdata[-4:], "big"))
    return None


def _each(reply: Reply, ttl_of: Callable[[int], int]) -> Reply:
    def changed(records: Sequence[Record]) -> list[Record]:
        return [record._replace(ttl=ttl_of(record.ttl)) for record in records]

    return replace(
        reply,
        answer=changed(reply.answer),
        authority=changed(reply.authority),
        additional=changed(reply.additional),
    )


def _aged(reply: Reply, seconds: int) -> Reply:
    return _each(reply, lambda ttl: max(0, ttl - seconds)) if seconds else reply


def _limited(reply: Reply, seconds: int, *, raised: bool) -> Reply:
    return _each(reply, lambda ttl: max(ttl, seconds) if raised else min(ttl, seconds))


def _stale(reply: Reply, ttl: int) -> Reply:
    code = message.EDE_STALE_NXDOMAIN if reply.rcode == message.NXDOMAIN else message.EDE_STALE
    return replace(_each(reply, lambda _ttl: ttl), extended_error=code)
