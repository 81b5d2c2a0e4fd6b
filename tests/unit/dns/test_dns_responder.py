"""Ready-made answers: kept as long as they are right, not longer."""

from __future__ import annotations

import asyncio
from collections import Counter

import dns.message
import dns.rcode
import pytest
from dns_objects import ask, endpoint, endpoint_slice, exchange, put, responder_of, service, texts
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clusterip.dns.records import Records
from clusterip.dns.responder import Responder
from clusterip.dns.zone import Zone

NAME = "svc1.testns.svc.cluster.local."


@pytest.fixture
async def responder() -> Responder:
    zone = Zone("cluster.local", 5)
    put(zone, service("svc1", "10.0.0.1", ports=[("http", 80)]))
    put(zone, service("other", "10.0.0.2"))
    put(zone, service("alias", external=NAME))
    zone.synced = True
    return responder_of(zone)


def addresses(responder: Responder, name: str = NAME) -> list[str]:
    return [record.to_text() for rrset in ask(responder, name).answer for record in rrset]


async def test_a_change_is_in_the_next_answer(responder: Responder) -> None:
    alias, srv = "alias.testns.svc.cluster.local.", "_http._tcp.svc1.testns.svc.cluster.local."
    for _ in range(2):
        assert addresses(responder) == ["10.0.0.1"]
        assert addresses(responder, alias)[-1] == "10.0.0.1"
        assert ask(responder, srv, "SRV").additional[0][0].to_text() == "10.0.0.1"
        assert ask(responder, "1.0.0.10.in-addr.arpa.", "PTR").answer
    put(responder.zone, service("svc1", "10.0.0.7", ports=[("http", 80)]))
    assert addresses(responder) == ["10.0.0.7"]
    assert addresses(responder, alias)[-1] == "10.0.0.7"
    assert ask(responder, srv, "SRV").additional[0][0].to_text() == "10.0.0.7"
    assert ask(responder, "1.0.0.10.in-addr.arpa.", "PTR").rcode() == dns.rcode.REFUSED
    responder.zone.put(("testns", "svc1"), Records())
    assert ask(responder, NAME).rcode() == dns.rcode.NXDOMAIN
    assert ask(responder, alias).rcode() == dns.rcode.NXDOMAIN
    put(responder.zone, service("svc1", "10.0.0.8"))
    assert addresses(responder) == ["10.0.0.8"]


async def test_a_change_leaves_the_answers_of_others(responder: Responder) -> None:
    ask(responder, NAME)
    ask(responder, NAME, "AAAA")
    ask(responder, "other.testns.svc.cluster.local.")
    assert len(responder.lasting) == 3
    put(responder.zone, service("svc1", "10.0.0.7"))
    assert len(responder.lasting) == 1


async def test_what_does_not_exist_is_kept_for_a_moment(responder: Responder) -> None:
    ask(responder, "nope.testns.svc.cluster.local.")
    assert len(responder.fleeting) == 1
    await asyncio.sleep(1.1)  # the second is the promise
    assert not responder.fleeting


async def test_failures_are_not_kept(responder: Responder) -> None:
    responder.zone.synced = False
    assert ask(responder, NAME).rcode() == dns.rcode.SERVFAIL
    assert ask(responder, "www.example.com.").rcode() == dns.rcode.REFUSED
    assert not responder.fleeting
    responder.zone.synced = True
    assert addresses(responder) == ["10.0.0.1"]


async def test_every_address_comes_first_equally_often(responder: Responder) -> None:
    for count in (2, 3, 40):
        peers = [endpoint(f"10.1.0.{number}") for number in range(count)]
        put(responder.zone, service("peers", "None"), endpoint_slice(*peers))
        query = dns.message.make_query("peers.testns.svc.cluster.local.", "A", use_edns=0).to_wire()
        first: Counter[bytes] = Counter()
        for number in range(240):
            packet = exchange(responder, number.to_bytes(2, "big") + query[2:])
            assert packet is not None
            assert packet[:2] == number.to_bytes(2, "big")
            answer = dns.message.from_wire(packet, one_rr_per_rrset=True)
            assert len({rrset[0].to_text() for rrset in answer.answer}) == count
            first[answer.answer[0][0].to_text()] += 1
        # More than 16 rotations would cost memory and give little.
        assert len(first) == min(count, 14 if count == 40 else count)
        assert max(first.values()) - min(first.values()) <= 1


async def test_memory_is_bounded(responder: Responder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusterip.dns.responder._LASTING_SIZE", 10)
    monkeypatch.setattr("clusterip.dns.responder._FLEETING_SIZE", 10)
    for number in range(50):
        put(responder.zone, service(f"s-{number}", "10.0.1.1"))
    for number in range(50):
        assert ask(responder, f"s-{number}.testns.svc.cluster.local.").answer
        assert ask(responder, f"n-{number}.testns.svc.cluster.local.").rcode() == dns.rcode.NXDOMAIN
        assert len(responder.lasting) <= 10
        assert len(responder.fleeting) <= 10
        assert len(responder._keys) <= 10


async def test_random_case_fills_no_memory(responder: Responder) -> None:
    for number in range(16):
        name = "".join(c.upper() if number >> i & 1 else c for i, c in enumerate("svc1")) + NAME[4:]
        assert ask(responder, name).answer
    assert len(responder.lasting) <= 2


query = dns.message.make_query(NAME, "A", use_edns=0).to_wire()
mutated = st.lists(st.tuples(st.integers(0, len(query) - 1), st.integers(0, 255)), max_size=6).map(
    lambda edits: bytes(dict(edits).get(position, byte) for position, byte in enumerate(query))
)
packets = st.one_of(
    st.binary(max_size=600),
    mutated,
    st.tuples(mutated, st.binary(max_size=40)).map(b"".join),
    st.tuples(mutated, st.integers(0, len(query))).map(lambda cut: cut[0][: cut[1]]),
    st.binary(max_size=80).map(lambda rest: query[:12] + rest),
)


@settings(max_examples=1500, deadline=None)
@given(st.lists(packets, max_size=4), st.booleans())
@example([b"\0" * 12, b"\xff" * 512], False)
def test_no_packet_stops_it(found: list[bytes], tcp: bool) -> None:
    async def respond() -> None:
        zone = Zone("cluster.local", 5)
        put(zone, service("svc1", "10.0.0.1"))
        zone.synced = True
        responder = responder_of(zone)
        for packet in found:
            answer = exchange(responder, packet, tcp=tcp)
            if answer is not None:
                assert answer[:2] == packet[:2]
                assert answer[2] & 0x80
                assert len(answer) <= (65535 if tcp else 1232)
                dns.message.from_wire(answer)
        assert responder.errors == 0
        assert texts(ask(responder, NAME).answer) == [f"{NAME} 5 IN A 10.0.0.1"]
        await responder.close()

    asyncio.run(respond())
