"""Noticing that another program changed rules of iptables (of the kind ``nft``)."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from clusterip.kernel import netlink
from clusterip.kernel.netlink import NETLINK_NETFILTER, Message, NetlinkSocket
from clusterip.kernel.nftables.batch import SUBSYSTEM

DELETED_TABLE = 2
DELETED_CHAIN = 5
NEW_RULE = 6
DELETED_RULE = 8

_GROUP_NFTABLES = 7
_SO_ATTACH_FILTER = 26
_ENOBUFS = 105
_REMEMBERED = 16


class Change(NamedTuple):
    """One change. ``content`` is the event as received, in which names stand as they are."""

    kind: int
    family: int
    table: str
    chain: str
    content: bytes


class IptablesEvents:
    """Changes to nftables by processes other than those named to ``ignore``.

    The kernel throws events of those away: a process's messages carry its id as their sender (libmnl's
    sockets are bound so). ``fileno`` becomes readable on an event; then call :meth:`drain`.
    """

    def __init__(self) -> None:
        self._socket = NetlinkSocket(NETLINK_NETFILTER, receive_buffer=4 << 20)
        self._ignored: deque[int] = deque(maxlen=_REMEMBERED)
        self._socket.subscribe(_GROUP_NFTABLES)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def ignore(self, process: int) -> None:
        """Hear nothing of what a process does. To be called before it does anything."""
        self._ignored.append(process)
        _drop_messages_of(self._socket.fileno(), self._ignored)

    def drain(self, concerns: Callable[[Change], bool]) -> bool:
        """Read all events there are; whether one concerns us, or one was lost."""
        concerned = False
        while True:
            try:
                received = self._socket.receive(block=False)
            except OSError as error:
                if error.errno != _ENOBUFS:
                    raise
                concerned = True
                continue
            if not received:
                return concerned
            concerned = concerned or any(
                concerns(change) for change in map(_change_of, received) if change is not None
            )


def _change_of(message: Message) -> Change | None:
    kind = message.type & 0xFF
    if message.type >> 8 != SUBSYSTEM >> 8:
        return None
    if kind not in (DELETED_TABLE, DELETED_CHAIN, NEW_RULE, DELETED_RULE):
        return None
    attributes = netlink.parse_attributes(message.payload, 4)
    chain = attributes.get(3 if kind == DELETED_CHAIN else 2, b"") if kind != DELETED_TABLE else b""
    table = netlink.text(attributes.get(1, b""))
    return Change(kind, message.payload[0], table, netlink.text(chain), bytes(message.payload))


def _drop_messages_of(descriptor: int, processes: deque[int]) -> None:
    """Let the kernel throw away messages whose ``nlmsg_pid`` is one of these, with a classic BPF filter."""
    steps = [struct.pack("=HBBI", 0x20, 0, 0, 12)]  # load the word at 12: nlmsg_pid
    for place, process in enumerate(processes):
        # The filter loads in network order, the field is in host order.
        (swapped,) = struct.unpack("!I", struct.pack("=I", process))
        steps.append(struct.pack("=HBBI", 0x15, len(processes) - place, 0, swapped))  # equal: drop
    steps.append(struct.pack("=HBBI", 0x06, 0, 0, 0xFFFFFFFF))  # keep all of it
    steps.append(struct.pack("=HBBI", 0x06, 0, 0, 0))  # drop
    buffer = ctypes.create_string_buffer(b"".join(steps))
    description = struct.pack("@HP", len(steps), ctypes.addressof(buffer))
    with socket.socket(fileno=os.dup(descriptor)) as duplicate:
        duplicate.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, description)
