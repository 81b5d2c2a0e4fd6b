"""Listening sockets that outlive the process that serves them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from clusterip.process import sockets


@pytest.fixture(autouse=True)
def nothing_handed_over(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("LISTEN_FDS", raising=False)
    yield
    sockets.hand_over([])


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("127.0.0.1:53", ("127.0.0.1", 53)),
        (":8080", ("", 8080)),
        ("[::1]:53", ("::1", 53)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_addresses(text: str, parsed: tuple[str, int]) -> None:
    assert sockets.parse_address(text) == parsed


@pytest.mark.parametrize("text", ["", "53", "host:", "host:x", "::1:53", "host:65536", "[::1:53", "host:-1"])
def test_bad_addresses_are_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"HOST:PORT|ambiguous"):
        sockets.parse_address(text)


def test_a_fresh_socket_when_none_was_passed() -> None:
    with sockets.listen_tcp("127.0.0.1:0") as listening:
        assert sockets.inherited("tcp", f"127.0.0.1:{listening.getsockname()[1]}") is None
        assert not listening.getblocking()
        with pytest.raises(OSError, match=r"cannot listen on tcp 127.0.0.1:\d+: Address already in use"):
            sockets.listen_tcp(f"127.0.0.1:{listening.getsockname()[1]}")


def test_no_host_means_both_families() -> None:
    with sockets.listen_tcp(":0") as listening:
        port = listening.getsockname()[1]
        for host in ("127.0.0.1", "::1") if socket.has_ipv6 else ("127.0.0.1",):
            socket.create_connection((host, port), timeout=5).close()


def test_what_was_handed_over_is_found_by_type_and_address_again_and_again() -> None:
    held = [sockets.listen_tcp("127.0.0.1:0"), sockets.bind_udp("127.0.0.1:0"), sockets.bind_udp(":0")]
    sockets.hand_over(held)
    tcp, udp, wildcard = (each.getsockname()[1] for each in held)
    for _ in range(3):
        for kind, address in (
            ("tcp", f"127.0.0.1:{tcp}"),
            ("udp", f"127.0.0.1:{udp}"),
            ("udp", f":{wildcard}"),
        ):
            found = sockets.inherited(kind, address)  # type: ignore[arg-type]
            assert found is not None
            assert not found.getblocking()
            assert not found.get_inheritable()
            found.close()
    assert sockets.inherited("udp", f"127.0.0.1:{tcp}") is None
    assert sockets.inherited("tcp", f"127.0.0.2:{tcp}") is None
    assert sockets.inherited("udp", f"127.0.0.1:{wildcard}") is None
    for each in held:
        each.close()
    assert sockets.inherited("tcp", f"127.0.0.1:{tcp}") is None


def _in_child(work: Callable[[], bool]) -> bool:
    pid = os.fork()
    if pid == 0:
        os._exit(0 if work() else 1)
    return os.waitpid(pid, 0)[1] == 0


def test_datagrams_wait_for_the_next_incarnation() -> None:
    """A part that is killed and forked again answers what was asked in between."""
    held = sockets.bind_udp("127.0.0.1:0")
    sockets.hand_over([held])
    address = held.getsockname()

    def serve() -> bool:
        own = sockets.bind_udp(f"{address[0]}:{address[1]}")
        own.setblocking(True)
        own.settimeout(5)
        question, peer = own.recvfrom(100)
        own.sendto(question.upper(), peer)
        return True

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        for word in (b"first", b"second"):
            client.sendto(word, address)  # nobody serves at this moment
            assert _in_child(serve)
            assert client.recv(100) == word.upper()
    held.close()


@pytest.mark.parametrize(("pid", "found"), [(None, True), ("self", True), ("1", False)])
def test_the_protocol_of_systemd(pid: str | None, found: bool) -> None:
    program = """
import os, sys
from clusterip.process import sockets
if os.environ.get("LISTEN_PID") == "self":
    os.environ["LISTEN_PID"] = str(os.getpid())
print(sockets.inherited("tcp", sys.argv[1]) is not None)
"""
    with sockets.listen_tcp("127.0.0.1:0") as held:
        address = f"127.0.0.1:{held.getsockname()[1]}"
        environment = {**os.environ, "LISTEN_FDS": "1"} | ({"LISTEN_PID": pid} if pid else {})
        launcher = f"import os,sys; os.dup2({held.fileno()}, 3); os.execv(sys.executable, sys.argv[1:])"
        out = subprocess.run(
            [sys.executable, "-c", launcher, sys.executable, "-c", program, address],
            env=environment,
            pass_fds=(held.fileno(),),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    assert out.strip() == str(found)
