"""Names outside the cluster: upstreams that answer, lie, stay silent or are not there."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from dns_lab import Lab, UpstreamServer, answer_to, eventually, lab, put

from clusterip.dns import wire
from clusterip.dns.upstream import Upstream
from clusterip.dns.zone import Zone
from clusterip.kernel import namespaces

WWW = "www.example.test"


@pytest.fixture
async def server(namespace: str) -> AsyncIterator[Lab]:
    """One whose event loop's thread is in the namespace, as that of a real one would be."""
    with namespaces.enter(namespaces.path_of(namespace)):
        async with lab(namespace) as made:
            yield made


def use(server: Lab, *upstreams: UpstreamServer | Upstream) -> None:
    known = [each if isinstance(each, Upstream) else each.upstream for each in upstreams]
    server.responder.forwarder.upstreams = lambda: known


async def test_an_answer_is_passed_on_and_remembered(server: Lab) -> None:
    upstream = await server.upstream(lambda packet: [answer_to(packet)])
    use(server, upstream)
    for options in ((), ("+noedns",), ("+tcp",), ("+nocookie",)):
        assert await server.dig(WWW, "+short", *options) == "198.51.100.1\n"
    assert await server.dig(WWW.upper(), "+short") == "198.51.100.1\n"
    assert len(upstream.asked) == 1
    out = await server.dig(WWW)
    assert "flags: qr rd ra;" in out  # not authoritative


async def test_remembered_answers_age_and_expire(server: Lab) -> None:
    upstream = await server.upstream(lambda packet: [answer_to(packet, ttl=2)])
    use(server, upstream)
    await server.dig(WWW)
    await asyncio.sleep(1.1)
    out = await server.dig(WWW, "+noall", "+answer")
    assert out.split()[1] == "1"
    assert len(upstream.asked) == 1
    await asyncio.sleep(1.1)
    await server.dig(WWW)
    assert len(upstream.asked) == 2


async def test_what_does_not_exist_is_remembered_as_its_soa_says(server: Lab) -> None:
    def deny(packet: bytes) -> list[bytes]:
        end = packet.index(b"\0", 12) + 5
        soa = b"\xc0\x10\0\6\0\1\0\0\0\x3c\0\x16\0\0" + b"\0\0\0\1" * 4 + b"\0\0\0\x3c"
        return [packet[:2] + b"\x81\x83\0\1\0\0\0\1\0\0" + packet[12:end] + soa]

    upstream = await server.upstream(deny)
    use(server, upstream)
    for _ in range(2):
        out = await server.dig(WWW)
        assert "status: NXDOMAIN" in out
        assert "SOA" in out
    assert len(upstream.asked) == 1


async def test_askers_of_the_same_question_share_one_exchange(server: Lab) -> None:
    def slow(packet: bytes) -> list[bytes]:
        to = ("127.0.0.1", upstream.ports[-1])
        send = upstream.transport.sendto  # type: ignore[attr-defined]
        asyncio.get_running_loop().call_later(0.3, send, answer_to(packet), to)
        return []

    upstream = await server.upstream(slow)
    use(server, upstream)
    found = await asyncio.gather(*(server.dig(WWW, "+short") for _ in range(5)))
    assert found == ["198.51.100.1\n"] * 5
    assert len(upstream.asked) == 1


async def test_forged_answers_are_not_believed(server: Lab) -> None:
    """Wrong ID, wrong question, a query as an answer, no question: then the right one."""
    bad = b"\x06\x06\x06\x06"

    def lie_then_answer(packet: bytes) -> list[bytes]:
        right = answer_to(packet)
        lie = answer_to(packet, address=bad)
        other = lie[:13] + b"x" + lie[14:]
        return [
            bytes((lie[0] ^ 1,)) + lie[1:],
            other,
            lie[:2] + b"\x01\x80" + lie[4:],
            lie[:4] + b"\0\0\0\0\0\0\0\0",
            lie[:2] + b"\x81\x83\0\0\0\0\0\0\0\0",
            b"",
            right,
        ]

    use(server, await server.upstream(lie_then_answer))
    assert await server.dig(WWW, "+short") == "198.51.100.1\n"


async def test_ids_and_source_ports_vary(server: Lab) -> None:
    upstream = await server.upstream(lambda packet: [answer_to(packet)])
    use(server, upstream)
    await asyncio.gather(*(server.dig(f"host-{number}.example.test") for number in range(20)))
    assert len({packet[:2] for packet in upstream.asked}) > 15
    assert len(set(upstream.ports)) > 15


async def test_a_truncated_answer_is_fetched_over_tcp(server: Lab) -> None:
    upstream = await server.upstream(lambda packet: [answer_to(packet, flags=b"\x83\x80")])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(2), "big")
        answer = answer_to(await reader.readexactly(length), address=b"\xc6\x33\x64\x02")
        writer.write(len(answer).to_bytes(2, "big") + answer)
        writer.close()

    with contextlib.closing(await asyncio.start_server(serve, "127.0.0.1", upstream.port)):
        use(server, upstream)
        assert await server.dig(WWW, "+short") == "198.51.100.2\n"


async def test_an_upstream_that_knows_no_edns(server: Lab) -> None:
    def old(packet: bytes) -> list[bytes]:
        if packet[11]:  # an additional record
            return [packet[:2] + b"\x81\x81\0\0\0\0\0\0\0\0"]
        return [answer_to(packet)]

    use(server, await server.upstream(old))
    assert await server.dig(WWW, "+short") == "198.51.100.1\n"


async def test_the_next_upstream_is_asked_when_one_fails(server: Lab) -> None:
    refusing = await server.upstream(lambda packet: [packet[:2] + b"\x81\x85\0\0\0\0\0\0\0\0"])
    broken = await server.upstream(lambda packet: [answer_to(packet)[:-3]])
    good = await server.upstream(lambda packet: [answer_to(packet)])
    nobody = Upstream("127.0.0.1", 9)
    nowhere = Upstream("192.0.2.1", 53)
    use(server, nobody, nowhere, refusing, broken, good)
    started = time.monotonic()
    assert await server.dig(WWW, "+short") == "198.51.100.1\n"
    assert time.monotonic() - started < 1


async def test_without_a_route_or_a_listener_failure_is_quick(server: Lab) -> None:
    use(server, Upstream("127.0.0.1", 9), Upstream("192.0.2.1", 53), Upstream("2001:db8::1", 53))
    started = time.monotonic()
    out = await server.dig(WWW)
    assert "status: SERVFAIL" in out
    assert "EDE: 22 (No Reachable Authority)" in out
    assert time.monotonic() - started < 1
    assert await server.dig("my-service.default.svc.cluster.local", "+short") == "10.96.0.7\n"


async def test_a_silent_upstream_costs_seconds_once_then_nothing_until_it_is_back(server: Lab) -> None:
    silent = True
    upstream = await server.upstream(lambda packet: [] if silent else [answer_to(packet)])
    use(server, upstream)
    out = await server.dig("one.example.test")
    assert "status: SERVFAIL" in out
    await server.dig("two.example.test")
    started = time.monotonic()
    assert not server.responder.forwarder.upstreams()[0].up
    assert "status: SERVFAIL" in await server.dig("three.example.test")
    assert "status: SERVFAIL" in await server.dig("four.example.test")
    assert time.monotonic() - started < 3
    silent = False

    async def answers() -> bool:
        return "198.51.100.1" in await server.dig("five.example.test", "+short")

    await eventually(answers)
    assert server.responder.forwarder.upstreams()[0].up


async def test_an_external_name_is_followed_for_the_asker(server: Lab) -> None:
    upstream = await server.upstream(lambda packet: [answer_to(packet)])
    use(server, upstream)
    out = await server.dig("away.default.svc.cluster.local", "+noall", "+answer")
    lines = [line.split() for line in out.splitlines()]
    assert [(line[0], line[3], line[4]) for line in lines] == [
        ("away.default.svc.cluster.local.", "CNAME", f"{WWW}."),
        (f"{WWW}.", "A", "198.51.100.1"),
    ]
    zone = server.responder.zone
    put(zone, "away", wire.ServiceSpec(type="ExternalName", externalName="dual.default.svc.cluster.local"))
    assert (await server.dig("away.default.svc.cluster.local", "+short")).endswith("10.96.0.8\n")


async def test_addresses_that_are_not_the_clusters_are_asked_upstream(server: Lab) -> None:
    upstream = await server.upstream(lambda packet: [answer_to(packet)])
    use(server, upstream)
    await server.dig("-x", "8.8.8.8")
    assert await server.dig("-x", "10.96.0.7", "+short") == "my-service.default.svc.cluster.local.\n"
    assert len(upstream.asked) == 1


async def test_one_server_as_the_upstream_of_another(server: Lab) -> None:
    """The whole way with both ends ours, a long answer over TCP included."""
    other = Zone("example.test", 30)
    many = [f"10.1.{number >> 8}.{number & 255}" for number in range(400)]
    put(other, "peers", wire.ServiceSpec(clusterIP="None"), *many)
    other.synced = True
    async with lab(server.namespace, port=5353, zone=other) as second:
        use(server, Upstream("127.0.0.1", 5353))
        out = await server.dig("peers.default.svc.example.test", "+short", "+tcp")
        assert len(out.splitlines()) == 400
        assert second.counters.tcp == 1
        assert "status: NXDOMAIN" in await server.dig("nope.default.svc.example.test")


async def test_what_changed_while_upstreams_were_asked_is_not_kept(server: Lab) -> None:
    """The ExternalName turns into a Service of its own before its old target's address is known."""
    zone = server.responder.zone

    def change_then_answer(packet: bytes) -> list[bytes]:
        put(zone, "away", wire.ServiceSpec(clusterIP="10.96.0.9", clusterIPs=["10.96.0.9"]))
        return [answer_to(packet)]

    use(server, await server.upstream(change_then_answer))
    name = "away.default.svc.cluster.local"
    assert (await server.dig(name, "+short", "+nocookie")).endswith("198.51.100.1\n")
    assert await server.dig(name, "+short", "+nocookie") == "10.96.0.9\n"
