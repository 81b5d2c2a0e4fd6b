"""Tables, chains, sets and maps, as plain values."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from functools import cached_property


class Family(IntEnum):
    """The protocol family of a table (``NFPROTO_*``)."""

    IPV4 = 2
    IPV6 = 10

    # That of enumerations is a call of Python code, for something that is in many keys of dictionaries.
    __hash__ = int.__hash__

    @property
    def keyword(self) -> str:
        """The family's name in `nft`'s language."""
        return "ip" if self is Family.IPV4 else "ip6"


class SetFlag(IntFlag):
    """``enum nft_set_flags``."""

    INTERVAL = 0x4
    MAP = 0x8
    TIMEOUT = 0x10
    EVAL = 0x20
    CONCAT = 0x80


@dataclass(frozen=True)
class DataType:
    """One field of a key or value: `nft`'s name and number for it, its length in bytes, its byte order.

    The number only tells `nft list` how to print the field; the kernel sees bytes.
    """

    name: str
    number: int
    length: int
    host_order: bool = False

    @property
    def padded(self) -> int:
        """The bytes it takes in a concatenation: fields start at 32-bit registers."""
        return (self.length + 3) & ~3

    def show(self, value: bytes) -> str:
        """The value as `nft` would print it."""
        if self in (IPV4_ADDR, IPV6_ADDR):
            return str(ipaddress.ip_address(value[: self.length]))
        if self == INET_PROTO:
            return _PROTOCOL_NAMES.get(value[0], str(value[0]))
        if self == INET_SERVICE:
            return str(int.from_bytes(value[:2], "big"))
        if self == MARK:
            return f"{struct.unpack('=I', value[:4])[0]:#010x}"
        if self == CLASSID:
            number = struct.unpack("=I", value[:4])[0]
            return f"{number >> 16:x}:{number & 0xFFFF:x}"
        return value.hex()


_PROTOCOL_NAMES = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp", socket.IPPROTO_SCTP: "sctp"}

IPV4_ADDR = DataType("ipv4_addr", 7, 4)
IPV6_ADDR = DataType("ipv6_addr", 8, 16)
INET_PROTO = DataType("inet_proto", 12, 1)
INET_SERVICE = DataType("inet_service", 13, 2)
MARK = DataType("mark", 19, 4, host_order=True)
CLASSID = DataType("classid", 23, 4, host_order=True)
VERDICT = DataType("verdict", 0xFFFFFF00, 16)


@dataclass(frozen=True)
class Table:
    """A table. ``comment`` is shown by `nft list`; it also holds whatever its owner wants to remember."""

    family: Family
    name: str
    comment: str = ""


_NO_FLAGS = SetFlag(0)


@dataclass(frozen=True, eq=False)
class Set:
    """A set, or with ``data`` a map. Keys and values of several fields are concatenations.

    ``size`` bounds the number of elements, 0 leaves it open. Two sets are equal only if they are one
    object, which makes them fast keys of dictionaries.
    """

    name: str
    key: tuple[DataType, ...]
    data: tuple[DataType, ...] = ()
    flags: SetFlag = _NO_FLAGS
    size: int = 0

    @cached_property
    def key_length(self) -> int:
        return _length(self.key)

    @cached_property
    def data_length(self) -> int:
        return _length(self.data)

    @property
    def all_flags(self) -> SetFlag:
        flags = self.flags
        if self.data:
            flags |= SetFlag.MAP
        if len(self.key) > 1 and self.flags & SetFlag.INTERVAL:
            flags |= SetFlag.CONCAT
        return flags

    def show(self, key: bytes) -> str:
        """A key as `nft list` prints it, for messages."""
        return " . ".join(_fields(self.key, key))

    def show_element(self, key: bytes, value: bytes) -> str:
        """An element as `nft get element` takes it: ``services { 10.96.0.10 . tcp . 80 : 40:3 }``."""
        data = f" : {' . '.join(_fields(self.data, value))}" if self.data else ""
        return f"{self.name} {{ {self.show(key)}{data} }}"


def _length(types: tuple[DataType, ...]) -> int:
    return types[0].length if len(types) == 1 else sum(field.padded for field in types)


def _fields(types: tuple[DataType, ...], value: bytes) -> Iterator[str]:
    for field in types:
        yield field.show(value)
        value = value[field.padded :]


class Hook(IntEnum):
    """Where in a packet's way a base chain stands (``NF_INET_*``)."""

    PREROUTING = 0
    INPUT = 1
    FORWARD = 2
    OUTPUT = 3
    POSTROUTING = 4


@dataclass(frozen=True)
class Chain:
    """A chain; with ``hook`` a base chain of ``type`` ``filter`` or ``nat`` at ``priority``."""

    name: str
    type: str = ""
    hook: Hook | None = None
    priority: int = 0
