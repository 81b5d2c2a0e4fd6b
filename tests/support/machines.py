"""Machines that share nothing but a network: namespaces on two subnets with a router between them.

::

    a1 ── eth0 ──┐
    a2 ── eth0 ──┤ net-a ── router ── net-b ├── eth0 ── b1
                    198.18.1.0/24       198.18.2.0/24
                    fd18:1::/64         fd18:2::/64
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from clusterip.kernel import namespaces
from clusterip.kernel.rtnetlink import RouteSocket

SUBNETS = {"a": ("198.18.1", "fd18:1:"), "b": ("198.18.2", "fd18:2:")}
ROUTER = 254
TIMEOUT = 10.0  # seconds, for what takes milliseconds


@dataclass(frozen=True)
class Machine:
    """``addresses`` are its IPv4 and its IPv6 one."""

    name: str
    path: Path
    addresses: tuple[str, str]


@dataclass(frozen=True)
class Lab:
    router: Path
    machines: dict[str, Machine]

    @staticmethod
    def router_addresses(subnet: str) -> tuple[str, str]:
        return _addresses(subnet, ROUTER)


def _addresses(subnet: str, number: int) -> tuple[str, str]:
    four, six = SUBNETS[subnet]
    return f"{four}.{number}", f"{six}:{number:x}"


@contextlib.contextmanager
def lab(names: Sequence[str], *, mtu: int = 1500) -> Iterator[Lab]:
    """Machines such as ``a1`` (number 1 on subnet a), gone afterwards."""
    prefix = f"ct-lab-{os.getpid()}"
    made: list[str] = []

    def namespace(name: str) -> Path:
        path = namespaces.create_named(f"{prefix}-{name}")
        made.append(f"{prefix}-{name}")
        for setting in ("net/ipv6/conf/default/accept_dad", "net/ipv4/conf/all/rp_filter"):
            namespaces.write_sysctl(setting, 0, path)
        with RouteSocket(path) as route:
            route.set_link("lo", up=True)
        return path

    try:
        router = namespace("router")
        namespaces.write_sysctl("net/ipv4/ip_forward", 1, router)
        namespaces.write_sysctl("net/ipv6/conf/all/forwarding", 1, router)
        machines: dict[str, Machine] = {}
        with RouteSocket(router) as center:
            for subnet in SUBNETS:
                bridge = f"net-{subnet}"
                center.add_bridge(bridge, mtu=mtu)
                for address, length in zip(_addresses(subnet, ROUTER), (24, 64), strict=True):
                    center.add_address(bridge, f"{address}/{length}")
                center.set_link(bridge, up=True)
            for name in names:
                machine = Machine(name, namespace(name), _addresses(name[0], int(name[1:])))
                _plug(center, machine, mtu)
                machines[name] = machine
        yield Lab(router, machines)
    finally:
        for name in made:
            namespaces.delete_named(name)


def _plug(center: RouteSocket, machine: Machine, mtu: int) -> None:
    subnet = machine.name[0]
    center.add_veth(machine.name, "eth0", peer_namespace=machine.path, mtu=mtu, master=f"net-{subnet}")
    center.set_link(machine.name, up=True)
    with RouteSocket(machine.path) as route:
        for address, length in zip(machine.addresses, (24, 64), strict=True):
            route.add_address("eth0", f"{address}/{length}")
        route.set_link("eth0", up=True)
        for gateway in _addresses(subnet, ROUTER):
            route.add_route(None, gateway=gateway)


def tcp_source(server: Path, client: Path, address: str, *, size: int = 300_000) -> str:
    """The address a server in one namespace sees a client in another come from, after ``size`` bytes."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with (
        namespaces.open_socket(server, family) as listener,
        namespaces.open_socket(client, family) as connection,
    ):
        listener.bind((address, 0))
        listener.listen()
        listener.settimeout(TIMEOUT)
        connection.settimeout(TIMEOUT)
        connection.connect((address, listener.getsockname()[1]))
        accepted, peer = listener.accept()
        with accepted:
            accepted.settimeout(TIMEOUT)
            sender = threading.Thread(target=connection.sendall, args=(bytes(size),))
            sender.start()
            left = size
            while left:
                left -= len(accepted.recv(1 << 16)) or left + 1
            sender.join()
        assert left == 0, "the connection ended early"
        return str(peer[0])


def udp_source(server: Path, client: Path, address: str, *, size: int = 1200) -> str:
    """As ``tcp_source``, with one datagram of ``size`` bytes and an answer of as many."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with (
        namespaces.open_socket(server, family, socket.SOCK_DGRAM) as answerer,
        namespaces.open_socket(client, family, socket.SOCK_DGRAM) as asker,
    ):
        answerer.bind((address, 0))
        answerer.settimeout(TIMEOUT)
        asker.settimeout(TIMEOUT)
        asker.connect((address, answerer.getsockname()[1]))
        asker.send(bytes(size))
        data, peer = answerer.recvfrom(1 << 16)
        answerer.sendto(data, peer)
        assert len(asker.recv(1 << 16)) == size
        return str(peer[0])
