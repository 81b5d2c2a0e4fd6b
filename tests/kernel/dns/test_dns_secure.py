"""DNS over TLS, as server and as client, slow clients, limits and policies."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import dns.message
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from dns_lab import Lab, answer_to, eventually, lab

from clusterip.dns.cache import PLAIN_CACHE
from clusterip.dns.config.model import TcpLimits, TlsOptions
from clusterip.dns.forward import Forwarder, Forwarding
from clusterip.dns.loop import LoopProbe
from clusterip.dns.names import to_wire
from clusterip.dns.question import parse_query
from clusterip.dns.ratelimit import Limiter
from clusterip.dns.tcp import TcpServer
from clusterip.dns.tlsfiles import tls_context
from clusterip.dns.udp import UdpServer
from clusterip.dns.upstream import Manner, Upstream
from clusterip.kernel import namespaces
from clusterip.process import Fatal
from clusterip.process.sockets import bind_udp, listen_tcp

NAME = "my-service.default.svc.cluster.local"
WWW = "www.example.test"


@pytest.fixture
async def server(namespace: str) -> AsyncIterator[Lab]:
    with namespaces.enter(namespaces.path_of(namespace)):
        async with lab(namespace) as made:
            yield made


def make_certificate(directory: Path, name: str, key_name: str, serial: int = 1) -> tuple[str, str]:
    """Files of a certificate that is its own authority, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dns.example.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("dns.example.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, own = directory / f"{name}.pem", directory / f"{key_name}.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    own.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return str(pem), str(own)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    return make_certificate(tmp_path, "cert", "key")


async def over_tls(server: Lab, certificate: tuple[str, str]) -> None:
    tcp = TcpServer(server.responder, server.counters)
    await tcp.start(listen_tcp("127.0.0.1:853"), tls_context(TlsOptions(*certificate)))
    server.servers.append(tcp)


async def test_dig_over_tls(server: Lab, certificate: tuple[str, str]) -> None:
    await over_tls(server, certificate)
    host = "+tls-hostname=dns.example.test"
    out = await server.run(
        "dig", "@127.0.0.1", "-p", "853", "+tls", f"+tls-ca={certificate[0]}", host, NAME, "+short"
    )
    assert out == "10.96.0.7\n"


async def test_a_certificate_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=r"cannot serve TLS with .*none\.pem"):
        tls_context(TlsOptions(str(tmp_path / "none.pem"), str(tmp_path / "none.key")))


@pytest.mark.parametrize(
    ("name", "rcode"), [("dns.example.test", "NOERROR"), ("other.test", "SERVFAIL"), ("", "SERVFAIL")]
)
async def test_upstreams_over_tls(server: Lab, certificate: tuple[str, str], name: str, rcode: str) -> None:
    """The lab's own TLS server is the upstream of a forwarder; one connection serves all questions."""
    await over_tls(server, certificate)
    context = ssl.create_default_context(cafile=certificate[0])
    upstream = Upstream("127.0.0.1", 853, Manner(tls=context, server_name=name))
    forwarder = Forwarder(lambda: [upstream], Forwarding(health_check=0))

    async def ask(host: str) -> int:
        query = parse_query(dns.message.make_query(host, "A").to_wire())
        return (await forwarder.resolve(to_wire(host), query)).rcode

    hosts = [NAME, "dual.default.svc.cluster.local", f"nothing.{NAME}"]
    found = await asyncio.gather(*map(ask, hosts))
    assert found == ([0, 0, 3] if rcode == "NOERROR" else [2, 2, 2])
    if rcode == "NOERROR":
        assert len([each for each in server.servers if isinstance(each, TcpServer)][1].connections) == 1
    await forwarder.close()


def impatient(server: Lab) -> None:
    """Let the server wait for half a second only."""
    for each in server.servers:
        if isinstance(each, TcpServer):
            each.limits = TcpLimits(idle=0.5)


async def test_a_client_that_trickles_is_cut_off(server: Lab) -> None:
    """One byte at a time is no message: the idle timeout counts whole ones."""
    impatient(server)
    reader, writer = await asyncio.open_connection("127.0.0.1", 53)

    async def trickle() -> None:
        while True:
            writer.write(b"\xff")
            await asyncio.sleep(0.05)

    task = asyncio.create_task(trickle())
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 10) == b""
    task.cancel()
    writer.close()
    assert not next(each for each in server.servers if isinstance(each, TcpServer)).connections


async def test_a_client_that_never_reads_is_cut_off(server: Lab) -> None:
    impatient(server)
    tcp = next(each for each in server.servers if isinstance(each, TcpServer))
    reader, writer = await asyncio.open_connection("127.0.0.1", 53, limit=1)
    packet = dns.message.make_query("peers.default.svc.cluster.local", "A").to_wire()
    writer.write((len(packet).to_bytes(2, "big") + packet) * 5000)

    async def cut_off() -> bool:
        return server.counters.tcp > 0 and not tcp.connections

    await eventually(cut_off)
    writer.close()
    del reader


async def test_policies_spread_questions(server: Lab) -> None:
    upstreams = [await server.upstream(lambda packet: [answer_to(packet)]) for _ in range(3)]
    known = [each.upstream for each in upstreams]
    for policy, wanted in (("sequential", {0: 30}), ("round_robin", {0: 10, 1: 10, 2: 10})):
        for each in upstreams:
            each.asked.clear()
        server.responder.forwarder = Forwarder(lambda: known, Forwarding(policy=policy))  # type: ignore[arg-type]
        for number in range(30):
            await server.dig(f"n{number}.{policy.replace('_', '-')}.test", "+short")
        counts = Counter({number: len(each.asked) for number, each in enumerate(upstreams) if each.asked})
        assert counts == wanted
        await server.responder.forwarder.close()


async def test_too_many_at_once_and_excepted_names_are_refused(server: Lab) -> None:
    silent = await server.upstream(lambda packet: [])
    known = [silent.upstream]
    options = Forwarding(max_concurrent=1, excepted=(to_wire("internal.test"),))
    server.responder.forwarder = Forwarder(lambda: known, options)
    assert "status: REFUSED" in await server.dig("a.internal.test")
    assert not silent.asked
    first = asyncio.create_task(server.dig("one.test"))

    async def asked() -> bool:
        return bool(silent.asked)

    await eventually(asked)
    assert "status: REFUSED" in await server.dig("two.test")
    assert "status: SERVFAIL" in await first


async def test_stale_answers_when_upstreams_are_away(server: Lab) -> None:
    silent = False
    upstream = await server.upstream(lambda packet: [] if silent else [answer_to(packet, ttl=1)])
    known = [upstream.upstream]
    cache = replace(PLAIN_CACHE, serve_stale=60.0, serve_stale_refresh="verify", verify_timeout=1.8)
    server.responder.forwarder = Forwarder(lambda: known, cache=cache)
    assert await server.dig(WWW, "+short") == "198.51.100.1\n"
    silent = True
    await asyncio.sleep(2.1)
    out = await server.dig(WWW, "+time=3")  # sooner than upstreams are given up
    assert "198.51.100.1" in out
    assert "EDE: 3 (Stale Answer)" in out


async def test_a_health_check_finds_an_upstream_that_is_back(server: Lab) -> None:
    silent = True
    upstream = await server.upstream(lambda packet: [] if silent else [answer_to(packet)])
    known = [Upstream("127.0.0.1", upstream.port, Manner(down_after=1))]
    server.responder.forwarder = Forwarder(lambda: known, Forwarding(health_check=0.1))
    assert "SERVFAIL" in await server.dig(WWW)
    assert not known[0].up
    silent = False

    async def up() -> bool:
        return known[0].up

    await eventually(up)
    assert upstream.asked[-1][12:17] == b"\0\0\2\0\1"


async def test_forwarding_that_comes_back_is_found(server: Lab) -> None:
    probe = server.responder.probe = LoopProbe()
    known = [Upstream("127.0.0.1", 53)]
    server.responder.forwarder = Forwarder(lambda: known)
    with pytest.raises(Fatal, match="goes in circles"):
        await asyncio.wait_for(probe.run(server.responder.forwarder), 10)


async def test_forwarding_elsewhere_is_no_loop(server: Lab) -> None:
    upstream = await server.upstream(lambda packet: [answer_to(packet)])
    known = [upstream.upstream]
    server.responder.forwarder = Forwarder(lambda: known)
    await asyncio.wait_for(LoopProbe().run(server.responder.forwarder), 10)


async def test_limited_clients_are_told_to_use_tcp(server: Lab) -> None:
    server.responder.limiter = Limiter(3)
    server.servers.append(UdpServer(bind_udp("127.0.0.1:54"), server.responder, server.counters))
    quick = ("dig", "@127.0.0.1", "-p", "54", "+tries=1", "+timeout=1", "+ignore", "+nocookie", NAME)
    outs = [await server.run(*quick) for _ in range(8)]
    assert sum("10.96.0.7" in out for out in outs) >= 3
    limiter = server.responder.limiter
    assert limiter.dropped > 0
    assert any("flags: qr aa tc" in out for out in outs) or limiter.truncated == 0
    assert await server.dig(NAME, "+tcp", "+short") == "10.96.0.7\n"
