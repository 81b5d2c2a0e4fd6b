"""IPv6 addresses made of IPv4 ones."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterip.dns import message
from clusterip.dns.config.model import Dns64Options
from clusterip.dns.dns64 import dns64
from clusterip.dns.lookup import Found
from clusterip.dns.message import AAAA, SOA, A, Query, Record, Reply
from clusterip.dns.names import to_wire

NAME = to_wire("www.example.test")
OLD = Record(NAME, A, 300, bytes((192, 0, 2, 33)))
NEW = Record(NAME, AAAA, 300, bytes(15) + b"\1")
EMPTY = Reply(authority=[Record(to_wire("example.test"), SOA, 60, bytes(22))])


def ask(answers: dict[int, Reply], client: str = "2001:db8::9", prefix: str = "64:ff9b::/96") -> Found:
    handler = dns64(Dns64Options(ipaddress.IPv6Network(prefix)), lambda query: Found(answers[query.type]))
    found = handler(Query(b"\0\0", 0x100, NAME + b"\0\x1c\0\1", NAME, AAAA, 1, client=client))
    assert isinstance(found, Found)
    return found


@pytest.mark.parametrize(
    ("prefix", "address"),  # RFC 6052 section 2.4
    [
        ("2001:db8::/32", "2001:db8:c000:221::"),
        ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
        ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
        ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
        ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
        ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
    ],
)
def test_addresses_are_those_of_the_rfc(prefix: str, address: str) -> None:
    reply = ask({AAAA: EMPTY, A: Reply(answer=[OLD])}, prefix=prefix).reply
    assert [each.rdata for each in reply.answer] == [ipaddress.IPv6Address(address).packed]
    assert reply.answer[0].ttl == 60  # no longer than the absence may be remembered


def test_only_where_there_are_none_and_the_client_needs_them() -> None:
    assert ask({AAAA: Reply(answer=[NEW]), A: Reply(answer=[OLD])}).reply.answer == [NEW]
    assert not ask({AAAA: Reply(message.NXDOMAIN), A: Reply(answer=[OLD])}).reply.answer
    assert not ask({AAAA: EMPTY, A: Reply(answer=[OLD])}, client="192.0.2.1").reply.answer
    assert ask({AAAA: EMPTY, A: EMPTY}).reply == EMPTY
    assert ask({AAAA: Reply(message.SERVFAIL), A: Reply(answer=[OLD])}).reply.answer


def test_a_prefix_of_a_length_that_is_none() -> None:
    with pytest.raises(ValueError, match="NAT64"):
        ask({}, prefix="2001:db8::/65")


@given(st.binary(min_size=4, max_size=4), st.sampled_from([32, 40, 48, 56, 64, 96]))
def test_bits_64_to_71_stay_zero(address: bytes, size: int) -> None:
    reply = ask({AAAA: EMPTY, A: Reply(answer=[OLD._replace(rdata=address)])}, prefix=f"64::/{size}").reply
    assert len(reply.answer[0].rdata) == 16
    assert reply.answer[0].rdata[8] == 0
