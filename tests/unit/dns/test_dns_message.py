"""Reading and writing messages, with dnspython on the other side."""

from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from dns_objects import ask, endpoint, endpoint_slice, exchange, put, responder_of, service
from hypothesis import given
from hypothesis import strategies as st

from clusterip.dns import message
from clusterip.dns.message import Malformed, Reply, encode, read_records
from clusterip.dns.question import parse_query
from clusterip.dns.responder import Responder
from clusterip.dns.zone import Zone

NAME = "big.testns.svc.cluster.local."


@pytest.fixture
def responder() -> Responder:
    zone = Zone("cluster.local", 5)
    many = [endpoint(f"10.1.{number >> 8}.{number & 255}") for number in range(300)]
    put(zone, service("big", "None"), endpoint_slice(*many, ports=[("http", 80)]))
    put(zone, service("svc1", "10.0.0.1"))
    zone.synced = True
    return responder_of(zone)


async def test_an_answer_without_edns_fits_into_512_bytes(responder: Responder) -> None:
    packet = exchange(responder, dns.message.make_query(NAME, "A").to_wire())
    assert packet is not None
    assert len(packet) <= 512
    answer = dns.message.from_wire(packet)
    assert answer.flags & dns.flags.TC
    assert len(answer.answer[0]) > 25
    assert answer.opt is None


@pytest.mark.parametrize(("payload", "limit"), [(100, 512), (700, 700), (1232, 1232), (65535, 1232)])
async def test_edns_allows_as_much_as_both_want(responder: Responder, payload: int, limit: int) -> None:
    query = dns.message.make_query(NAME, "A", use_edns=0, payload=payload)
    packet = exchange(responder, query.to_wire())
    assert packet is not None
    assert limit - 28 < len(packet) <= limit
    answer = dns.message.from_wire(packet)
    assert answer.flags & dns.flags.TC
    assert answer.opt is not None
    assert answer.payload == 1232


async def test_over_tcp_everything_fits(responder: Responder) -> None:
    answer = ask(responder, NAME, tcp=True)
    assert not answer.flags & dns.flags.TC
    assert len(answer.answer[0]) == 300


async def test_additional_records_are_no_reason_to_truncate(responder: Responder) -> None:
    zone = responder.zone
    few = [endpoint(f"10.1.0.{number}", hostname=f"host-{number}") for number in range(7)]
    put(zone, service("few", "None"), endpoint_slice(*few, ports=[("http", 80)]))
    packet = exchange(
        responder, dns.message.make_query("_http._tcp.few.testns.svc.cluster.local.", "SRV").to_wire()
    )
    assert packet is not None
    answer = dns.message.from_wire(packet)
    assert not answer.flags & dns.flags.TC
    assert len(answer.answer[0]) == 7
    assert len(answer.additional) < 7


async def test_letter_case_comes_back_as_it_was(responder: Responder) -> None:
    """DNS 0x20: some resolvers take random case as a secret."""
    for name in ("sVc1.TESTns.svc.Cluster.LOCAL.", "svc1.testns.svc.cluster.local.", "NOPE.cluster.local."):
        query = dns.message.make_query(name, "A").to_wire()
        answer = exchange(responder, query)
        assert answer is not None
        assert answer[12 : len(query)] == query[12:]


async def test_flags_of_the_query_that_must_come_back(responder: Responder) -> None:
    query = dns.message.make_query("svc1.testns.svc.cluster.local.", "A")
    query.flags = dns.flags.CD
    packet = exchange(responder, query.to_wire())
    assert packet is not None
    answer = dns.message.from_wire(packet)
    assert answer.flags == dns.flags.QR | dns.flags.AA | dns.flags.RA | dns.flags.CD


async def test_cookies_and_other_options_are_read_over(responder: Responder) -> None:
    options = [dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678"), dns.edns.NSIDOption(b"")]
    query = dns.message.make_query("svc1.testns.svc.cluster.local.", "A", use_edns=0, options=options)
    packet = exchange(responder, query.to_wire())
    assert packet is not None
    assert dns.message.from_wire(packet).rcode() == dns.rcode.NOERROR
    assert not responder.lasting  # such a query never comes again in the same bytes


async def test_an_edns_version_from_the_future(responder: Responder) -> None:
    packet = exchange(
        responder, dns.message.make_query("svc1.testns.svc.cluster.local.", "A", use_edns=1).to_wire()
    )
    assert packet is not None
    answer = dns.message.from_wire(packet)
    assert answer.rcode() == dns.rcode.BADVERS
    assert answer.edns == 0


HEADER = b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0"
QUESTION = b"\1a\0\0\1\0\1"
OPT = b"\0\0\x29\x10\0\0\0\0\0\0\0"


@pytest.mark.parametrize(
    ("packet", "rcode"),
    [
        (b"", None),
        (HEADER[:11], None),
        (HEADER[:2] + b"\x81\x00" + HEADER[4:] + QUESTION, None),
        (HEADER, dns.rcode.FORMERR),
        (HEADER + QUESTION[:-1], dns.rcode.FORMERR),
        (HEADER + b"\xc0\x0c\0\1\0\1", dns.rcode.FORMERR),
        (HEADER + b"\x40" + b"a" * 64 + b"\0\0\1\0\1", dns.rcode.FORMERR),
        (HEADER + (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1", dns.rcode.FORMERR),
        (HEADER[:4] + b"\0\0" + HEADER[6:], dns.rcode.FORMERR),
        (HEADER[:4] + b"\0\2" + HEADER[6:] + QUESTION * 2, dns.rcode.FORMERR),
        (HEADER[:10] + b"\0\1" + QUESTION, dns.rcode.FORMERR),
        (HEADER[:10] + b"\0\2" + QUESTION + OPT * 2, dns.rcode.FORMERR),
        (HEADER[:10] + b"\0\1" + QUESTION + b"\1b" + OPT, dns.rcode.FORMERR),
        (HEADER[:10] + b"\0\1" + QUESTION + OPT[:-1] + b"\x09", dns.rcode.FORMERR),
        (HEADER[:6] + b"\0\1\0\0\0\0" + QUESTION + OPT, dns.rcode.FORMERR),
        (HEADER[:2] + b"\x20\x00" + HEADER[4:] + QUESTION, dns.rcode.NOTIMP),
        (HEADER[:2] + b"\x29\x00" + HEADER[4:] + QUESTION, dns.rcode.NOTIMP),
    ],
)
async def test_what_cannot_be_read_gets_what_the_rfcs_say(
    responder: Responder, packet: bytes, rcode: int | None
) -> None:
    answer = exchange(responder, packet)
    if rcode is None:
        assert answer is None
        return
    assert answer is not None
    assert answer[:2] == packet[:2]
    assert answer[2] & 0x80
    assert answer[2] & 0x78 == packet[2] & 0x78
    assert answer[3] & 15 == rcode


labels = st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=5)
names = labels.map(lambda found: ".".join(found) + ".")
lines = st.one_of(
    st.tuples(names, st.just("A"), st.just("192.0.2.1")),
    st.tuples(names, st.just("CNAME"), names),
    st.tuples(names, st.just("NS"), names),
    st.tuples(names, st.just("PTR"), names),
    st.tuples(names, st.just("MX"), names.map("10 {}".format)),
    st.tuples(names, st.just("SRV"), names.map("0 5 80 {}".format)),
    st.tuples(names, st.just("SOA"), st.tuples(names, names).map(lambda two: f"{two[0]} {two[1]} 1 2 3 4 5")),
    st.tuples(names, st.just("TXT"), st.just('"some text" "more"')),
    st.tuples(names, st.just("NAPTR"), names.map('1 2 "u" "sip" "x" {}'.format)),
    st.tuples(names, st.just("CAA"), st.just('0 issue "ca.example"')),
)


sections = st.tuples(st.lists(lines, max_size=6), st.lists(lines, max_size=3), st.lists(lines, max_size=3))


@given(names, sections)
def test_what_dnspython_writes_comes_out_the_same(
    question: str, parts: tuple[list[tuple[str, str, str]], ...]
) -> None:
    """Read a compressed response as from an upstream, write it for a client, compare record by record."""
    response = dns.message.make_response(dns.message.make_query(question, "A"))
    for section, wanted in zip(
        (response.answer, response.authority, response.additional), parts, strict=True
    ):
        section.extend(dns.rrset.from_text(name, 60, "IN", kind, data) for name, kind, data in wanted)
    _, rcode, read = read_records(response.to_wire())
    query = parse_query(dns.message.make_query(question, "A").to_wire())
    written = encode(query, Reply(rcode, answer=read[0], authority=read[1], additional=read[2]), 65535)
    again, before = (
        dns.message.from_wire(each, one_rr_per_rrset=True) for each in (written, response.to_wire())
    )
    assert _flat(again) == _flat(before)


def _flat(found: dns.message.Message) -> list[list[str]]:
    return [
        sorted(line for rrset in part for line in rrset.to_text().splitlines()) for part in found.sections[1:]
    ]


@given(st.binary(max_size=200))
def test_reading_rubbish_as_a_response_ends(rubbish: bytes) -> None:
    for packet in (rubbish, b"\x12\x34\x81\x80\0\1\0\3\0\1\0\1" + rubbish):
        try:
            read_records(packet)
        except Malformed:
            continue


def test_a_ttl_with_the_top_bit_set_is_zero() -> None:
    packet = HEADER[:6] + b"\0\1\0\0\0\0" + QUESTION + b"\xc0\x0c\0\1\0\1\x80\0\0\1\0\4\1\2\3\4"
    assert read_records(packet)[2][0][0].ttl == 0


def test_constants_agree_with_the_registry() -> None:
    for name in (
        "A",
        "NS",
        "CNAME",
        "SOA",
        "PTR",
        "HINFO",
        "TXT",
        "AAAA",
        "SRV",
        "OPT",
        "IXFR",
        "AXFR",
        "ANY",
    ):
        assert getattr(message, name) == dns.rdatatype.from_text(name)
    for name in ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "BADVERS"):
        assert getattr(message, name) == dns.rcode.from_text(name)
