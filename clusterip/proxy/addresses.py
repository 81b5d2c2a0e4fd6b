"""Noticing that the machine got or lost an address."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable

from clusterip.kernel.netlink import NETLINK_ROUTE, NetlinkSocket
from clusterip.kernel.rtmessages import RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR


class AddressWatch:
    """Calls ``changed`` when an address of this network namespace may have changed, until closed."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._events = NetlinkSocket(NETLINK_ROUTE, groups=(RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR))
        asyncio.get_running_loop().add_reader(self._events.fileno(), self._look)

    def _look(self) -> None:
        try:
            while self._events.receive(block=False):
                pass
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # some were lost: whatever they said, it is looked at now
                raise
        self._changed()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._events.fileno())
        self._events.close()
