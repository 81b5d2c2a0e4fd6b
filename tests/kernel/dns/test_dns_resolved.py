"""systemd-resolved's stub in front of the server, as on most machines with a desktop and many without.

Its package is unpacked, not installed: installing it takes over the machine's own resolv.conf. It runs by
itself in a namespace, without a bus and without systemd.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import dns.message
import pytest
from dns_lab import Lab, eventually, lab

from clusterip.kernel import namespaces

FULL = "my-service.default.svc.cluster.local"
_STUB = "127.0.0.53"
_USER = "systemd-resolve"
# What it wants to find: its user, and a place for its state; nothing of the machine's is touched.
_START = f"""
set -e
mount --make-rprivate /
mount -t tmpfs none /run
mkdir -p /run/systemd/resolve /run/systemd/resolved.conf.d /run/own
for file in passwd group; do
    cp /etc/$file /run/own/$file
    grep -q '^{_USER}:' /run/own/$file || case $file in
        passwd) echo '{_USER}:x:990:990::/:/usr/sbin/nologin' >> /run/own/passwd ;;
        group) echo '{_USER}:x:990:' >> /run/own/group ;;
    esac
    mount --bind /run/own/$file /etc/$file
done
chown {_USER}:{_USER} /run/systemd/resolve
printf '[Resolve]\\nDNS=127.0.0.1\\nDomains=~.\\nDNSSEC=%s\\nLLMNR=no\\nMulticastDNS=no\\n' "$2" \
    > /run/systemd/resolved.conf.d/test.conf
export LD_LIBRARY_PATH="$1/usr/lib/x86_64-linux-gnu/systemd" SYSTEMD_LOG_TARGET=console
exec "$1/lib/systemd/systemd-resolved"
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked package."""
    if shutil.which("apt-get") is None:
        pytest.skip("apt-get is not here to fetch systemd-resolved with")
    directory = tmp_path_factory.mktemp("resolved")
    fetch = ["apt-get", "download", "-q", "systemd-resolved", "libsystemd-shared"]
    fetched = subprocess.run(fetch, cwd=directory, capture_output=True, text=True, check=False)
    if fetched.returncode:
        pytest.skip(f"systemd-resolved cannot be fetched: {fetched.stderr.strip()}")
    for deb in directory.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(deb), str(directory / "root")], check=True)
    return directory / "root"


@contextlib.asynccontextmanager
async def stub(server: Lab, package: Path, dnssec: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", server.namespace, "unshare", "-m", "sh", "-c", _START, "sh"),
        *(str(package), dnssec),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:

        async def answers() -> bool:
            return "10.96.0.7" in await ask(server, FULL)

        await eventually(answers, 20)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def ask(server: Lab, *arguments: str) -> str:
    return await server.run("dig", f"@{_STUB}", "+tries=1", "+time=5", *arguments)


@pytest.fixture
def network(namespace: str) -> str:
    """It asks nobody while there is no network but the loopback interface."""
    for words in (
        "link add v0 type veth peer name v1",
        "link set v0 up",
        "link set v1 up",
        "address add 192.0.2.9/24 dev v0",
    ):
        subprocess.run(["ip", "-n", namespace, *words.split()], check=True)
    return namespace


@pytest.fixture
async def server(network: str) -> AsyncIterator[Lab]:
    async with lab(network) as made:
        yield made


@pytest.mark.parametrize("dnssec", ["no", "allow-downgrade"])
async def test_the_stub_of_systemd_resolved(server: Lab, package: Path, dnssec: str) -> None:
    """It asks with EDNS0 (and DO, where it validates), and takes TCP for long answers."""
    async with stub(server, package, dnssec):
        assert "10.96.0.7" in await ask(server, FULL, "+short")
        assert "fd00::8" in await ask(server, "dual.default.svc.cluster.local", "AAAA", "+short")
        assert f"0 100 80 {FULL}." in await ask(server, f"_http._tcp.{FULL}", "SRV", "+short")
        assert f"{FULL}." in await ask(server, "-x", "10.96.0.7", "+short")
        assert "status: NXDOMAIN" in await ask(server, "nope.default.svc.cluster.local")
        nodata = await ask(server, FULL, "AAAA")
        assert "status: NOERROR" in nodata
        assert "ANSWER: 0" in nodata
        before = server.counters.tcp
        peers = await ask(server, "peers.default.svc.cluster.local", "+tcp", "+short")
        assert len(peers.splitlines()) == 500
        assert server.counters.tcp > before


def edns_query(*, dnssec: bool, payload: int) -> bytes:
    return dns.message.make_query(FULL, "A", use_edns=0, want_dnssec=dnssec, payload=payload).to_wire()


@pytest.mark.parametrize("payload", [512, 1232, 4096, 65494])
@pytest.mark.parametrize("dnssec", [False, True])
async def test_the_levels_that_it_steps_through(server: Lab, dnssec: bool, payload: int) -> None:
    """Sizes as it asks with them: 65494 is the loopback interface's MTU without headers."""
    with namespaces.enter(namespaces.path_of(server.namespace)):
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.setblocking(False)
    own.connect(server.address)
    loop = asyncio.get_running_loop()
    packet = edns_query(dnssec=dnssec, payload=payload)
    own.send(packet)
    async with asyncio.timeout(10):
        answer = dns.message.from_wire(await loop.sock_recv(own, 65535))
    own.close()
    assert answer.answer[0][0].to_text() == "10.96.0.7"
    assert answer.edns == 0
    assert bool(answer.ednsflags & 0x8000) == dnssec
