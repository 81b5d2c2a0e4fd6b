"""Ports of the node that lead to Pods, with real connections in real namespaces."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterip.kernel import namespaces
from clusterip.node.network.bridge import BRIDGE
from clusterip.node.network.hostports import HostPort, HostPorts
from clusterip.node.network.ipam import AddressPools
from clusterip.node.sandbox import sandbox as sandboxes
from clusterip.node.sandbox.sandbox import Sandbox
from tests.support.sandboxes import NODE, NODE6, OUTSIDE, make


class Server:
    """Listens in a Pod and tells where connections come from."""

    def __init__(self, sandbox: Sandbox, port: int, family: int = socket.AF_INET) -> None:
        self._socket = namespaces.open_socket(sandbox.namespaces()["network"], family)
        address = sandbox.addresses[0 if family == socket.AF_INET else 1]
        self._socket.bind((address, port))
        self._socket.listen()
        self._socket.settimeout(5)

    def peer(self) -> str:
        connection, peer = self._socket.accept()
        connection.close()
        return str(peer[0])

    def close(self) -> None:
        self._socket.close()


def connect(where: Path | str | None, address: str, port: int, source: str = "") -> None:
    """Raises OSError if there is no connection."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family) if where is None else namespaces.open_socket(where, family)
    with opened as client:
        client.settimeout(5)
        if source:
            client.bind((source, 0))
        client.connect((address, port))


@pytest.fixture
def served(two: tuple[Sandbox, Sandbox]) -> Iterator[tuple[Sandbox, Server]]:
    server = Server(two[0], 8080)
    yield two[0], server
    server.close()


def test_from_everywhere(two: tuple[Sandbox, Sandbox], served: tuple[Sandbox, Server], outside: Path) -> None:
    pod, server = served
    ports = HostPorts()
    ports.add("uid-a", [HostPort("TCP", 9000, 8080)], pod.addresses)
    connect(outside, NODE, 9000)
    assert server.peer() == OUTSIDE, "the client's own address is seen"
    connect(None, NODE, 9000)
    assert server.peer() == NODE
    connect(None, "127.0.0.1", 9000)
    assert server.peer() == "10.244.7.1", "masqueraded: nothing could be sent back to 127.0.0.1"
    connect(None, "127.0.0.1", 9000, source=NODE)
    assert server.peer() == NODE
    connect(two[1].namespaces()["network"], NODE, 9000)
    assert server.peer() == two[1].addresses[0]
    connect(pod.namespaces()["network"], NODE, 9000)
    assert server.peer() == "10.244.7.1", "a Pod reaches itself"
    ports.remove("uid-a")
    with pytest.raises(ConnectionRefusedError):
        connect(outside, NODE, 9000)


def test_ipv6(two: tuple[Sandbox, Sandbox], outside: Path) -> None:
    server = Server(two[0], 8080, socket.AF_INET6)
    HostPorts().add("uid-a", [HostPort("TCP", 9000, 8080)], two[0].addresses)
    connect(outside, NODE6, 9000)
    assert server.peer() == "2001:db8::9"
    server.close()


def test_one_port_for_two_pods_by_address_and_protocol(two: tuple[Sandbox, Sandbox], outside: Path) -> None:
    servers = [Server(each, 8080) for each in two]
    ports = HostPorts()
    ports.add("uid-a", [HostPort("TCP", 9000, 8080, NODE)], two[0].addresses)
    ports.add("uid-b", [HostPort("TCP", 9000, 8080, "127.0.0.1")], two[1].addresses)
    ports.add("uid-c", [HostPort("UDP", 9000, 8080, NODE)], two[1].addresses)
    connect(outside, NODE, 9000)
    assert servers[0].peer() == OUTSIDE
    connect(None, "127.0.0.1", 9000)
    assert servers[1].peer() == "10.244.7.1"
    with namespaces.open_socket(two[1].namespaces()["network"], socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((two[1].addresses[0], 8080))
        udp.settimeout(5)
        with namespaces.open_socket(outside, socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.connect((NODE, 9000))
            client.send(b"ping")
            data, peer = udp.recvfrom(10)
            udp.sendto(data, peer)
            assert client.recv(10) == b"ping", "the answer comes from where the question went"
    for server in servers:
        server.close()


def test_the_nodes_loopback_is_guarded_once_it_is_routed(served: tuple[Sandbox, Server]) -> None:
    assert namespaces.read_sysctl(f"net/ipv4/conf/{BRIDGE}/route_localnet") == "0"
    HostPorts().add("uid-a", [HostPort("TCP", 9000, 8080)], served[0].addresses)
    assert namespaces.read_sysctl(f"net/ipv4/conf/{BRIDGE}/route_localnet") == "1"
    shown = ["nft", "list", "chain", "ip", "clusterip-hostports", "guard"]
    rules = subprocess.run(shown, capture_output=True, text=True, check=True).stdout
    assert 'ip daddr 127.0.0.0/8 iifname != "lo" drop' in rules


def test_the_next_agent_takes_over(
    tmp_path: Path, two: tuple[Sandbox, Sandbox], served: tuple[Sandbox, Server], outside: Path
) -> None:
    first = HostPorts()
    first.add("uid-a", [HostPort("TCP", 9000, 8080)], served[0].addresses)
    first.add("uid-gone", [HostPort("TCP", 9001, 8080)], two[1].addresses)
    second = HostPorts()
    second.restore({"uid-a": ([HostPort("TCP", 9000, 8080)], served[0].addresses)})
    connect(outside, NODE, 9000)
    assert served[1].peer() == OUTSIDE
    with pytest.raises(ConnectionRefusedError):
        connect(outside, NODE, 9001)
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    third = HostPorts()
    third.restore({"uid-a": ([HostPort("TCP", 9000, 8080)], served[0].addresses)})
    connect(outside, NODE, 9000)
    assert served[1].peer() == OUTSIDE


def test_a_sandbox_remembers_its_ports(tmp_path: Path, pools: AddressPools) -> None:
    container = {"name": "web", "ports": [{"containerPort": 80, "hostPort": 9000, "hostIP": "0.0.0.0"}]}
    made = make(tmp_path, pools, "uid-z", containers=[container])
    found = sandboxes.load(made.directory)
    assert found is not None
    assert found.record.host_ports == [HostPort("TCP", 9000, 80)]
    sandboxes.delete(made.directory, pools)
