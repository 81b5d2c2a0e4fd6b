"""The DNS server on real sockets, asked by dig, by glibc and by people who mean no good."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import dns.message
import dns.rcode
import pytest
from dns_lab import Lab, eventually, lab

from clusterip.dns.config.model import TcpLimits
from clusterip.dns.tcp import TcpServer
from clusterip.kernel import namespaces

NAME = "my-service.default.svc.cluster.local"


@pytest.fixture
async def server(namespace: str) -> AsyncIterator[Lab]:
    async with lab(namespace) as made:
        yield made


def tcp_of(server: Lab) -> TcpServer:
    return next(each for each in server.servers if isinstance(each, TcpServer))


def connect(server: Lab, kind: socket.SocketKind = socket.SOCK_DGRAM) -> socket.socket:
    with namespaces.enter(namespaces.path_of(server.namespace)):
        own = socket.socket(socket.AF_INET, kind)
    own.settimeout(10)
    own.connect(server.address)
    return own


def query(name: str = NAME, type_: str = "A", id_: int = 1) -> bytes:
    message = dns.message.make_query(name, type_)
    message.id = id_
    return message.to_wire()


def framed(*packets: bytes) -> bytes:
    return b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets)


async def read_framed(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        return await reader.readexactly(length)


async def open_tcp(server: Lab) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(sock=await asyncio.to_thread(connect, server, socket.SOCK_STREAM))


@pytest.mark.parametrize(
    "options", [(), ("+tcp",), ("+noedns",), ("+nocookie",), ("+dnssec",), ("+nsid", "+norecurse")]
)
async def test_dig(server: Lab, options: tuple[str, ...]) -> None:
    for _ in range(2):  # worked out, then ready-made
        assert await server.dig(NAME, "A", "+short", *options) == "10.96.0.7\n"
    out = await server.dig(NAME, "AAAA", *options)
    assert "status: NOERROR" in out
    assert "ANSWER: 0, AUTHORITY: 1" in out
    out = await server.dig("www.example.com.default.svc.cluster.local", *options)
    assert "status: NXDOMAIN" in out
    assert "SOA\tns.dns.cluster.local." in out
    assert await server.dig("-x", "10.96.0.7", "+short", *options) == f"{NAME}.\n"


async def test_dig_asks_again_over_tcp_when_the_answer_is_long(server: Lab) -> None:
    out = await server.dig("peers.default.svc.cluster.local", "+short")
    assert len(out.splitlines()) == 500
    assert (server.counters.udp, server.counters.tcp) == (1, 1)


@pytest.fixture
def more_addresses(namespace: str) -> list[str]:
    for address in ("192.0.2.1/32", "2001:db8::1/128"):
        subprocess.run(["ip", "-n", namespace, "address", "add", address, "dev", "lo"], check=True)
    return ["127.0.0.1", "192.0.2.1", "::1", "2001:db8::1"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
async def test_on_all_addresses_answers_come_from_the_one_that_was_asked(
    namespace: str, more_addresses: list[str], host: str
) -> None:
    async with lab(namespace, host=host) as server:
        for asked in more_addresses if host == "::" else more_addresses[:2]:
            for _ in range(2):
                assert await server.dig(NAME, "+short", host=asked) == "10.96.0.7\n"


RESOLV_CONF = """\
nameserver 127.0.0.1
search default.svc.cluster.local svc.cluster.local cluster.local
options ndots:5
"""


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("my-service", ["10.96.0.7"]),
        ("my-service.default", ["10.96.0.7"]),
        ("my-service.default.svc", ["10.96.0.7"]),
        ("my-service.default.svc.cluster.local", ["10.96.0.7"]),
        ("my-service.default.svc.cluster.local.", ["10.96.0.7"]),
        ("MY-Service", ["10.96.0.7"]),
        ("dual", ["10.96.0.8", "fd00::8"]),
        ("nothing", []),
    ],
)
async def test_glibc_in_a_pod(server: Lab, tmp_path: Path, name: str, addresses: list[str]) -> None:
    """With a Pod's search path, A and AAAA asked at once from one socket, as getaddrinfo does."""
    path = tmp_path / "resolv.conf"
    path.write_text(RESOLV_CONF)
    script = f"mount --bind {path} /etc/resolv.conf && getent ahosts {name}"
    out = await server.run("unshare", "--mount", "sh", "-c", script)
    found = sorted({line.split()[0] for line in out.splitlines()})
    assert found == addresses


async def test_letter_case_comes_back(server: Lab) -> None:
    mixed = "mY-sErViCe.DeFaUlT.svc.cluster.LOCAL"
    assert f"\n{mixed}." in await server.dig(mixed)


async def test_many_queries_over_one_connection_and_answers_to_each(server: Lab) -> None:
    reader, writer = await open_tcp(server)
    asked = [query(NAME if number % 2 else "nope.cluster.local", id_=number) for number in range(1000)]
    data = framed(*asked)
    for start in range(0, len(data), 997):  # frames cut anywhere
        writer.write(data[start : start + 997])
    answered = {struct.unpack("!H", (await read_framed(reader))[:2])[0] for _ in asked}
    assert answered == set(range(1000))
    writer.close()


async def test_a_client_that_closes_its_side_still_gets_its_answer(server: Lab) -> None:
    reader, writer = await open_tcp(server)
    writer.write(framed(query()))
    writer.write_eof()
    answer = await read_framed(reader)
    assert dns.message.from_wire(answer).answer
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()


async def test_a_client_that_never_reads_is_not_buffered_for_ever(server: Lab) -> None:
    reader, writer = await open_tcp(server)
    packet = framed(query("peers.default.svc.cluster.local"))
    sent = 0
    try:
        async with asyncio.timeout(2):
            while sent < 50_000:
                writer.write(packet * 100)
                sent += 100
                await writer.drain()
    except TimeoutError:
        pass  # the server stopped reading: what it should do
    assert server.counters.tcp < 5000
    assert await server.dig(NAME, "+short", "+tcp") == "10.96.0.7\n"
    writer.close()
    del reader


async def test_idle_connections_are_closed(server: Lab) -> None:
    tcp_of(server).limits = TcpLimits(idle=0.2)
    reader, writer = await open_tcp(server)
    writer.write(b"\0")
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()


async def test_the_connection_that_is_silent_for_longest_makes_room(
    server: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterip.dns.tcp._MAX_CONNECTIONS", 3)
    clients = [await open_tcp(server) for _ in range(3)]
    for number in (1, 0, 2):
        reader, writer = clients[number]
        writer.write(framed(query()))
        await read_framed(reader)
    reader, writer = await open_tcp(server)
    writer.write(framed(query()))
    assert dns.message.from_wire(await read_framed(reader)).answer
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(clients[1][0].read(), 10) == b""
    clients[0][1].write(framed(query()))
    assert await read_framed(clients[0][0])
    for _, each in [*clients, (reader, writer)]:
        each.close()


async def test_a_connection_may_ask_only_so_much(server: Lab) -> None:
    tcp_of(server).limits = TcpLimits(queries=3)
    reader, writer = await open_tcp(server)
    writer.write(framed(*[query()] * 5))
    for _ in range(3):
        assert dns.message.from_wire(await read_framed(reader)).answer
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()


async def test_one_client_cannot_take_all_connections(server: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusterip.dns.tcp._MAX_PER_CLIENT", 3)
    clients = [await open_tcp(server) for _ in range(3)]
    for reader, writer in clients:
        writer.write(framed(query()))
        await read_framed(reader)
    reader, writer = await open_tcp(server)
    writer.write(framed(query()))
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await read_framed(reader)
    for _, each in [*clients, (reader, writer)]:
        each.close()

    async def served() -> bool:
        return (await server.dig(NAME, "+short", "+tcp")).startswith("10.96")

    await eventually(served)


async def test_floods_of_rubbish_stop_nobody(server: Lab) -> None:
    """Random packets, cut packets and packets with random bytes changed, over UDP and TCP."""
    chance = random.Random(7)
    good = query()

    def packet() -> bytes:
        kind = chance.randrange(4)
        if kind == 0:
            return chance.randbytes(chance.randrange(600))
        if kind == 1:
            return good[: chance.randrange(len(good))]
        changed = bytearray(good)
        for _ in range(chance.randrange(1, 5)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        return bytes(changed) + (chance.randbytes(chance.randrange(50)) if kind == 3 else b"")

    def flood() -> None:
        with connect(server) as own:
            for _ in range(5000):
                own.send(packet())
        for _ in range(200):
            try:
                with connect(server, socket.SOCK_STREAM) as own:
                    own.sendall(framed(*(packet() for _ in range(10))) + chance.randbytes(5))
            except OSError:
                continue  # the server hung up, as it should

    await asyncio.to_thread(flood)
    assert await server.dig(NAME, "+short") == "10.96.0.7\n"
    assert await server.dig(NAME, "+short", "+tcp") == "10.96.0.7\n"
    assert server.responder.errors == 0
    assert server.responder.malformed > 1000


async def test_a_datagram_without_a_sender_to_answer(server: Lab) -> None:
    """Source port 0 can be forged, but not answered."""
    with namespaces.enter(namespaces.path_of(server.namespace)):
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    packet = query()
    raw.sendto(struct.pack("!4H", 0, 53, 8 + len(packet), 0) + packet, server.address)
    raw.sendto(struct.pack("!4H", 0, 53, 8, 0), server.address)
    raw.close()
    assert await server.dig(NAME, "+short") == "10.96.0.7\n"
    assert server.counters.unsent >= 1


async def test_the_largest_message_and_half_of_one(server: Lab) -> None:
    """65535 bytes over TCP, whole and cut, many at a time: others are answered meanwhile."""
    big = query() + b"\0" * (65_535 - len(query()))
    clients = [await open_tcp(server) for _ in range(20)]
    for number, (_, writer) in enumerate(clients):
        writer.write(framed(big) if number % 2 else framed(big)[: 30_000 + number])
    assert await server.dig(NAME, "+short") == "10.96.0.7\n"
    assert await server.dig(NAME, "+short", "+tcp") == "10.96.0.7\n"
    for number, (reader, writer) in enumerate(clients):
        if number % 2:
            answer = dns.message.from_wire(await read_framed(reader))
            assert answer.rcode() == dns.rcode.NOERROR  # bytes after a question are nobody's concern
        writer.close()
    assert server.responder.errors == 0


async def test_a_flood_of_names_that_do_not_exist(server: Lab) -> None:
    """Each another one, so that nothing can be kept ready: those who ask for others do not wait."""

    def flood() -> None:
        with connect(server) as own:
            for number in range(20_000):
                own.send(query(f"x{number}.default.svc.cluster.local"))

    task = asyncio.create_task(asyncio.to_thread(flood))
    for _ in range(5):
        assert await server.dig(NAME, "+short", "+tries=3") == "10.96.0.7\n"
    await task
    assert len(server.responder.fleeting) <= 16_384
    assert server.responder.errors == 0


async def test_a_flood_of_connections(server: Lab) -> None:
    """From one client: it gets so many and no more, and others theirs."""

    def flood() -> list[socket.socket]:
        made = []
        for _ in range(600):
            try:
                made.append(connect(server, socket.SOCK_STREAM))
            except OSError:
                break
        return made

    held = await asyncio.to_thread(flood)
    out = await server.run("dig", "@127.0.0.1", "-b", "127.0.0.9", "+tcp", "+short", NAME)
    assert out == "10.96.0.7\n"
    assert len(tcp_of(server).connections) <= 257
    for each in held:
        each.close()
