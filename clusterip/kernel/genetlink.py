"""Generic netlink: families of messages that are found by name, such as IPVS's."""

from __future__ import annotations

import errno
import struct

from clusterip.kernel import netlink
from clusterip.kernel.netlink import NETLINK_GENERIC, NLM_F_ACK, NetlinkError, NetlinkSocket

_CONTROLLER = 16  # GENL_ID_CTRL
_GET_FAMILY = 3
_FAMILY_ID, _FAMILY_NAME = 1, 2
_HEADER = struct.Struct("=BBH")


def family_id(connection: NetlinkSocket, name: str) -> int | None:
    """The message type of a family; None if the kernel does not have it (loaded)."""
    request = _HEADER.pack(_GET_FAMILY, 1, 0) + netlink.string(_FAMILY_NAME, name)
    try:
        for message in connection.request(_CONTROLLER, request):
            found = netlink.parse_attributes(message.payload, _HEADER.size)
            return netlink.number(found[_FAMILY_ID])
    except NetlinkError as error:
        if error.errno != errno.ENOENT:
            raise
    return None


def command(connection: NetlinkSocket, family: int, number: int, *attributes: bytes) -> None:
    """Give a command that is only acknowledged. Raises NetlinkError."""
    connection.request(family, _HEADER.pack(number, 1, 0) + b"".join(attributes), NLM_F_ACK)


def opened() -> NetlinkSocket:
    """A generic netlink socket of this network namespace."""
    return NetlinkSocket(NETLINK_GENERIC)
