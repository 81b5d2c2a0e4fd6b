"""Noticing that another program changed the rules."""

from __future__ import annotations

import ctypes
import os
import socket
import struct

from clusterip.kernel import netlink
from clusterip.kernel.netlink import NETLINK_NETFILTER, NetlinkSocket
from clusterip.kernel.nftables.batch import SUBSYSTEM
from clusterip.kernel.nftables.model import Family, Table

_GROUP_NFTABLES = 7
_SO_ATTACH_FILTER = 26
_ENOBUFS = 105


class Changes:
    """Events of changes to nftables by sockets other than ``own_port``.

    The kernel filters: what we change ourselves never wakes us. ``fileno`` becomes readable on an
    event; then call :meth:`drain`.
    """

    def __init__(self, own_port: int) -> None:
        self._socket = NetlinkSocket(NETLINK_NETFILTER, receive_buffer=1 << 20)
        _drop_messages_of(self._socket.fileno(), own_port)
        self._socket.subscribe(_GROUP_NFTABLES)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def drain(self, names: frozenset[str]) -> set[Table] | None:
        """Read all events there are; the tables among ``names`` that they concern.

        Returns None if events were lost, so that anything may have changed.
        """
        touched: set[tuple[int, str]] = set()
        lost = False
        while True:
            try:
                received = self._socket.receive(block=False)
            except OSError as error:
                if error.errno != _ENOBUFS:
                    raise
                lost = True
                continue
            if not received:
                break
            for message in received:
                if message.type >> 8 != SUBSYSTEM >> 8:
                    continue
                table = netlink.parse_attributes(message.payload, 4).get(1)
                if table is not None and (name := netlink.text(table)) in names:
                    touched.add((message.payload[0], name))
        if lost:
            return None
        return {Table(Family(number), name) for number, name in touched if number in (2, 10)}


def _drop_messages_of(descriptor: int, port: int) -> None:
    """Let the kernel throw away messages whose ``nlmsg_pid`` is ``port``, with a classic BPF filter."""
    # The filter loads in network order, the field is in host order.
    (swapped,) = struct.unpack("!I", struct.pack("=I", port))
    program = struct.pack("=HBBI", 0x20, 0, 0, 12)  # load the word at 12: nlmsg_pid
    program += struct.pack("=HBBI", 0x15, 0, 1, swapped)  # equal to ours?
    program += struct.pack("=HBBI", 0x06, 0, 0, 0)  # then drop
    program += struct.pack("=HBBI", 0x06, 0, 0, 0xFFFFFFFF)  # else keep all of it
    buffer = ctypes.create_string_buffer(program)
    description = struct.pack("@HP", 4, ctypes.addressof(buffer))
    with socket.socket(fileno=os.dup(descriptor)) as duplicate:
        duplicate.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, description)
