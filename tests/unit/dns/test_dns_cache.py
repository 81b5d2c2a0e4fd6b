"""What is remembered of upstreams, and for how long."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterip.dns import message
from clusterip.dns.cache import PLAIN_CACHE, Cache, Key
from clusterip.dns.config.model import Capacity, Prefetch
from clusterip.dns.message import SOA, A, Record, Reply
from clusterip.dns.names import to_wire


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("clusterip.dns.cache.time.monotonic", made)
    return made


def key(name: str = "www.example.test") -> Key:
    return Key(to_wire(name) + b"\0\1\0\1", False, False)


def reply(ttl: int = 60) -> Reply:
    return Reply(answer=[Record(to_wire("www.example.test"), A, ttl, b"\1\2\3\4")])


def denial(ttl: int = 60) -> Reply:
    data = b"\0\0" + b"\0\0\0\1" * 4 + ttl.to_bytes(4, "big")
    return Reply(message.NXDOMAIN, authority=[Record(to_wire("example.test"), SOA, 3600, data)])


def test_answers_age_and_end(clock: Clock) -> None:
    cache = Cache()
    cache.put(key(), reply(60))
    clock.now += 59
    hit = cache.get(key())
    assert hit is not None
    assert hit.reply.answer[0].ttl == 1
    clock.now += 1
    assert cache.get(key()) is None
    assert len(cache) == 0


def test_positive_and_negative_answers_have_limits_of_their_own(clock: Clock) -> None:
    options = replace(PLAIN_CACHE, success=Capacity(2, 30, 10), denial=Capacity(1, 20, 0))
    cache = Cache(options)
    for name, made, seconds in (("a", reply(1000), 30), ("b", denial(1000), 20), ("c", reply(1), 10)):
        cache.put(key(name), made)
        clock.now += seconds - 0.5
        assert cache.get(key(name)) is not None, name
        clock.now += 1
        assert cache.get(key(name)) is None, name
    cache.put(key("yes"), reply())
    for number in range(5):
        cache.put(key(f"no-{number}"), denial())
    assert cache.get(key("yes")) is not None
    assert len(cache) == 2


def test_stale_answers_as_long_as_allowed(clock: Clock) -> None:
    cache = Cache(replace(PLAIN_CACHE, serve_stale=100.0, stale_ttl=30))
    cache.put(key(), reply(10))
    clock.now += 50
    hit = cache.get(key())
    assert hit is not None
    assert not hit.fresh
    assert hit.reply.answer[0].ttl == 30
    assert hit.reply.extended_error == message.EDE_STALE
    cache.put(key(), Reply(message.SERVFAIL))  # does not push it out
    assert cache.get(key()) is not None
    clock.now += 100
    assert cache.get(key()) is None


def test_failures_are_remembered_for_a_moment(clock: Clock) -> None:
    cache = Cache()
    cache.put(key(), Reply(message.SERVFAIL))
    assert cache.get(key()) is not None
    clock.now += 1.1
    assert cache.get(key()) is None


def test_what_is_popular_is_due_before_its_end(clock: Clock) -> None:
    cache = Cache(replace(PLAIN_CACHE, prefetch=Prefetch(3, 60.0, 10)))
    cache.put(key(), reply(100))
    due = []
    for _ in range(5):
        hit = cache.get(key())
        assert hit is not None
        due.append(hit.due)
        clock.now += 23
    assert due == [False, False, False, False, True]


@given(st.lists(st.tuples(st.integers(0, 2**31 - 1), st.booleans(), st.integers(0, 40)), max_size=60))
def test_it_never_outgrows_its_size_nor_raises_a_ttl(puts: list[tuple[int, bool, int]]) -> None:
    cache = Cache(replace(PLAIN_CACHE, success=Capacity(8, 3600, 0), denial=Capacity(8, 1800, 0)))
    for ttl, positive, number in puts:
        cache.put(key(f"n{number}"), reply(ttl) if positive else denial(ttl))
        assert len(cache) <= 16
        hit = cache.get(key(f"n{number}"))
        assert hit is None or bool(hit.reply.answer) == positive
        if hit is not None and positive:
            assert hit.reply.answer[0].ttl <= min(ttl, 3600)
