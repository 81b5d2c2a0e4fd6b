"""The structures of ``sockets.bpf.c`` as bytes."""

from __future__ import annotations

import struct

from clusterip.proxy.model import Address, Destination, show_destination

LAYOUT = 1
"""Changes with the maps' keys and values: maps of another number are not used on."""

PROGRAMS = (
    "connect4",
    "connect6",
    "sendmsg4",
    "sendmsg6",
    "recvmsg4",
    "recvmsg6",
    "getpeername4",
    "getpeername6",
    "sock_release",
)

Place = bytes
"""An address in the form of IPv6, a port, and for a Service's the protocol: ``struct place``."""

_MAPPED = bytes(10) + b"\xff\xff"
_SERVICE = struct.Struct("=IIII")
_SLOT = struct.Struct("=II")
_GROUP = struct.Struct("=I")
_PEER = struct.Struct("=20s20sQ")


def frontend(address: Address, port: int, protocol: int) -> Place:
    """A Service's address: a key of the map ``services``."""
    return _as_ipv6(address) + struct.pack("!HBx", port, protocol)


def endpoint(destination: Destination) -> Place:
    """An endpoint: a value of the map ``endpoints``."""
    return destination if len(destination) == 20 else _MAPPED + destination


def show(place: Place) -> str:
    """A place for people: ``10.96.0.10:80/TCP``, an endpoint's without the protocol."""
    protocol = {6: "/TCP", 17: "/UDP", 132: "/SCTP"}.get(place[18], "")
    return show_destination(place.removeprefix(_MAPPED)) + protocol


def service(group: int, count: int, affinity_seconds: int) -> bytes:
    return _SERVICE.pack(group, count, affinity_seconds, 0)


def parse_service(value: bytes) -> tuple[int, int, int]:
    """Group, number of endpoints, seconds of affinity."""
    group, count, affinity_seconds, _ = _SERVICE.unpack(value)
    return group, count, affinity_seconds


def slot(group: int, index: int) -> bytes:
    return _SLOT.pack(group, index)


def parse_slot(key: bytes) -> tuple[int, int]:
    group, index = _SLOT.unpack(key)
    return group, index


def member(group: int, place: Place) -> bytes:
    """A key of the map ``members``."""
    return _GROUP.pack(group) + place


def parse_member(key: bytes) -> tuple[int, Place]:
    return _GROUP.unpack_from(key)[0], key[_GROUP.size :]


def birth(number: int) -> bytes:
    """A value of the map ``members``; never 0."""
    return _GROUP.pack(number % 0xFFFFFFFF + 1)


def parse_peer(value: bytes) -> tuple[Place, Place, int]:
    """What a socket asked for, what it was given, and the cookie of its network namespace."""
    asked, given, namespace = _PEER.unpack(value)
    return asked, given, namespace


def _as_ipv6(address: Address) -> bytes:
    return address if len(address) == 16 else _MAPPED + address
