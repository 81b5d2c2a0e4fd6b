"""Named packet counters of the kernel (nfacct), which rules of iptables count in and that outlive them."""

from __future__ import annotations

import errno
import struct

from clusterip.kernel import netlink
from clusterip.kernel.netlink import NETLINK_NETFILTER, NLM_F_CREATE, NetlinkError, NetlinkSocket

_SUBSYSTEM = 7 << 8  # NFNL_SUBSYS_ACCT
_NEW, _GET, _DELETE = 0, 1, 3
_NAME, _PACKETS = 1, 2
_HEADER = struct.pack("=BBH", 0, 0, 0)


class Counters:
    """The counters of the network namespace that this is made in."""

    def __init__(self) -> None:
        self._socket = NetlinkSocket(NETLINK_NETFILTER)

    def close(self) -> None:
        self._socket.close()

    def ensure(self, name: str) -> bool:
        """Make the counter unless it is there; False if the kernel has no such counters."""
        try:
            self._request(_NEW, name, NLM_F_CREATE)
        except NetlinkError as error:
            return error.errno in (errno.EBUSY, errno.EEXIST)  # it is there
        return True

    def packets(self, name: str) -> int | None:
        """How many packets were counted; None if there is no such counter."""
        try:
            answers = self._request(_GET, name)
        except NetlinkError:
            return None
        for answer in answers:
            return netlink.be_number(netlink.parse_attributes(answer.payload, 4).get(_PACKETS, b""))
        return None

    def remove(self, name: str) -> bool:
        """Whether there was such a counter, and it is gone: rules keep those they use."""
        try:
            self._request(_DELETE, name)
        except NetlinkError:
            return False
        return True

    def _request(self, command: int, name: str, flags: int = 0) -> list[netlink.Message]:
        return self._socket.request(_SUBSYSTEM | command, _HEADER + netlink.string(_NAME, name), flags)
