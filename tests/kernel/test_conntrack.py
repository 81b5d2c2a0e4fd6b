"""Finding and forgetting tracked flows."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterip.kernel import namespaces
from clusterip.kernel.conntrack import Conntrack
from clusterip.kernel.rtnetlink import RouteSocket

UDP = socket.IPPROTO_UDP
RULES = """
table ip t {
  chain output {
    type nat hook output priority -100
    udp dport 53 dnat to 127.0.0.1:5353
  }
}
table ip6 t {
  chain track {
    type filter hook input priority 0
    ct state new accept
  }
}
"""


@pytest.fixture
def namespace() -> Iterator[Path]:
    name = f"ct{os.getpid()}"
    path = namespaces.create_named(name)
    with RouteSocket(path) as routes:
        routes.set_link("lo", up=True)
    namespaces.run_in(path, lambda: subprocess.run(["nft", "-f", "-"], input=RULES, text=True, check=True))
    yield path
    namespaces.delete_named(name)


@pytest.fixture
def conntrack(namespace: Path) -> Iterator[Conntrack]:
    with namespaces.enter(namespace):
        conntrack = Conntrack()
    yield conntrack
    conntrack.close()


def send(namespace: Path, address: str, port: int) -> int:
    """One datagram; the port it came from."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with namespaces.open_socket(namespace, family, socket.SOCK_DGRAM) as client:
        client.sendto(b"?", (address, port))
        return int(client.getsockname()[1])


def test_flows_to_an_address_and_port(namespace: Path, conntrack: Conntrack) -> None:
    ports = {send(namespace, "127.0.0.2", 53) for _ in range(3)}
    send(namespace, "127.0.0.2", 54)
    send(namespace, "127.0.0.3", 53)
    flows = conntrack.flows(UDP, socket.inet_aton("127.0.0.2"), 53)
    assert {flow.source_port for flow in flows} == ports
    assert {(flow.answerer, flow.answerer_port) for flow in flows} == {(socket.inet_aton("127.0.0.1"), 5353)}
    assert len(conntrack.all_flows(UDP, 2)) == 5
    assert conntrack.all_flows(socket.IPPROTO_TCP, 2) == []
    assert conntrack.flows(socket.IPPROTO_TCP, socket.inet_aton("127.0.0.2"), 53) == []


def test_forgetting(namespace: Path, conntrack: Conntrack) -> None:
    address = socket.inet_aton("127.0.0.2")
    send(namespace, "127.0.0.2", 53)
    kept = send(namespace, "127.0.0.2", 53)
    first = next(flow for flow in conntrack.flows(UDP, address, 53) if flow.source_port != kept)
    assert conntrack.delete(first)
    assert not conntrack.delete(first)
    assert [flow.source_port for flow in conntrack.flows(UDP, address, 53)] == [kept]


def test_ipv6(namespace: Path, conntrack: Conntrack) -> None:
    send(namespace, "::1", 99)
    (flow,) = conntrack.flows(UDP, socket.inet_pton(socket.AF_INET6, "::1"), 99)
    assert conntrack.delete(flow)
    assert conntrack.flows(UDP, flow.destination, 99) == []
