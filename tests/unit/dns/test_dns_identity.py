"""Cookies, server identity and class CHAOS."""

from __future__ import annotations

import asyncio
import time

import dns.edns
import dns.message
import dns.rcode
import pytest
from dns_objects import exchange, put, responder_of, service
from hypothesis import given
from hypothesis import strategies as st

from clusterip.dns.cookies import Cookies, siphash24
from clusterip.dns.identity import Identity
from clusterip.dns.responder import Responder
from clusterip.dns.zone import Zone

NAME = "svc1.testns.svc.cluster.local."
CLIENT = bytes.fromhex("2464c4abcf10c957")


@pytest.fixture
def responder() -> Responder:
    zone = Zone("cluster.local", 5)
    put(zone, service("svc1", "10.0.0.1"))
    zone.synced = True
    made = responder_of(zone)
    made.identity = Identity("node-1")
    return made


def answer(responder: Responder, query: dns.message.Message) -> dns.message.Message:
    packet = exchange(responder, query.to_wire())
    assert packet is not None
    return dns.message.from_wire(packet)


def test_siphash_of_its_authors() -> None:
    key = bytes(range(16))
    assert siphash24(key, bytes(range(15))) == 0xA129CA6149BE45E5.to_bytes(8, "little")
    assert siphash24(key, b"") == 0x726FDB47DD0E0E31.to_bytes(8, "little")


@pytest.mark.parametrize(
    ("secret", "now", "client", "sent", "wanted"),
    [
        (
            "e5e973e5a6b2a43f48e7dc849e37bfcf",
            1559731985,
            "198.51.100.100",
            "2464c4abcf10c957",
            "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
        ),
        (
            "e5e973e5a6b2a43f48e7dc849e37bfcf",
            1559734385,
            "198.51.100.100",
            "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
            "2464c4abcf10c957010000005cf7a871d4a564a1442aca77",
        ),
        (
            "445536bcd2513298075a5d379663c962",
            1559741961,
            "2001:db8:220:1:59de:d0f4:8769:82b8",
            "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
            "22681ab97d52c298010000005cf7c609a6bb79d16625507a",
        ),
    ],
)
def test_examples_of_rfc_9018(
    monkeypatch: pytest.MonkeyPatch, secret: str, now: int, client: str, sent: str, wanted: str
) -> None:
    """Appendix A; the third one's received cookie is of the secret before, so it is not believed here."""
    monkeypatch.setattr("time.time", lambda: now)
    found, _ = Cookies(bytes.fromhex(secret)).answer(bytes.fromhex(sent), client)
    assert found.hex() == wanted


def test_only_our_own_fresh_cookie_for_the_same_client_proves_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cookies = Cookies()
    made, proven = cookies.answer(CLIENT, "192.0.2.1")
    assert not proven
    assert cookies.answer(made, "192.0.2.1") == (made, True)
    assert cookies.answer(made, "::ffff:192.0.2.1") == (made, True)
    assert not cookies.answer(made, "192.0.2.2")[1]
    assert not Cookies().answer(made, "192.0.2.1")[1]
    assert not cookies.answer(made[:-1] + bytes((made[-1] ^ 1,)), "192.0.2.1")[1]
    later = time.time() + 3700
    monkeypatch.setattr("time.time", lambda: later)
    assert not cookies.answer(made, "192.0.2.1")[1]


async def test_options_that_are_asked_for_come_back(responder: Responder) -> None:
    options: list[dns.edns.Option] = [
        dns.edns.GenericOption(dns.edns.OptionType.COOKIE, CLIENT),
        dns.edns.NSIDOption(b""),
    ]
    found = answer(responder, dns.message.make_query(NAME, "A", use_edns=0, options=options))
    assert found.answer
    by_type = {option.otype: option.to_wire() for option in found.options}
    assert by_type[3] == b"node-1"
    assert by_type[10][:8] == CLIENT
    assert len(by_type[10]) == 24
    assert not answer(responder, dns.message.make_query(NAME, "A", use_edns=0)).options


@pytest.mark.parametrize("size", [0, 7, 9, 15, 41])
async def test_a_cookie_of_a_length_that_none_has(responder: Responder, size: int) -> None:
    options: list[dns.edns.Option] = [dns.edns.GenericOption(dns.edns.OptionType.COOKIE, bytes(size))]
    query = dns.message.make_query(NAME, "A", use_edns=0, options=options)
    assert answer(responder, query).rcode() == dns.rcode.FORMERR


@pytest.mark.parametrize(
    ("name", "text"),
    [("version.bind.", "clusterip "), ("hostname.bind.", "node-1"), ("ID.server.", "node-1")],
)
async def test_chaos(responder: Responder, name: str, text: str) -> None:
    for _ in range(2):
        found = answer(responder, dns.message.make_query(name, "TXT", "CH"))
        assert text in found.answer[0].to_text()
        assert " CH TXT " in found.answer[0].to_text()


async def test_other_names_of_class_chaos_are_refused(responder: Responder) -> None:
    found = answer(responder, dns.message.make_query(NAME, "A", "CH"))
    assert found.rcode() == dns.rcode.REFUSED
    assert not answer(responder, dns.message.make_query("version.bind.", "A", "CH")).answer


@given(st.binary(max_size=60))
def test_no_options_stop_it(options: bytes) -> None:
    query = dns.message.make_query("version.bind", "TXT", "CH", use_edns=0).to_wire()
    packet = query[:-2] + len(options).to_bytes(2, "big") + options

    async def respond() -> None:
        zone = Zone("cluster.local", 5)
        zone.synced = True
        responder = responder_of(zone)
        sent: list[bytes] = []
        responder.respond(packet, lambda answer, **_: sent.append(answer), client=("192.0.2.1", 5353))
        assert responder.errors == 0
        assert dns.message.from_wire(sent[0]).rcode() in (dns.rcode.NOERROR, dns.rcode.FORMERR)
        await responder.close()

    asyncio.run(respond())


def only_a_cookie(cookie: bytes) -> bytes:
    """A query without a question (RFC 7873 section 5.4)."""
    option = b"\0\x0a" + len(cookie).to_bytes(2, "big") + cookie if cookie else b""
    header = b"\x12\x34\1\0" + bytes(7) + b"\1"
    return header + b"\0\0\x29\x04\xd0\0\0\0\0" + len(option).to_bytes(2, "big") + option


async def test_a_query_for_nothing_but_a_cookie(responder: Responder) -> None:
    def exchange(packet: bytes) -> dns.message.Message:
        sent: list[bytes] = []
        assert responder.respond(packet, lambda answer, **_: sent.append(answer), client=("192.0.2.1", 5))
        return dns.message.from_wire(sent[0])

    first = exchange(only_a_cookie(CLIENT))
    assert (first.rcode(), first.question) == (dns.rcode.NOERROR, [])
    cookie = next(option.to_wire() for option in first.options if option.otype == 10)
    assert (cookie[:8], len(cookie)) == (CLIENT, 24)
    assert exchange(only_a_cookie(cookie)).rcode() == dns.rcode.NOERROR
    wrong = exchange(only_a_cookie(CLIENT + bytes(16)))
    assert wrong.rcode() == dns.rcode.BADCOOKIE
    assert any(option.otype == 10 and option.to_wire() != CLIENT + bytes(16) for option in wrong.options)
    assert exchange(only_a_cookie(b"")).rcode() == dns.rcode.FORMERR
    assert exchange(only_a_cookie(bytes(9))).rcode() == dns.rcode.FORMERR
