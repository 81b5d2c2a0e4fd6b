"""The resolvers that programs really have: dig, kdig, glibc, musl, Python's, and c-ares within Node.

Each runs in a namespace of its own with a Pod's resolv.conf.
"""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dns_lab import Lab, answer_to, lab
from test_dns_secure import certificate as certificate

from clusterip.dns.config.model import TlsOptions
from clusterip.dns.forward import Forwarder
from clusterip.dns.servers import Servers
from clusterip.dns.tlsfiles import tls_context
from clusterip.kernel import namespaces

FULL = "my-service.default.svc.cluster.local"
RESOLV_CONF = """\
nameserver 127.0.0.1
search default.svc.cluster.local svc.cluster.local cluster.local
options ndots:5
"""
MUSL = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM};
    for (int i = 1; i < argc; i++) {
        int error = getaddrinfo(argv[i], NULL, &hints, &found);
        printf("%s:", argv[i]);
        if (error) printf(" %s", error == EAI_NONAME ? "NONAME" : gai_strerror(error));
        for (; !error && found; found = found->ai_next) {
            char text[INET6_ADDRSTRLEN];
            const void *address = found->ai_family == AF_INET
                ? (void *)&((struct sockaddr_in *)found->ai_addr)->sin_addr
                : (void *)&((struct sockaddr_in6 *)found->ai_addr)->sin6_addr;
            printf(" %s", inet_ntop(found->ai_family, address, text, sizeof text));
        }
        printf("\n");
    }
}
"""
NODE = """
const dns = require('dns').promises;
const attempt = async (promise) => { try { return await promise } catch (error) { return error.code } };
(async () => console.log(JSON.stringify({
  lookup: await attempt(dns.lookup('my-service', {all: true})),
  a: await attempt(dns.resolve4('my-service.default.svc.cluster.local', {ttl: true})),
  aaaa: await attempt(dns.resolve6('dual.default.svc.cluster.local')),
  srv: await attempt(dns.resolveSrv('_http._tcp.my-service.default.svc.cluster.local')),
  ptr: await attempt(dns.reverse('10.96.0.7')),
  nodata: await attempt(dns.resolve6('my-service.default.svc.cluster.local')),
  nothing: await attempt(dns.resolve4('nope.default.svc.cluster.local')),
  many: (await attempt(dns.resolve4('peers.default.svc.cluster.local'))).length,
  txt: await attempt(dns.resolveTxt('dns-version.cluster.local')),
  outside: await attempt(dns.resolve4('www.example.test')),
})))();
"""


@pytest.fixture
async def server(namespace: str) -> AsyncIterator[Lab]:
    with namespaces.enter(namespaces.path_of(namespace)):
        async with lab(namespace) as made:
            upstream = await made.upstream(outside)
            known = [upstream.upstream]
            made.responder.forwarder = Forwarder(lambda: known)
            yield made


def outside(packet: bytes) -> list[bytes]:
    """``www.example.test`` has an address, nothing else exists."""
    end = packet.index(b"\0", 12) + 5
    there = packet[12:].startswith(b"\3www\7example\4test\0")
    if there and packet[end - 4 : end - 2] == b"\0\1":
        return [answer_to(packet)]
    code = b"\x80" if there else b"\x83"
    return [packet[:2] + b"\x81" + code + b"\0\1" + bytes(6) + packet[12:end]]


async def in_a_pod(server: Lab, directory: Path, *command: str) -> str:
    """Run a command that sees a Pod's resolv.conf; its output."""
    path = directory / "resolv.conf"
    path.write_text(RESOLV_CONF)
    script = f'mount --bind {path} /etc/resolv.conf && exec "$@"'
    return await server.run("unshare", "-m", "sh", "-c", script, "sh", *command)


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        (FULL, {"10.96.0.7"}),
        ("my-service", {"10.96.0.7"}),
        ("my-service.default", {"10.96.0.7"}),
        ("dual", {"10.96.0.8", "fd00::8"}),
        ("away", {"198.51.100.1"}),
        ("www.example.test", {"198.51.100.1"}),
        ("nope", set()),
        ("nope.example", set()),
    ],
)
async def test_glibc(server: Lab, tmp_path: Path, name: str, addresses: set[str]) -> None:
    out = await in_a_pod(server, tmp_path, "getent", "ahosts", name)
    assert {line.split()[0] for line in out.splitlines()} == addresses


async def test_glibc_asks_again_over_tcp(server: Lab, tmp_path: Path) -> None:
    out = await in_a_pod(server, tmp_path, "getent", "ahosts", "peers")
    assert len({line.split()[0] for line in out.splitlines()}) == 500
    assert server.counters.tcp > 0


async def test_glibc_from_address_to_name(server: Lab, tmp_path: Path) -> None:
    assert (await in_a_pod(server, tmp_path, "getent", "hosts", "10.96.0.7")).split() == ["10.96.0.7", FULL]


@pytest.fixture(scope="module")
def musl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("musl-gcc") is None:
        pytest.skip("musl-gcc is not installed (Debian: musl-tools)")
    directory = tmp_path_factory.mktemp("musl")
    (directory / "resolve.c").write_text(MUSL)
    command = ["musl-gcc", "-static", "-o", str(directory / "resolve"), str(directory / "resolve.c")]
    subprocess.run(command, check=True)
    return directory / "resolve"


async def test_musl(server: Lab, tmp_path: Path, musl: Path) -> None:
    """It asks for A and AAAA at once, on one socket, and takes NXDOMAIN of either for both."""
    asked = [FULL, "my-service", "dual", "away", "www.example.test", "nope", "nope.example.test.nowhere"]
    out = await in_a_pod(server, tmp_path, str(musl), *asked)
    found = {line.partition(":")[0]: set(line.partition(":")[2].split()) for line in out.splitlines()}
    assert found == {
        FULL: {"10.96.0.7"},
        "my-service": {"10.96.0.7"},
        "dual": {"10.96.0.8", "fd00::8"},
        "away": {"198.51.100.1"},
        "www.example.test": {"198.51.100.1"},
        "nope": {"NONAME"},
        "nope.example.test.nowhere": {"NONAME"},
    }


async def test_musl_takes_what_fits(server: Lab, tmp_path: Path, musl: Path) -> None:
    """Before 1.2.4 it does not ask over TCP: a truncated answer must have addresses in it."""
    out = await in_a_pod(server, tmp_path, str(musl), "peers")
    addresses = out.partition(":")[2].split()
    assert addresses
    assert all(address.startswith("10.244.") for address in addresses)


async def test_python(server: Lab, tmp_path: Path) -> None:
    script = (
        "import asyncio, socket\n"
        "async def main():\n"
        "    loop = asyncio.get_running_loop()\n"
        "    names = ['my-service', 'dual', 'www.example.test', 'nope']\n"
        "    for name, found in zip(names, await asyncio.gather(\n"
        "        *(loop.getaddrinfo(name, 80, type=socket.SOCK_STREAM) for name in names),\n"
        "        return_exceptions=True)):\n"
        "        fail = isinstance(found, OSError)\n"
        "        print(name, found.errno if fail else sorted({each[4][0] for each in found}))\n"
        "asyncio.run(main())\n"
        "print(socket.gethostbyaddr('10.96.0.7')[0], socket.gethostbyname_ex('my-service')[0])\n"
    )
    out = await in_a_pod(server, tmp_path, "python3", "-c", script)
    assert out.splitlines() == [
        "my-service ['10.96.0.7']",
        "dual ['10.96.0.8', 'fd00::8']",
        "www.example.test ['198.51.100.1']",
        "nope -2",  # EAI_NONAME
        f"{FULL} {FULL}",
    ]


async def test_c_ares_within_node(server: Lab, tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed (Debian: nodejs)")
    found = json.loads(await in_a_pod(server, tmp_path, "node", "-e", NODE))
    assert found["lookup"] == [{"address": "10.96.0.7", "family": 4}]
    assert found["a"] == [{"address": "10.96.0.7", "ttl": 5}]
    assert found["aaaa"] == ["fd00::8"]
    assert found["srv"] == [{"name": FULL, "port": 80, "priority": 0, "weight": 100}]
    assert found["ptr"] == [FULL]
    assert found["nodata"] == "ENODATA"
    assert found["nothing"] == "ENOTFOUND"
    assert found["many"] == 500
    assert found["txt"] == [["1.1.0"]]
    assert found["outside"] == ["198.51.100.1"]


def needs_kdig() -> None:
    if shutil.which("kdig") is None:
        pytest.skip("kdig is not installed (Debian: knot-dnsutils)")


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("+tcp",),
        ("+tcp", "+keepopen"),
        ("+nsid",),
        ("+cookie",),
        ("+badcookie", "+cookie"),
        ("+bufsize=512",),
        ("+dnssec", "+cdflag"),
        ("+noedns",),
        ("+padding=128",),
        ("+subnet=192.0.2.0/24",),
        ("+ednsopt=65001:abcd",),
    ],
)
async def test_kdig(server: Lab, options: tuple[str, ...]) -> None:
    needs_kdig()
    out = await server.run("kdig", "@127.0.0.1", *options, "+retry=0", FULL, "A", FULL, "AAAA")
    assert out.count("status: NOERROR") == 2
    assert "10.96.0.7" in out
    assert "WARNING" not in out
    if "+nsid" in options:
        assert "NSID:" in out
    if "+cookie" in options:
        assert "COOKIE:" in out


async def test_kdig_over_tls(server: Lab, certificate: tuple[str, str]) -> None:
    needs_kdig()
    with namespaces.enter(namespaces.path_of(server.namespace)):
        opened = Servers(server.responder, server.counters)
        context: ssl.SSLContext = tls_context(TlsOptions(*certificate))
        await opened.start_tls(["127.0.0.1:853"], context)
    try:
        out = await server.run(
            "kdig",
            "@127.0.0.1",
            f"+tls-ca={certificate[0]}",
            "+tls-hostname=dns.example.test",
            FULL,
            FULL,
            "AAAA",
        )
    finally:
        opened.close()
    assert "TLS session (TLS1.3)" in out
    assert "10.96.0.7" in out


async def test_dig_shows_what_is_wrong(server: Lab) -> None:
    assert "Transfer failed" in await server.dig("cluster.local", "AXFR")
    out = await server.dig(FULL, "+ednsopt=10:0102030405060708", "+qr")
    assert "(good)" in out or "COOKIE: 0102030405060708" in out
    assert "status: BADVERS" in await server.dig(FULL, "+edns=1", "+noednsnegotiation")
    assert "status: NOTIMP" in await server.dig(FULL, "+opcode=NOTIFY")
