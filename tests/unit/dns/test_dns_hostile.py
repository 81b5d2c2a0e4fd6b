"""Messages made to keep a server busy, or to lead it in circles."""

from __future__ import annotations

import struct

import dns.message
import dns.rcode
import pytest
from dns_objects import exchange, put, responder_of, service

from clusterip.dns import names
from clusterip.dns.message import Malformed, read_records
from clusterip.dns.responder import Responder
from clusterip.dns.zone import Zone

NAME = "svc1.testns.svc.cluster.local."


@pytest.fixture
def responder() -> Responder:
    zone = Zone("cluster.local", 5)
    put(zone, service("svc1", "10.0.0.1"))
    zone.synced = True
    return responder_of(zone)


def header(questions: int = 1, answers: int = 0, authorities: int = 0, additionals: int = 0) -> bytes:
    return b"\1\2\1\0" + struct.pack("!4H", questions, answers, authorities, additionals)


def code(responder: Responder, packet: bytes) -> str:
    answer = exchange(responder, packet, tcp=True)
    assert answer is not None
    return dns.rcode.to_text(dns.message.from_wire(answer).rcode())


QUESTION = names.to_wire(NAME.rstrip(".")) + b"\0\1\0\1"
ENDLESS = {
    "a pointer to itself": header() + b"\xc0\x0c\0\1\0\1",
    "two pointers in a circle": header() + b"\xc0\x0e\xc0\x0c\0\1\0\1",
    "a pointer ahead": header() + b"\1a\xc0\x20\0\1\0\1" + bytes(40),
    "a name without an end": header() + b"\x3f" + b"a" * 63,
    "a label of a reserved kind": header() + b"\x40a\0\0\1\0\1",
    "more than 255 bytes": header() + (b"\x3f" + b"a" * 63) * 5 + b"\0\0\1\0\1",
    "65535 questions": header(0xFFFF) + QUESTION,
    "65535 additional records": header(1, 0, 0, 0xFFFF) + QUESTION + (b"\0\0\1\0\1" + bytes(6)) * 5900,
    "two OPT records": header(1, 0, 0, 2) + QUESTION + (b"\0\0\x29\x04\xd0" + bytes(6)) * 2,
    "an OPT record among the answers": header(1, 1) + QUESTION + b"\0\0\x29\x04\xd0" + bytes(6),
    "a record that ends after the message": header(1, 0, 0, 1) + QUESTION + b"\0\0\1\0\1\0\0\0\0\xff\xff",
    "an option that ends after its record": header(1, 0, 0, 1)
    + QUESTION
    + b"\0\0\x29\x04\xd0\0\0\0\0\0\4\0\x0a\xff\xff",
    "a whole message of zeros": header() + bytes(65_000) + b"\1",
}  # fmt: skip


@pytest.mark.parametrize("kind", ENDLESS)
async def test_what_cannot_be_read_is_said_at_once(responder: Responder, kind: str) -> None:
    packet = ENDLESS[kind][:65_535]
    wanted = (
        ("FORMERR",) if kind != "a whole message of zeros" else ("REFUSED", "SERVFAIL", "NOERROR", "FORMERR")
    )
    assert code(responder, packet) in wanted
    assert responder.errors == 0
    assert exchange(responder, dns.message.make_query(NAME, "A").to_wire()) is not None


async def test_a_name_of_127_labels(responder: Responder) -> None:
    """As many as fit: it does not exist, and is denied as any other."""
    name = b"\1a" * 120 + names.to_wire("cluster.local")
    packet = header() + name[-255:] + b"\0\1\0\1"
    assert code(responder, packet) == "NXDOMAIN"


@pytest.mark.parametrize("packet", [b"", b"\0", b"\1" * 11, b"\1\2\x80\0" + bytes(8), b"\xff" * 65_535])
async def test_what_deserves_no_answer(responder: Responder, packet: bytes) -> None:
    """Too short for a header, or a response: answering those could go on for ever between two servers."""
    assert exchange(responder, packet, tcp=True) is None
    assert responder.malformed == 1


def test_pointers_upon_pointers() -> None:
    """Each leads two bytes back: legal one by one, and a way to keep a reader busy by the thousand."""
    chain = bytearray(b"\0" * 12 + b"\0\0")
    for _ in range(200):
        chain += (0xC000 | len(chain) - 2).to_bytes(2, "big")
    with pytest.raises(names.BadName, match="compression pointers"):
        names.read(bytes(chain), len(chain) - 2)
    assert names.read(bytes(chain), 12 + 2 + 2 * 100)[0] == b"\0"


def test_an_answer_of_pointers_upon_pointers() -> None:
    body = bytearray(header(0, 4000) + b"\0" * 2)
    while len(body) < 40_000:
        body += (0xC000 | (len(body) - 2) & 0x3FFF).to_bytes(2, "big")
    with pytest.raises(Malformed):
        read_records(bytes(body))
