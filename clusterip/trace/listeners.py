"""Which sockets listen in a network namespace, from ``/proc/net``."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from clusterip.kernel.namespaces import Namespace, run_in

_LISTEN, _UNCONNECTED = "0A", "07"


class Listener(NamedTuple):
    """Where a socket takes connections (TCP) or datagrams (UDP)."""

    address: str
    port: int

    def takes(self, address: str) -> bool:
        """Whether it would take what is sent to an address of its namespace."""
        return self.address in ("0.0.0.0", "::", address)

    @property
    def is_loopback(self) -> bool:
        return self.address.startswith("127.") or self.address == "::1"


def listeners(namespace: Namespace, protocol: str) -> list[Listener]:
    """The sockets of ``TCP`` or ``UDP`` there, by port. Raises OSError if the namespace has ended."""
    return sorted(run_in(namespace, lambda: list(_read(protocol.lower()))), key=lambda each: each.port)


def _read(protocol: str) -> Iterator[Listener]:
    state = _LISTEN if protocol == "tcp" else _UNCONNECTED
    for table in (protocol, f"{protocol}6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(f"/proc/thread-self/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == state:
                    address, _, port = fields[1].partition(":")
                    yield Listener(_address(address), int(port, 16))


def _address(text: str) -> str:
    """An address of ``/proc/net/tcp``: 32-bit words in host order."""
    packed = b"".join(struct.pack("=I", int(text[at : at + 8], 16)) for at in range(0, len(text), 8))
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
