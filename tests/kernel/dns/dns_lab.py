"""A DNS server and its upstreams in a network namespace, inside the test's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from clusterip.dns import wire
from clusterip.dns.counters import Counters
from clusterip.dns.forward import Forwarder
from clusterip.dns.records import records_of
from clusterip.dns.responder import Responder
from clusterip.dns.tcp import TcpServer
from clusterip.dns.udp import UdpServer
from clusterip.dns.upstream import Upstream
from clusterip.dns.zone import Zone
from clusterip.kernel import namespaces


def put(zone: Zone, name: str, spec: wire.ServiceSpec, *addresses: str, namespace: str = "default") -> None:
    """A Service and, if it is headless, its endpoints."""
    service = wire.Service(wire.Metadata(name, namespace), spec)
    endpoints = [wire.Endpoint([address]) for address in addresses]
    each = wire.EndpointSlice(wire.SliceMetadata(name), "IPv4", endpoints, [wire.EndpointPort(80, "http")])
    zone.put((namespace, name), records_of(service, [each], zone.domain))


def example_zone() -> Zone:
    zone = Zone("cluster.local", 5)
    zone.put_namespace("default", True)
    ports = [wire.ServicePort(80, "http")]
    put(zone, "my-service", wire.ServiceSpec(clusterIP="10.96.0.7", clusterIPs=["10.96.0.7"], ports=ports))
    dual = ["10.96.0.8", "fd00::8"]
    put(zone, "dual", wire.ServiceSpec(clusterIP=dual[0], clusterIPs=dual, ports=ports))
    many = [f"10.244.{number >> 8}.{number & 255}" for number in range(500)]
    put(zone, "peers", wire.ServiceSpec(clusterIP="None"), *many)
    put(zone, "away", wire.ServiceSpec(type="ExternalName", externalName="www.example.test"))
    zone.synced = True
    return zone


class UpstreamServer(asyncio.DatagramProtocol):
    """A name server whose every answer the test decides: ``answer(packet)`` gives packets to send back."""

    def __init__(self, answer: Callable[[bytes], list[bytes]]) -> None:
        self.answer = answer
        self.asked: list[bytes] = []
        self.ports: list[int] = []
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
        self.asked.append(data)
        self.ports.append(peer[1])
        for packet in self.answer(data):
            self.transport.sendto(packet, peer)  # type: ignore[attr-defined]

    @property
    def upstream(self) -> Upstream:
        return Upstream("127.0.0.1", self.port)


@dataclass
class Lab:
    """Where a server answers, and what is in it."""

    namespace: str
    responder: Responder
    counters: Counters
    address: tuple[str, int]
    servers: list[UdpServer | TcpServer] = field(default_factory=list)

    async def run(self, *command: str) -> str:
        """Run a command in the namespace; its output."""
        process = await asyncio.create_subprocess_exec(
            "ip",
            "netns",
            "exec",
            self.namespace,
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(30):
            output, _ = await process.communicate()
        return output.decode()

    async def dig(self, *arguments: str, host: str = "") -> str:
        host = host or self.address[0]
        return await self.run(
            "dig", f"@{host}", "-p", str(self.address[1]), "+tries=1", "+time=5", *arguments
        )

    async def upstream(self, answer: Callable[[bytes], list[bytes]]) -> UpstreamServer:
        """Start a name server in the namespace."""
        with namespaces.enter(namespaces.path_of(self.namespace)):
            own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        own.bind(("127.0.0.1", 0))
        loop = asyncio.get_running_loop()
        _, server = await loop.create_datagram_endpoint(lambda: UpstreamServer(answer), sock=own)
        return server


@contextlib.asynccontextmanager
async def lab(
    namespace: str, *, host: str = "127.0.0.1", port: int = 53, zone: Zone | None = None
) -> AsyncIterator[Lab]:
    """A server for ``zone`` on UDP and TCP."""
    responder = Responder(zone or example_zone(), Forwarder(list))
    counters = Counters()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with namespaces.enter(namespaces.path_of(namespace)):
        datagrams = socket.socket(family, socket.SOCK_DGRAM)
        listening = socket.socket(family, socket.SOCK_STREAM)
    for own in (datagrams, listening):
        if family == socket.AF_INET6:
            own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind((host, port))
        own.setblocking(False)
    listening.listen(64)
    made = Lab(namespace, responder, counters, (host, port))
    made.servers.append(UdpServer(datagrams, responder, counters))
    tcp = TcpServer(responder, counters)
    await tcp.start(listening)
    made.servers.append(tcp)
    try:
        yield made
    finally:
        for server in made.servers:
            server.close()
        await responder.close()


async def eventually(check: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    """Return once ``check`` says yes; where nothing tells of it. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        for _ in range(1_000_000):
            if await check():
                return
            await asyncio.sleep(0.05)


def answer_to(
    packet: bytes, *, address: bytes = b"\xc6\x33\x64\x01", ttl: int = 300, flags: bytes = b"\x81\x80"
) -> bytes:
    """A plain answer with one A record."""
    end = packet.index(b"\0", 12) + 5
    record = b"\xc0\x0c\0\1\0\1" + ttl.to_bytes(4, "big") + b"\0\4" + address
    return packet[:2] + flags + b"\0\1\0\1\0\0\0\0" + packet[12:end] + record
