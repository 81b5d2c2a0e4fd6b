"""What ``forward`` and ``cache`` can be told, against name servers of which the test decides every answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import dns.message
import pytest
from dns_lab import Lab, answer_to, lab

from clusterip.dns import message
from clusterip.dns.cluster import Cluster
from clusterip.dns.config.corefile import parse_corefile
from clusterip.dns.config.servers import build
from clusterip.dns.lookup import Found
from clusterip.dns.message import Query, Reply
from clusterip.dns.names import to_wire
from clusterip.dns.plugins.chain import settled
from clusterip.dns.plugins.compose import Composed, compose
from clusterip.dns.question import parse_query
from clusterip.kernel import namespaces

WWW = "www.example.test."


@pytest.fixture
async def server(namespace: str) -> AsyncIterator[Lab]:
    with namespaces.enter(namespaces.path_of(namespace)):
        async with lab(namespace) as made:
            yield made


def coded(code: int) -> Callable[[bytes], list[bytes]]:
    """Answers nothing but a response code."""

    def answer(packet: bytes) -> list[bytes]:
        end = packet.index(b"\0", 12) + 5
        return [packet[:2] + b"\x81" + bytes((0x80 | code,)) + b"\0\1" + bytes(6) + packet[12:end]]

    return answer


def silent(packet: bytes) -> list[bytes]:
    return []


@dataclass
class Client:
    """Asks a composed server block."""

    composed: list[Composed] = field(default_factory=list)

    def use(self, plugins: str) -> None:
        (server,) = build(parse_corefile(". {\n" + plugins + "\n}\n", "Corefile")[0]).servers
        self.composed.append(compose([server], _no_cluster, []))

    async def ask(self, name: str = WWW) -> Reply:
        handler = self.composed[-1].handler
        assert handler is not None
        query = parse_query(dns.message.make_query(name, "A").to_wire())
        query.client = "127.0.0.1"
        found: Found = await settled(handler(query))
        return found.reply


def _no_cluster(_options: object) -> Cluster:
    raise AssertionError("there is no cluster here")


@pytest.fixture
async def client(server: Lab) -> AsyncIterator[Client]:
    made = Client()
    yield made
    for composed in made.composed:
        for forwarder in composed.forwarders:
            await forwarder.close()


async def test_next_goes_on_to_the_next_forward(server: Lab, client: Client) -> None:
    first, second = await server.upstream(coded(3)), await server.upstream(coded(3))
    third = await server.upstream(answer_to_all)
    on = "forward . 127.0.0.1:{} {{\n next NXDOMAIN\n}}\n"
    blocks = on.format(first.port) + on.format(second.port) + f"forward . 127.0.0.1:{third.port}"
    client.use(blocks)
    assert len((await client.ask()).answer) == 1
    assert [len(each.asked) for each in (first, second, third)] == [1, 1, 1]
    client.use(on.format(first.port))  # there is no next one
    assert (await client.ask()).rcode == message.NXDOMAIN


async def test_next_on_nodata(server: Lab, client: Client) -> None:
    empty, full = await server.upstream(coded(0)), await server.upstream(answer_to_all)
    both = f"forward . 127.0.0.1:{empty.port} {{\n next_on_nodata\n}}\nforward . 127.0.0.1:{full.port}"
    client.use(both)
    assert len((await client.ask()).answer) == 1


def answer_to_all(packet: bytes) -> list[bytes]:
    return [answer_to(packet)]


async def test_failover_asks_the_next_upstream(server: Lab, client: Client) -> None:
    refusing, failing = await server.upstream(coded(5)), await server.upstream(coded(2))
    good = await server.upstream(answer_to_all)
    addresses = " ".join(f"127.0.0.1:{each.port}" for each in (refusing, failing, good))
    client.use(f"forward . {addresses} {{\n policy sequential\n failover SERVFAIL REFUSED\n}}")
    assert len((await client.ask()).answer) == 1
    client.use(f"forward . {addresses} {{\n policy sequential\n}}")
    assert (await client.ask()).rcode == message.REFUSED  # what the first one says is the answer
    client.use(f"forward . {addresses} {{\n policy sequential\n failover REFUSED\n}}")
    assert (await client.ask()).rcode == message.SERVFAIL


async def test_so_many_attempts_and_no_more(server: Lab, client: Client) -> None:
    quiet = [await server.upstream(silent) for _ in range(3)]
    addresses = " ".join(f"127.0.0.1:{each.port}" for each in quiet)
    quick = "read_timeout 100ms\n health_check 1h"
    client.use(f"forward . {addresses} {{\n max_connect_attempts 2\n {quick}\n}}")
    assert (await client.ask()).rcode == message.SERVFAIL
    assert sum(len(each.asked) for each in quiet) == 2
    client.use(f"forward . {addresses} {{\n {quick}\n}}")
    before = sum(len(each.asked) for each in quiet)
    assert (await client.ask("b.test.")).rcode == message.SERVFAIL
    assert sum(len(each.asked) for each in quiet) - before == 6  # each one twice


async def test_a_source_address(server: Lab, client: Client) -> None:
    upstream = await server.upstream(answer_to_all)
    peers: list[str] = []
    received = upstream.datagram_received

    def record(data: bytes, peer: tuple[str, int]) -> None:
        peers.append(peer[0])
        received(data, peer)

    upstream.datagram_received = record  # type: ignore[method-assign]
    client.use(f"forward . 127.0.0.1:{upstream.port} {{\n source_address 127.0.0.77\n}}")
    assert (await client.ask()).answer
    assert peers == ["127.0.0.77"]


async def test_upstreams_by_name(server: Lab, client: Client) -> None:
    """The resolver knows the name; what it is for is asked at the address."""
    upstream = await server.upstream(answer_to_all)

    def resolve(packet: bytes) -> list[bytes]:
        if packet[-2 - 2 : -2] == b"\0\1" and b"\3dns\2in\4test\0" in packet:
            return [answer_to(packet, address=b"\x7f\0\0\1")]
        return coded(3)(packet)

    resolver = await server.upstream(resolve)
    text = f"forward . dns.in.test:{upstream.port} {{\n resolver 127.0.0.1:{resolver.port}\n}}"
    path = namespaces.path_of(server.namespace)

    def use() -> None:
        with namespaces.enter(path):
            client.use(text)

    await asyncio.to_thread(use)  # it waits for the resolver, which is in this loop
    assert (await client.ask()).answer
    assert len(upstream.asked) == 1


async def test_options_go_with_the_question(server: Lab, client: Client) -> None:
    upstream = await server.upstream(answer_to_all)
    client.use(f"rewrite edns0 subnet set 24 56\nforward . 127.0.0.1:{upstream.port}")
    assert (await client.ask()).answer
    asked = dns.message.from_wire(upstream.asked[0])
    assert [option.to_text() for option in asked.options] == ["ECS 127.0.0.0/24 scope/0"]


async def test_stale_answers_in_every_way(server: Lab, client: Client) -> None:
    away = False
    upstream = await server.upstream(lambda packet: [] if away else [answer_to(packet, ttl=1)])
    once = "read_timeout 300ms\n max_connect_attempts 1\n health_check 1h"
    options = f"forward . 127.0.0.1:{upstream.port} {{\n {once}\n}}\n"
    lifetime = "success 1000 1 1"

    async def after_its_end(more: str) -> tuple[Reply, int]:
        """What is answered after the answer's end, and how often the upstream was asked about it."""
        nonlocal away
        away = False
        client.use(options + f"cache {{\n {lifetime}\n {more}\n}}")
        assert (await client.ask()).answer
        away = True
        await asyncio.sleep(1.1)
        before = len(upstream.asked)
        reply = await client.ask()
        for _ in range(3):
            await client.ask()
        await asyncio.sleep(0.4)
        return reply, len(upstream.asked) - before

    reply, _ = await after_its_end("serve_stale")
    assert [record.ttl for record in reply.answer] == [0]
    reply, _ = await after_its_end("serve_stale 1h immediate 30s")
    assert [record.ttl for record in reply.answer] == [30]
    reply, asked = await after_its_end("serve_stale 1h verify 0 7s 1m")
    assert [record.ttl for record in reply.answer] == [7]
    assert asked == 1  # the failure holds for a minute
    reply, _ = await after_its_end("servfail 1s")
    assert reply.rcode == message.SERVFAIL


async def test_a_positive_answer_is_preferred_to_a_later_denial(server: Lab, client: Client) -> None:
    gone = False
    upstream = await server.upstream(lambda p: coded(3)(p) if gone else [answer_to(p, ttl=1)])
    client.use(
        f"forward . 127.0.0.1:{upstream.port}\n"
        "cache {\n success 1000 1 1\n serve_stale 1h verify\n serve_stale_policy prefer_positive\n}"
    )
    assert (await client.ask()).answer
    gone = True
    await asyncio.sleep(1.1)
    assert (await client.ask()).answer


async def test_upstreams_over_tcp_only(server: Lab, client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        loop = asyncio.get_running_loop()

        async def serve() -> None:
            connection, _ = await loop.sock_accept(listening)
            with connection:
                length = int.from_bytes(await loop.sock_recv(connection, 2), "big")
                packet = await loop.sock_recv(connection, length)
                answer = answer_to(packet)
                await loop.sock_sendall(connection, len(answer).to_bytes(2, "big") + answer)
                await loop.sock_recv(connection, 1)

        task = asyncio.create_task(serve())
        client.use(f"forward . 127.0.0.1:{listening.getsockname()[1]} {{\n force_tcp\n prefer_udp\n}}")
        assert (await client.ask()).answer
        task.cancel()


async def test_a_query_type_that_nobody_forwards(client: Client) -> None:
    client.use("forward . 192.0.2.1")
    handler = client.composed[-1].handler
    assert handler is not None
    name = to_wire("example.test")
    query = Query(b"\0\1", 0, name + b"\0\xfc\0\1", name, message.AXFR, 1, client="127.0.0.1")
    assert (await settled(handler(query))).reply.rcode == message.REFUSED
