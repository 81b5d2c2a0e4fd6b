"""Listening sockets: those the supervisor holds for us, or fresh ones.

The supervisor opens a part's sockets, keeps them open and passes them to each incarnation of the part,
so that while a killed part comes back its port stays open: connections and datagrams wait in the kernel.
Two ways of passing are understood:

* **systemd's protocol** (sd_listen_fds(3)): ``LISTEN_FDS=N`` says that descriptors 3 to 3+N-1 are
  sockets. ``LISTEN_PID`` must be absent or our PID; it may be absent because our supervisor forks without
  exec, and one environment may serve all children.
* **hand_over(sockets)**, called in the forked child, for descriptors that are not consecutive from 3.

Sockets are found by type and bound address, so ``LISTEN_FDNAMES`` is not needed and is ignored. What
``inherited`` returns is a duplicate: the original stays open and can be asked for again.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import Literal

_FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START
_BACKLOG = 4096

Kind = Literal["tcp", "udp"]
_types = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
_wildcards = ("", "0.0.0.0", "::")

_handed_over: list[int] = []


def hand_over(sockets: Iterable[socket.socket]) -> None:
    """Make ``sockets`` known to ``inherited`` in this process (and in children it forks)."""
    _handed_over[:] = [each.fileno() for each in sockets]


def parse_address(address: str) -> tuple[str, int]:
    """``127.0.0.1:53``, ``[::1]:53``, ``:53`` (all addresses) as host and port.

    Raises:
        ValueError: there is no port, or it is not in 0 to 65535.
    """
    host, colon, port = address.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if (
        not colon
        or not port.isascii()
        or not port.isdigit()
        or int(port) > 65535
        or "[" in host
        or "]" in host
    ):
        raise ValueError(f'"{address}" is not HOST:PORT (write IPv6 addresses as [::1]:53)')
    if ":" in host and not address.startswith("["):
        raise ValueError(f'"{address}" is ambiguous: write IPv6 addresses as [::1]:53')
    return host, int(port)


def inherited(kind: Kind, address: str) -> socket.socket | None:
    """A duplicate of the socket passed to us that is bound to ``address``, or None. Non-blocking."""
    host, port = parse_address(address)
    for descriptor in _passed_descriptors():
        try:
            candidate = socket.socket(fileno=os.dup(descriptor))
        except OSError:
            continue  # not a socket, or not open
        if _matches(candidate, _types[kind], host, port):
            candidate.setblocking(False)
            return candidate
        candidate.close()
    return None


def listen_tcp(address: str, *, reuse_port: bool = False) -> socket.socket:
    """A non-blocking socket that listens on ``address``: the inherited one or a fresh one.

    An empty host means all addresses, IPv4 and IPv6.

    Raises:
        ValueError: ``address`` is not HOST:PORT.
        OSError: it cannot be bound; the message names the address.
    """
    passed = inherited("tcp", address)
    if passed is not None:
        return passed
    fresh = _bind("tcp", address, reuse_port)
    fresh.listen(_BACKLOG)
    return fresh


def bind_udp(address: str, *, reuse_port: bool = False) -> socket.socket:
    """A non-blocking datagram socket on ``address``: the inherited one or a fresh one. See listen_tcp."""
    return inherited("udp", address) or _bind("udp", address, reuse_port)


def _passed_descriptors() -> list[int]:
    pid = os.environ.get("LISTEN_PID")
    count = os.environ.get("LISTEN_FDS", "0")
    if (pid is not None and pid != str(os.getpid())) or not count.isdigit():
        return list(_handed_over)
    return _handed_over + list(range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count)))


def _matches(candidate: socket.socket, type_: int, host: str, port: int) -> bool:
    if candidate.family not in (socket.AF_INET, socket.AF_INET6) or candidate.type != type_:
        return False
    if type_ == socket.SOCK_STREAM and not candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return False
    bound_host, bound_port = candidate.getsockname()[:2]
    if bound_port != port:
        return False
    if not host:
        return bound_host in _wildcards
    return any(bound_host == found[4][0] for found in socket.getaddrinfo(host, None, type=type_))


def _bind(kind: Kind, address: str, reuse_port: bool) -> socket.socket:
    host, port = parse_address(address)
    if host:
        family = socket.getaddrinfo(host, None, type=_types[kind])[0][0]
        return _bind_family(family, kind, host, port, reuse_port)
    try:
        return _bind_family(socket.AF_INET6, kind, "::", port, reuse_port)
    except OSError:  # no IPv6 here; if the port is taken, IPv4 says so as well
        return _bind_family(socket.AF_INET, kind, "0.0.0.0", port, reuse_port)


def _bind_family(family: int, kind: Kind, host: str, port: int, reuse_port: bool) -> socket.socket:
    fresh = socket.socket(family, _types[kind])
    try:
        if kind == "tcp":
            fresh.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            fresh.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            fresh.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        fresh.bind((host, port))
    except OSError as error:
        fresh.close()
        raise OSError(error.errno, f"cannot listen on {kind} {host}:{port}: {error.strerror}") from None
    fresh.setblocking(False)
    return fresh
