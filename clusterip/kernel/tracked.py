"""One connection tracking entry by its original addresses, with all it says (``conntrack -L`` of one)."""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import NamedTuple

from clusterip.kernel import netlink
from clusterip.kernel.netlink import NETLINK_NETFILTER, NetlinkError, NetlinkSocket

_GET = 1 << 8 | 1
_ORIGINAL, _REPLY, _STATUS, _PROTOINFO, _TIMEOUT, _MARK = 1, 2, 3, 4, 7, 8
_TUPLE_IP, _TUPLE_PROTOCOL = 1, 2
_STATUS_SEEN_REPLY, _STATUS_ASSURED = 1 << 1, 1 << 2
_STATUS_SNAT, _STATUS_DNAT = 1 << 4, 1 << 5
# enum tcp_conntrack of nf_conntrack_tcp.h
_TCP_STATES = (
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
)


class Tuple(NamedTuple):
    """One direction of a connection."""

    protocol: int
    source: str
    source_port: int
    destination: str
    destination_port: int

    def __str__(self) -> str:
        return (
            f"src={self.source} dst={self.destination} sport={self.source_port} dport={self.destination_port}"
        )


class Tracked(NamedTuple):
    """An entry. ``reply`` is what answers must look like before they are translated back.

    ``state`` is TCP's, empty for others; ``timeout`` the seconds until it is forgotten.
    """

    original: Tuple
    reply: Tuple
    state: str
    timeout: int
    mark: int
    replied: bool
    assured: bool
    source_translated: bool
    destination_translated: bool

    def __str__(self) -> str:
        """As ``conntrack -L`` prints it."""
        name = {6: "tcp", 17: "udp", 132: "sctp"}.get(self.original.protocol, str(self.original.protocol))
        words = [name, str(self.original.protocol), str(self.timeout), *([self.state] if self.state else [])]
        words += [str(self.original), *([] if self.replied else ["[UNREPLIED]"]), str(self.reply)]
        words += ["[ASSURED]"] if self.assured else []
        return " ".join([*words, f"mark={self.mark}"])


def find(original: Tuple) -> Tracked | None:
    """The entry of a connection in the calling thread's network namespace; None if there is none.

    Raises:
        NetlinkError: the kernel refused the question (it may lack ``CONFIG_NF_CT_NETLINK``).
    """
    version = ipaddress.ip_address(original.source).version
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    request = struct.pack("!BBH", family, 0, 0) + _tuple(original)
    with NetlinkSocket(NETLINK_NETFILTER) as kernel:
        try:
            answers = kernel.request(_GET, request)
        except NetlinkError as error:
            if error.errno == 2:  # ENOENT
                return None
            raise
    return parse(answers[0].payload) if answers else None


def parse(payload: memoryview | bytes) -> Tracked:
    """The payload of a ctnetlink message."""
    parts = netlink.parse_attributes(payload, 4)
    status = netlink.be_number(parts.get(_STATUS, b""))
    return Tracked(
        original=_parse_tuple(parts[_ORIGINAL]),
        reply=_parse_tuple(parts[_REPLY]),
        state=_state(parts),
        timeout=netlink.be_number(parts.get(_TIMEOUT, b"")),
        mark=netlink.be_number(parts.get(_MARK, b"")),
        replied=bool(status & _STATUS_SEEN_REPLY),
        assured=bool(status & _STATUS_ASSURED),
        source_translated=bool(status & _STATUS_SNAT),
        destination_translated=bool(status & _STATUS_DNAT),
    )


def _state(parts: dict[int, memoryview]) -> str:
    tcp = netlink.parse_attributes(parts.get(_PROTOINFO, b"")).get(1)
    if tcp is None:
        return ""
    number = netlink.number(netlink.parse_attributes(tcp).get(1, b""))
    return _TCP_STATES[number] if number < len(_TCP_STATES) else str(number)


def _tuple(value: Tuple) -> bytes:
    source, destination = (ipaddress.ip_address(each).packed for each in (value.source, value.destination))
    first = 1 if len(source) == 4 else 3
    return netlink.nested(
        _ORIGINAL,
        netlink.nested(
            _TUPLE_IP, netlink.attribute(first, source), netlink.attribute(first + 1, destination)
        ),
        netlink.nested(
            _TUPLE_PROTOCOL,
            netlink.u8(1, value.protocol),
            netlink.be16(2, value.source_port),
            netlink.be16(3, value.destination_port),
        ),
    )


def _parse_tuple(data: memoryview) -> Tuple:
    parts = netlink.parse_attributes(data)
    addresses = netlink.parse_attributes(parts[_TUPLE_IP])
    protocol = netlink.parse_attributes(parts[_TUPLE_PROTOCOL])
    first = 1 if 1 in addresses else 3
    return Tuple(
        netlink.be_number(protocol[1]),
        str(ipaddress.ip_address(bytes(addresses[first]))),
        netlink.be_number(protocol.get(2, b"")),
        str(ipaddress.ip_address(bytes(addresses[first + 1]))),
        netlink.be_number(protocol.get(3, b"")),
    )
