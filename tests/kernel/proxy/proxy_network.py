"""A node, Pods and a machine outside, as network namespaces, with real servers and clients in them.

::

    outside 192.0.2.10 ---- 192.0.2.1 node ---- 10.244.1.N  Pods "on this node"
                                           ---- 10.244.2.N  Pods that slices say are elsewhere

Pods hang on point-to-point links, so everything they send passes the node's rules.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import struct
import threading
from pathlib import Path

import sctp

from clusterip.kernel import namespaces
from clusterip.kernel.rtnetlink import RouteSocket
from tests.support.cgroups import ThreadCgroup

NODE4, OUTSIDE4 = "192.0.2.1", "192.0.2.10"
NODE6, OUTSIDE6 = "2001:db8::1", "2001:db8::10"
SECOND4, SECOND6 = "192.0.2.2", "2001:db8::2"
"""More addresses of the node."""
POD_CIDRS = ("10.244.0.0/16", "fd00:244::/32")
PORT = 8080
SECONDS = 10.0

_NO_LIMIT_ON_REFUSALS = {
    "net.ipv4.icmp_ratelimit": 0,
    "net.ipv4.icmp_msgs_per_sec": 1_000_000,
    "net.ipv4.icmp_msgs_burst": 1_000_000,
    "net.ipv6.icmp.ratelimit": 0,
}
_GATEWAY4, _GATEWAY6 = "169.254.1.1", "fe80::1"
_numbers = itertools.count(1)


class Refused(Exception):
    """The connection was refused at once."""


class Silent(Exception):
    """Nobody answered."""


class Pod:
    """A network namespace, with servers in it that tell its name and whom they see as their client."""

    def __init__(self, name: str, namespace: Path, ip: str, ip6: str, *, here: bool) -> None:
        self.name = name
        self.here = here
        self.namespace = namespace
        self.ip = ip
        self.ip6 = ip6
        self._sockets: set[socket.socket] = set()
        self._ports: set[int] = set()

    def serve(self, loop: asyncio.AbstractEventLoop, port: int = PORT) -> None:
        """Answer on a TCP, a UDP and an SCTP port of both families, in ``loop``.

        TCP connections are answered at once, and again whenever something comes.
        """
        tcp = self._bind(socket.SOCK_STREAM, port)
        tcp.listen(1024)
        udp = self._bind(socket.SOCK_DGRAM, port)
        self._sockets |= {tcp, udp}
        self._ports.add(port)
        if len(self._ports) == 1:
            server = sctp.Server(self.namespace, self._ports, self._answer)
            self._sockets |= set(server.sockets)
            server.start(loop)
        loop.call_soon_threadsafe(loop.add_reader, tcp.fileno(), self._accept, loop, tcp)
        loop.call_soon_threadsafe(loop.add_reader, udp.fileno(), self._receive, udp)

    def _bind(self, kind: int, port: int) -> socket.socket:
        server = namespaces.open_socket(self.namespace, socket.AF_INET6, kind)
        server.setblocking(False)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("::", port))
        return server

    def _accept(self, loop: asyncio.AbstractEventLoop, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection, peer = server.accept()
            self._sockets.add(connection)
            answer = self._answer(peer[0])
            loop.add_reader(connection.fileno(), self._go_on, loop, connection, answer)
            connection.send(answer)

    def _go_on(self, loop: asyncio.AbstractEventLoop, connection: socket.socket, answer: bytes) -> None:
        try:
            if connection.recv(100):
                connection.send(answer)
                return
        except OSError:
            pass
        loop.remove_reader(connection.fileno())
        self._sockets.discard(connection)
        connection.close()

    def _receive(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            _, peer = server.recvfrom(100)
            server.sendto(self._answer(peer[0]), peer)

    def _answer(self, peer: str) -> bytes:
        return f"{self.name} {peer.removeprefix('::ffff:')}".encode()

    def stop(self) -> None:
        """Let go of the ports. Call it once their loop has ended."""
        for opened in self._sockets:
            opened.close()


class Network:
    """The node and what is around it. ``close`` removes it all."""

    def __init__(self) -> None:
        self._prefix = f"px{os.getpid()}-{next(_numbers)}"
        self.pods: dict[str, Pod] = {}
        # Servers have a loop of their own, so that they outlive that of a test.
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.node = self._namespace("node")
        self.outside = self._namespace("out")
        for setting in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            namespaces.write_sysctl(setting, 1, self.node)
        # The machine outside is also the node's gateway, and redirects share the rate limit of refusals.
        for scope in ("all", "default"):
            namespaces.write_sysctl(f"net.ipv4.conf.{scope}.send_redirects", 0, self.node)
        with RouteSocket(self.node) as routes:
            routes.add_veth("outside", "eth0", peer_namespace=self.outside)
            routes.add_address("outside", f"{NODE4}/24")
            routes.add_address("outside", f"{NODE6}/64")
            routes.add_address("outside", f"{SECOND4}/24")
            routes.add_address("outside", f"{SECOND6}/128")
            routes.set_link("outside", up=True)
            # Without a default route the node would not even try to send to a virtual address.
            routes.add_route(None, gateway=OUTSIDE4)
            routes.add_route("::/0", gateway=OUTSIDE6)
        with RouteSocket(self.outside) as routes:
            routes.add_address("eth0", f"{OUTSIDE4}/24")
            routes.add_address("eth0", f"{OUTSIDE6}/64")
            routes.set_link("eth0", up=True)
            routes.add_route(None, gateway=NODE4)
            routes.add_route("::/0", gateway=NODE6)

    def _namespace(self, name: str) -> Path:
        namespace = namespaces.create_named(f"{self._prefix}-{name}")
        for setting, value in _NO_LIMIT_ON_REFUSALS.items():
            with contextlib.suppress(FileNotFoundError):  # older kernels have some only for the whole machine
                namespaces.write_sysctl(setting, value, namespace)
        # Without duplicate address detection IPv6 addresses work at once.
        namespaces.write_sysctl("net.ipv6.conf.default.accept_dad", 0, namespace)
        namespaces.write_sysctl("net.ipv6.conf.all.accept_dad", 0, namespace)
        with RouteSocket(namespace) as routes:
            routes.set_link("lo", up=True)
        return namespace

    def add_pod(self, name: str, number: int, *, here: bool = True, serves: bool = True) -> Pod:
        """A Pod with a server on port 8080; ``here``: with an address of this node's range."""
        namespace = self._namespace(name)
        subnet = 1 if here else 2
        pod = Pod(name, namespace, f"10.244.{subnet}.{number}", f"fd00:244:{subnet}::{number:x}", here=here)
        link = f"pod-{name}"
        with RouteSocket(self.node) as routes:
            routes.add_veth(link, "eth0", peer_namespace=namespace)
            routes.add_address(link, f"{_GATEWAY4}/32")
            routes.add_address(link, f"{_GATEWAY6}/64")
            routes.set_link(link, up=True)
        with RouteSocket(namespace) as routes:
            routes.add_address("eth0", f"{pod.ip}/32")
            routes.add_address("eth0", f"{pod.ip6}/128")
            routes.set_link("eth0", up=True)
            routes.add_route(f"{_GATEWAY4}/32", link="eth0")
            routes.add_route(None, gateway=_GATEWAY4, link="eth0")
            routes.add_route("::/0", gateway=_GATEWAY6, link="eth0")
        with RouteSocket(self.node) as routes:
            routes.add_route(f"{pod.ip}/32", link=link)
            routes.add_route(f"{pod.ip6}/128", link=link)
        if serves:
            pod.serve(self._loop)
        self.pods[name] = pod
        return pod

    def serve(self, name: str, port: int) -> None:
        """Have a Pod answer on one more port."""
        self.pods[name].serve(self._loop, port)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        for pod in self.pods.values():
            pod.stop()
        for name in namespaces.names():
            if name.startswith(f"{self._prefix}-"):
                namespaces.delete_named(name)


cgroups: dict[Path, ThreadCgroup] = {}
"""The cgroup that clients in a namespace are in, where that matters."""


def open_client(source: Path, family: int, kind: int) -> socket.socket:
    """A socket as a program in that namespace would have it."""
    cgroup = cgroups.get(source)
    with cgroup.entered() if cgroup is not None else contextlib.nullcontext():
        return namespaces.open_socket(source, family, kind)


class Connection:
    """A TCP connection to a Pod's server."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client

    @classmethod
    async def open(cls, source: Path, address: str, port: int) -> Connection:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        client = open_client(source, family, socket.SOCK_STREAM)
        client.setblocking(False)
        connection = cls(client)
        async with asyncio.timeout(SECONDS):
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, (address, port))
            await loop.sock_recv(client, 200)
        return connection

    async def ask(self) -> tuple[str, str]:
        """Who is at the other end, and as whom it sees us."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(SECONDS):
            await loop.sock_sendall(self._client, b"?")
            answer = await loop.sock_recv(self._client, 200)
        return _read(answer)

    @property
    def local(self) -> tuple[str, int]:
        """The client's own address and port."""
        address, port = self._client.getsockname()[:2]
        return address, port

    def close(self) -> None:
        self._client.close()


def listen_raw(source: Path) -> socket.socket:
    """A socket that gets all IPv4 TCP packets that come to a namespace."""
    opened = namespaces.open_socket(source, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    opened.setblocking(False)
    return opened


def send_acknowledgement(source: Path, sender: tuple[str, int], receiver: tuple[str, int]) -> None:
    """Send an IPv4 TCP packet with sequence numbers that no connection has."""
    addresses = socket.inet_aton(sender[0]) + socket.inet_aton(receiver[0])
    header = struct.pack("!HHIIBBHHH", sender[1], receiver[1], 1, 0x7FFF_0000, 5 << 4, 0x10, 1024, 0, 0)
    pseudo = addresses + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(header))
    total = sum(struct.unpack(f"!{(len(pseudo) + len(header)) // 2}H", pseudo + header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    packet = header[:16] + struct.pack("!H", ~total & 0xFFFF) + header[18:]
    with namespaces.open_socket(source, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as opened:
        opened.sendto(packet, (receiver[0], 0))


async def ask(
    source: Path,
    address: str,
    port: int,
    *,
    protocol: str = "TCP",
    source_port: int = 0,
    bind: str = "",
    seconds: float = SECONDS,
) -> tuple[str, str]:
    """Connect from a namespace: who answered, and as whom it saw us.

    Raises:
        Refused: by a reset or an ICMP error.
        Silent: no answer in time.
    """
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    udp = protocol == "UDP"
    kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
    with open_client(source, family, kind) as client:
        client.setblocking(False)
        if source_port or bind:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.bind((bind, source_port))
        try:
            async with asyncio.timeout(seconds):
                if protocol == "SCTP":
                    answer = await sctp.ask(source, address, port, source_port)
                    return _read(answer)
                await loop.sock_connect(client, (address, port))
                if udp:
                    # On its own node the client is told that its datagram was not let through; whether it
                    # was also refused, the next call tells.
                    with contextlib.suppress(PermissionError):
                        client.send(b"?")
                answer = await loop.sock_recv(client, 200)
        except (ConnectionRefusedError, ConnectionResetError):
            raise Refused(f"{address}:{port}") from None
        except TimeoutError:
            raise Silent(f"{address}:{port}") from None
    return _read(answer)


def _read(answer: bytes) -> tuple[str, str]:
    name, _, peer = answer.decode().partition(" ")
    return name, peer
