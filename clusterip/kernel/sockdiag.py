"""Finding and ending sockets of other processes (``NETLINK_SOCK_DIAG``, ``linux/inet_diag.h``)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Collection
from typing import NamedTuple

from clusterip.kernel import netlink
from clusterip.kernel.netlink import NetlinkError, NetlinkSocket

_NETLINK_SOCK_DIAG = 4
_BY_FAMILY, _DESTROY = 20, 21
_ALL_STATES = 0xFFFFFFFF
_REQUEST = struct.Struct("=BBBBI48s")
_ANSWER = struct.Struct("=BBBB48s")
_COOKIE = struct.Struct("=II")
_SO_NETNS_COOKIE = 71


class UdpSocket(NamedTuple):
    """A socket of UDP: its cookie, and its ``struct inet_diag_sockid``."""

    cookie: int
    family: int
    identity: bytes


def namespace_cookie() -> int:
    """The cookie of the calling thread's network namespace, as eBPF programs know it. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        return int.from_bytes(probe.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8), "little")


def end_udp_sockets(cookies: Collection[int]) -> int:
    """End the sockets of UDP in this network namespace that have these cookies; how many were ended.

    Their programs get ``ECONNABORTED`` and may connect anew. Raises OSError if the kernel cannot do it
    (it takes ``CONFIG_INET_DIAG_DESTROY``).
    """
    ended = 0
    with NetlinkSocket(_NETLINK_SOCK_DIAG) as diag:
        for family in (socket.AF_INET, socket.AF_INET6):
            for found in _udp_sockets(diag, family):
                if found.cookie in cookies:
                    ended += _end(diag, found)
    return ended


def _udp_sockets(diag: NetlinkSocket, family: int) -> list[UdpSocket]:
    request = _REQUEST.pack(family, socket.IPPROTO_UDP, 0, 0, _ALL_STATES, bytes(48))
    found = []
    for message in diag.dump(_BY_FAMILY, request):
        _, _, _, _, identity = _ANSWER.unpack_from(message.payload)
        low, high = _COOKIE.unpack_from(identity, 40)
        found.append(UdpSocket(high << 32 | low, family, identity))
    return found


def _end(diag: NetlinkSocket, found: UdpSocket) -> int:
    request = _REQUEST.pack(found.family, socket.IPPROTO_UDP, 0, 0, _ALL_STATES, found.identity)
    try:
        diag.request(_DESTROY, request, netlink.NLM_F_ACK)
    except NetlinkError as error:
        if error.errno == 2:
            return 0  # it has ended by itself
        raise
    return 1
