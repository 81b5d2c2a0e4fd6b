"""What the kernel tells of packets whose ``nftrace`` bit is set (``NFT_MSG_TRACE``).

See ``net/netfilter/nf_tables_trace.c`` and ``enum nft_trace_attributes`` of
``include/uapi/linux/netfilter/nf_tables.h``.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import time
from typing import Literal, NamedTuple

from clusterip.kernel import netlink
from clusterip.kernel.netlink import NETLINK_NETFILTER, Message, NetlinkSocket
from clusterip.kernel.nftables.batch import SUBSYSTEM

TRACE = SUBSYSTEM | 17
_GROUP = 9
_ENOBUFS = 105
_TABLE, _CHAIN, _HANDLE, _TYPE, _VERDICT, _ID = 1, 2, 3, 4, 5, 6
_NETWORK, _TRANSPORT, _INPUT, _OUTPUT, _MARK, _POLICY = 8, 9, 10, 12, 14, 16
_KINDS: dict[int, Literal["policy", "return", "rule"]] = {1: "policy", 2: "return", 3: "rule"}
_FAMILIES = {0: "unspec", 1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_VERDICTS = {0: "drop", 1: "accept", 2: "stolen", 3: "queue", 4: "repeat", 5: "stop"}
_VERDICTS |= {-1: "continue", -2: "break", -3: "jump", -4: "goto", -5: "return"}
_TCP_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG")


class Headers(NamedTuple):
    """A packet's addresses. ``flags`` are those of TCP: ``SYN``, ``SYN,ACK``, …; ``dscp`` is 0 to 63."""

    protocol: int
    source: str
    source_port: int
    destination: str
    destination_port: int
    flags: str
    dscp: int


class TraceEvent(NamedTuple):
    """A rule that a packet matched, the end of a chain, or a base chain's policy.

    ``packet`` numbers packets while they are traced (numbers are used again). ``headers`` comes with the
    first event of each base chain. ``input`` and ``output`` are indexes of interfaces, 0 for none.
    ``verdict`` is e.g. ``accept``, ``drop`` or ``jump``, with ``target`` the chain of the latter. ``at`` is
    ``time.monotonic()`` when it was read.
    """

    family: str
    table: str
    chain: str
    kind: Literal["policy", "return", "rule"]
    handle: int
    verdict: str
    target: str
    packet: int
    headers: Headers | None
    input: int
    output: int
    mark: int
    at: float


class TraceSocket:
    """Trace events of the network namespace it was opened in. ``fileno`` becomes readable on events."""

    def __init__(self) -> None:
        self._socket = NetlinkSocket(NETLINK_NETFILTER, groups=(_GROUP,), receive_buffer=4 << 20)
        self.lost = False
        """Whether there were more events than could be kept."""

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def drain(self) -> list[TraceEvent]:
        """The events there are."""
        found: list[TraceEvent] = []
        while True:
            try:
                messages = self._socket.receive(block=False)
            except OSError as error:
                if error.errno != _ENOBUFS:
                    raise
                self.lost = True
                continue
            if not messages:
                return found
            at = time.monotonic()
            found += [parse(message, at) for message in messages if message.type == TRACE]


def parse(message: Message, at: float = 0.0) -> TraceEvent:
    """A trace message as an event."""
    parts = netlink.parse_attributes(message.payload, 4)

    def number(kind: int) -> int:
        return netlink.be_number(parts.get(kind, b""))

    kind = _KINDS.get(number(_TYPE), "policy")
    verdict, target = _verdict(parts, kind)
    headers = (
        _headers(bytes(parts[_NETWORK]), bytes(parts.get(_TRANSPORT, b""))) if _NETWORK in parts else None
    )
    return TraceEvent(
        family=_FAMILIES.get(message.payload[0], str(message.payload[0])),
        table=netlink.text(parts.get(_TABLE, b"")),
        chain=netlink.text(parts.get(_CHAIN, b"")),
        kind=kind,
        handle=number(_HANDLE),
        verdict=verdict,
        target=target,
        packet=number(_ID),
        headers=headers,
        input=number(_INPUT),
        output=number(_OUTPUT),
        mark=number(_MARK),
        at=at,
    )


def _verdict(parts: dict[int, memoryview], kind: str) -> tuple[str, str]:
    if kind == "policy":
        code = struct.unpack("!i", parts[_POLICY])[0] if _POLICY in parts else 1
        return _VERDICTS.get(code & 0xFF, str(code)), ""
    if _VERDICT not in parts:
        return "continue", ""
    inner = netlink.parse_attributes(parts[_VERDICT])
    (code,) = struct.unpack("!i", inner[1])
    name = _VERDICTS.get(code if code < 0 else code & 0xFF, str(code))
    return name, netlink.text(inner[2]) if 2 in inner else ""


def _headers(network: bytes, transport: bytes) -> Headers | None:
    if not network:
        return None
    if network[0] >> 4 == 4 and len(network) >= 20:
        protocol, source, destination, dscp = network[9], network[12:16], network[16:20], network[1] >> 2
    elif network[0] >> 4 == 6 and len(network) >= 40:
        protocol, source, destination = network[6], network[8:24], network[24:40]
        dscp = (int.from_bytes(network[:2], "big") & 0x0FC0) >> 6
    else:
        return None
    ports = struct.unpack_from("!HH", transport) if len(transport) >= 4 else (0, 0)
    flags = ""
    if protocol == socket.IPPROTO_TCP and len(transport) >= 14:
        flags = ",".join(name for bit, name in enumerate(_TCP_FLAGS) if transport[13] & 1 << bit)
    return Headers(
        protocol,
        str(ipaddress.ip_address(source)),
        ports[0],
        str(ipaddress.ip_address(destination)),
        ports[1],
        flags,
        dscp,
    )
