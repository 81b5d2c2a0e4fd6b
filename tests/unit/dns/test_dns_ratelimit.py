"""Response rate limiting."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterip.dns.ratelimit import Limiter


def answer(name: str = "www.example.test", rcode: int = 0) -> bytes:
    made = dns.message.make_response(dns.message.make_query(name, "A"))
    made.id = 7
    made.set_rcode(dns.rcode.Rcode(rcode))
    return made.to_wire()


def test_the_same_answer_only_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("clusterip.dns.ratelimit.time.monotonic", lambda: now)
    limiter = Limiter(5)
    sent = [limiter.limit(answer(), f"192.0.2.{number}") for number in range(9)]  # one network
    assert sent[:5] == [answer()] * 5
    assert sent[5] is None
    assert sent[6] is not None
    truncated = dns.message.from_wire(sent[6])
    assert truncated.flags & dns.flags.TC
    assert (limiter.dropped, limiter.truncated) == (2, 2)
    assert limiter.limit(answer(), "198.51.100.1") == answer()
    assert limiter.limit(answer("other.test"), "192.0.2.1") == answer("other.test")
    now = 1.0
    assert limiter.limit(answer(), "192.0.2.1") == answer()


def test_denials_count_together_whatever_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusterip.dns.ratelimit.time.monotonic", lambda: 0.0)
    limiter = Limiter(5)
    sent = [limiter.limit(answer(f"n{number}.test", 3), "2001:db8::1") for number in range(6)]
    assert sent[5] is None


@given(st.binary(min_size=12, max_size=40), st.sampled_from(["192.0.2.1", "2001:db8::1", "fe80::1%eth0"]))
def test_whatever_it_is_given_it_grows_no_answer(tail: bytes, client: str) -> None:
    limiter = Limiter(1)
    packet = answer()[:2] + b"\x81\x80\0\1\0\0\0\0\0\0\1a\0\0\1\0\1" + tail
    for _ in range(4):
        limited = limiter.limit(packet, client)
        assert limited is None or len(limited) <= len(packet)
