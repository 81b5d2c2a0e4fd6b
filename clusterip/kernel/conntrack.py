"""Connection tracking entries through ctnetlink: find those to an address, and delete them.

A UDP "connection" lives on as long as its client keeps sending, and its translation with it. When an
endpoint goes, its entries must go too, or these clients never reach another one. See
``include/uapi/linux/netfilter/nfnetlink_conntrack.h``.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from clusterip.kernel import netlink
from clusterip.kernel.namespaces import read_sysctl
from clusterip.kernel.netlink import NETLINK_NETFILTER, NetlinkError, NetlinkSocket

_SUBSYSTEM = 1 << 8
_GET, _DELETE = _SUBSYSTEM | 1, _SUBSYSTEM | 2
_TUPLE_ORIGINAL, _TUPLE_REPLY, _ID, _ZONE, _FILTER = 1, 2, 12, 18, 25
_TUPLE_IP, _TUPLE_PROTOCOL = 1, 2
_PROTOCOL_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
# Which fields of the given tuple a listing is to match (``CTA_FILTER_FLAG`` in nf_conntrack_netlink.c).
_MATCH_DESTINATION, _MATCH_PROTOCOL, _MATCH_DESTINATION_PORT = 1 << 1, 1 << 3, 1 << 5
_IPV4, _IPV6 = 2, 10


@dataclass(frozen=True)
class Flow:
    """A tracked connection: where its client sent, and who answers after translation."""

    protocol: int
    source: bytes
    source_port: int
    destination: bytes
    destination_port: int
    answerer: bytes
    answerer_port: int
    identity: bytes
    """The attributes that name it to the kernel."""


class Conntrack:
    """The connection tracking table of the network namespace it was opened in."""

    def __init__(self) -> None:
        self._socket = NetlinkSocket(NETLINK_NETFILTER, receive_buffer=4 << 20)

    def close(self) -> None:
        self._socket.close()

    def flows(self, protocol: int, destination: bytes, port: int) -> list[Flow]:
        """The flows whose clients sent to this address and port.

        The kernel searches its whole table, but tells only of about these (Linux 5.8 and later; else of all).
        """
        family = _IPV4 if len(destination) == 4 else _IPV6
        address = netlink.attribute(2 if family == _IPV4 else 4, destination)
        wanted = netlink.nested(
            _TUPLE_ORIGINAL,
            netlink.nested(_TUPLE_IP, address),
            netlink.nested(
                _TUPLE_PROTOCOL, netlink.u8(_PROTOCOL_NUMBER, protocol), netlink.be16(_DESTINATION_PORT, port)
            ),
        )
        matches = _MATCH_PROTOCOL | _MATCH_DESTINATION_PORT
        if family == _IPV4:  # for IPv6 the kernel takes a match for a difference (at least to Linux 6.18)
            matches |= _MATCH_DESTINATION
        request = (
            _header(family) + wanted + netlink.nested(_FILTER, netlink.u32(1, matches), netlink.u32(2, 0))
        )
        listed = self._socket.dump(_GET, request)
        return [
            flow
            for flow in map(_parse, listed)
            if (flow.protocol, flow.destination, flow.destination_port) == (protocol, destination, port)
        ]

    def all_flows(self, protocol: int, family: int) -> list[Flow]:
        """All flows of a protocol. ``family`` is 2 for IPv4, 10 for IPv6."""
        flows = map(_parse, self._socket.dump(_GET, _header(family)))
        return [flow for flow in flows if flow.protocol == protocol]

    def forget_all(self, family: int) -> None:
        """Forget every tracked connection of a family (2: IPv4, 10: IPv6). Raises NetlinkError."""
        self._socket.request(_DELETE, _header(family))

    def delete(self, flow: Flow) -> bool:
        """Forget a flow; False if it was gone already. Raises NetlinkError."""
        family = _IPV4 if len(flow.destination) == 4 else _IPV6
        try:
            self._socket.request(_DELETE, _header(family) + flow.identity)
        except NetlinkError as error:
            if error.errno == errno.ENOENT:
                return False
            raise
        return True


def is_liberal() -> bool:
    """Whether TCP packets out of order are taken for valid (``nf_conntrack_tcp_be_liberal``)."""
    try:
        return read_sysctl("net.netfilter.nf_conntrack_tcp_be_liberal") not in ("", "0")
    except OSError:  # connection tracking is not loaded yet; it starts strict
        return False


def _header(family: int) -> bytes:
    return struct.pack("!BBH", family, 0, 0)


def _parse(message: netlink.Message) -> Flow:
    attributes = netlink.parse_attributes(message.payload, 4)
    original, reply = attributes[_TUPLE_ORIGINAL], attributes[_TUPLE_REPLY]
    protocol, source, source_port, destination, destination_port = _parse_tuple(original)
    _, answerer, answerer_port, _, _ = _parse_tuple(reply)
    identity = b"".join(_identity(attributes))
    return Flow(
        protocol, source, source_port, destination, destination_port, answerer, answerer_port, identity
    )


def _identity(attributes: dict[int, memoryview]) -> Iterator[bytes]:
    yield netlink.attribute(_TUPLE_ORIGINAL | netlink.NLA_F_NESTED, bytes(attributes[_TUPLE_ORIGINAL]))
    for kind in (_ZONE, _ID):
        if kind in attributes:
            yield netlink.attribute(kind, bytes(attributes[kind]))


def _parse_tuple(value: memoryview) -> tuple[int, bytes, int, bytes, int]:
    parts = netlink.parse_attributes(value)
    addresses = netlink.parse_attributes(parts[_TUPLE_IP])
    protocol = netlink.parse_attributes(parts[_TUPLE_PROTOCOL])
    v4 = 1 in addresses
    return (
        netlink.be_number(protocol[_PROTOCOL_NUMBER]),
        bytes(addresses[1 if v4 else 3]),
        netlink.be_number(protocol.get(_SOURCE_PORT, b"")),
        bytes(addresses[2 if v4 else 4]),
        netlink.be_number(protocol.get(_DESTINATION_PORT, b"")),
    )
