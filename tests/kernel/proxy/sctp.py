"""As much of SCTP as connection tracking looks at, through raw sockets: this kernel may not have it itself.

A client sends INIT; a server answers INIT ACK, with its answer as the state cookie (RFC 9260, 3.3.2, 3.3.3).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Collection
from pathlib import Path

from clusterip.kernel import namespaces

PROTOCOL = socket.IPPROTO_SCTP
_INIT, _INIT_ACK = 1, 2
_STATE_COOKIE = 7
_HEADER = struct.Struct("!HHII")
_CHUNK = struct.Struct("!BBHIIHHI")
_PARAMETER = struct.Struct("!HH")


def _table() -> list[int]:
    found = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        found.append(value)
    return found


_CRC32C = _table()


def _checksum(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC32C[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def _packet(source: int, destination: int, tag: int, kind: int, more: bytes = b"") -> bytes:
    padded = more + bytes(-len(more) & 3)
    chunk = _CHUNK.pack(kind, 0, _CHUNK.size + len(more), 1, 65536, 1, 1, 1) + padded
    packet = _HEADER.pack(source, destination, tag, 0) + chunk
    crc = struct.pack("<I", _checksum(packet))
    return packet[:8] + crc + packet[12:]


def _payload(data: bytes, family: int) -> bytes:
    """What comes after the IP header, which a raw socket has for IPv4 only."""
    return data[(data[0] & 15) * 4 :] if family == socket.AF_INET else data


class Server:
    """Answers INITs to some ports of a network namespace."""

    def __init__(self, namespace: Path, ports: Collection[int], answer: Callable[[str], bytes]) -> None:
        self._ports = ports
        self._answer = answer
        self.sockets = [
            namespaces.open_socket(namespace, family, socket.SOCK_RAW, PROTOCOL)
            for family in (socket.AF_INET, socket.AF_INET6)
        ]

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        for opened in self.sockets:
            opened.setblocking(False)
            loop.call_soon_threadsafe(loop.add_reader, opened.fileno(), self._receive, opened)

    def _receive(self, opened: socket.socket) -> None:
        with contextlib.suppress(OSError):
            data, peer = opened.recvfrom(2000)
            packet = _payload(data, opened.family)
            source, destination, _, _ = _HEADER.unpack_from(packet)
            if destination not in self._ports or packet[_HEADER.size] != _INIT:
                return
            (tag,) = struct.unpack_from("!I", packet, _HEADER.size + 4)
            text = self._answer(peer[0])
            cookie = _PARAMETER.pack(_STATE_COOKIE, _PARAMETER.size + len(text)) + text
            opened.sendto(_packet(destination, source, tag, _INIT_ACK, cookie), (peer[0], 0))


async def ask(source: Path, address: str, port: int, source_port: int) -> bytes:
    """The answer to an INIT. Raises ConnectionRefusedError; waits for ever if nobody answers."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with namespaces.open_socket(source, family, socket.SOCK_RAW, PROTOCOL) as client:
        client.setblocking(False)
        client.connect((address, 0))  # so that ICMP errors are told
        with contextlib.suppress(PermissionError):
            client.send(_packet(source_port, port, 0, _INIT))
        while True:
            packet = _payload(await loop.sock_recv(client, 2000), family)
            sent_by, sent_to, _, _ = _HEADER.unpack_from(packet)
            if (sent_by, sent_to) == (port, source_port) and packet[_HEADER.size] == _INIT_ACK:
                start = _HEADER.size + _CHUNK.size
                _, size = _PARAMETER.unpack_from(packet, start)
                return packet[start + _PARAMETER.size : start + size]
