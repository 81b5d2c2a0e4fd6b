"""All tracked connections with their counters, read as fast as Python can.

A busy node tracks hundreds of thousands of connections, so nothing is made of a message but one tuple: fields
are taken from where they were in the message before, after a look at whether they are there again. Counters
are the kernel's only while ``net.netfilter.nf_conntrack_acct`` is set, and only of connections that began
since. See ``ctnetlink_fill_info`` in the kernel's ``net/netfilter/nf_conntrack_netlink.c``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from clusterip.kernel import netlink
from clusterip.kernel.netlink import NETLINK_NETFILTER, NetlinkSocket

DST_NAT = 1 << 5
"""The status bit of connections whose destination was translated (``IPS_DST_NAT``)."""

_GET = 1 << 8 | 1
_STATUS, _STATUS_MASK = 3, 26
_PROTOINFO, _COUNTERS_ORIGINAL, _COUNTERS_REPLY, _ID = 4, 9, 10, 12
_TIME_WAIT, _CLOSE = 7, 8  # TCP_CONNTRACK_TIME_WAIT, TCP_CONNTRACK_CLOSE
_NESTED = netlink.NLA_F_NESTED


class CountedFlow(NamedTuple):
    """A tracked connection. ``identity`` is its own: the kernel's number, which two may share, and its
    client's port.

    ``destination`` and ``port`` (two bytes, network order) are what its client sent to, ``answerer`` who
    answers: address, port, two zero bytes. ``is_open``: it has not ended (TCP in ``TIME_WAIT`` or ``CLOSE``
    is only remembered). ``sent`` and ``received``: bytes of the client's packets, and of the answers, with
    their headers.
    """

    identity: int
    protocol: int
    source: bytes
    destination: bytes
    port: bytes
    answerer: bytes
    is_open: bool
    sent: int
    received: int


class FlowCounters:
    """Reads the connection tracking table of the network namespace it was opened in."""

    def __init__(self) -> None:
        self._socket = NetlinkSocket(NETLINK_NETFILTER, receive_buffer=4 << 20)
        # (family, protocol, length of message) -> where state, counters and identity were last; -1: it had
        # none.
        self._places: dict[tuple[int, int, int], tuple[int, int, int]] = {}

    def close(self) -> None:
        self._socket.close()

    def read(self, status: int = 0) -> Iterator[list[CountedFlow]]:
        """All connections of both families, some at a time.

        ``status``: only those with all these status bits, from Linux 5.13 on; older kernels tell of all. A
        connection that begins or ends meanwhile may be missing or come twice. Protocols without ports are
        left out.

        Raises:
            OSError: the kernel refused it.
        """
        request = struct.pack("!BBH", 0, 0, 0)
        if status:
            request += netlink.be32(_STATUS, status) + netlink.be32(_STATUS_MASK, status)
        for data in self._socket.dump_datagrams(_GET, request):
            yield self._parse(data)

    def _parse(self, data: bytes) -> list[CountedFlow]:
        found: list[CountedFlow] = []
        at, end = 0, len(data)
        places = self._places
        while at + _HEAD.size <= end:
            size, family = _HEAD.unpack_from(data, at)
            if size < 20:
                break
            layout = _LAYOUTS.get(family)
            if layout is not None and size >= layout.size:
                # fmt: off
                (
                    tuple_, source, destination, protocol, high, low, port_header, port,
                    reply, answerer, reply_port_header, reply_port,
                ) = layout.unpack_from(data, at)
                # fmt: on
                if (tuple_, port_header, reply, reply_port_header) == _SIGNATURES[family]:
                    key = family, protocol, size
                    place = places.get(key)
                    if place is None or not _fits(data, at, place):
                        place = places[key] = _find(data, at, layout.size, size)
                    state, counters, identity = place
                    sent = received = 0
                    if counters >= 0:
                        _, sent, _, received = _COUNTERS.unpack_from(data, at + counters)
                    number = (
                        int.from_bytes(data[at + identity + 4 : at + identity + 8]) if identity >= 0 else 0
                    )
                    found.append(
                        CountedFlow(
                            number << 16 | high << 8 | low,
                            protocol,
                            source,
                            destination,
                            port,
                            answerer + reply_port + b"\0\0",
                            state < 0 or data[at + state + 12] not in (_TIME_WAIT, _CLOSE),
                            sent,
                            received,
                        )
                    )
            at += (size + 3) & ~3
        return found


_HEAD = struct.Struct("=I12xB3x")
# The original tuple, then the reply's. Of each: its header, addresses, protocol, ports with their headers.
_LAYOUTS = {
    2: struct.Struct("=20x4s8x4s4x4s8xB3x4xBB2x4s2s2x" + "4s8x4s8x8x4x4s2s2x8x"),
    10: struct.Struct("=20x4s8x16s4x16s8xB3x4xBB2x4s2s2x" + "4s8x16s20x8x4x4s2s2x8x"),
}
_COUNTERS = struct.Struct("!4s16xQ4s16xQ")  # COUNTERS_ORIGINAL and COUNTERS_REPLY: packets, bytes


def _header(size: int, kind: int) -> bytes:
    return struct.pack("=HH", size, kind)


_SIGNATURES = {
    family: (
        _header(size, 1 | _NESTED),
        _header(6, 3),  # CTA_PROTO_DST_PORT
        _header(size, 2 | _NESTED),
        _header(6, 2),  # CTA_PROTO_SRC_PORT
    )
    for family, size in ((2, 52), (10, 76))
}
_STATE_HEADERS = _header(5, 1)  # CTA_PROTOINFO_TCP_STATE
_COUNTER_HEADERS = _header(28, _COUNTERS_ORIGINAL | _NESTED), _header(28, _COUNTERS_REPLY | _NESTED)
_IDENTITY_HEADER = _header(8, _ID)


def _fits(data: bytes, at: int, place: tuple[int, int, int]) -> bool:
    """Whether a message has its parts where another of that length had them."""
    state, counters, identity = place
    return (
        (state < 0 or data[at + state + 8 : at + state + 12] == _STATE_HEADERS)
        and (
            counters < 0
            or (data[at + counters : at + counters + 4], data[at + counters + 28 : at + counters + 32])
            == _COUNTER_HEADERS
        )
        and (identity < 0 or data[at + identity : at + identity + 4] == _IDENTITY_HEADER)
    )


def _find(data: bytes, at: int, start: int, size: int) -> tuple[int, int, int]:
    """Where in a message are state, counters and identity, counted from its beginning; -1: not there."""
    state = counters = identity = -1
    offset = start
    while offset + 4 <= size:
        length, kind = struct.unpack_from("=HH", data, at + offset)
        if length < 4:
            break
        kind &= netlink.NLA_TYPE_MASK
        if kind == _PROTOINFO and data[at + offset + 8 : at + offset + 12] == _STATE_HEADERS:
            state = offset
        elif kind == _COUNTERS_ORIGINAL and length == 28:
            counters = offset
        elif kind == _ID:
            identity = offset
        offset += (length + 3) & ~3
    return state, counters, identity
