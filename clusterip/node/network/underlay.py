"""What the kernel tells of changes to links, addresses and routes, as far as somebody cares."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

from clusterip.kernel import rtmessages as rt
from clusterip.kernel.netlink import NETLINK_ROUTE, Message, NetlinkSocket

_GROUPS = (
    rt.RTNLGRP_LINK,
    rt.RTNLGRP_IPV4_IFADDR,
    rt.RTNLGRP_IPV4_ROUTE,
    rt.RTNLGRP_IPV6_IFADDR,
    rt.RTNLGRP_IPV6_ROUTE,
)
_LINK = (rt.RTM_NEWLINK, rt.RTM_DELLINK)
_ADDRESS = (rt.RTM_NEWADDR, rt.RTM_DELADDR)


class UnderlayEvents:
    """Calls ``notify`` after changes that concern somebody. Open within the event loop."""

    def __init__(
        self,
        link: Callable[[int], bool],
        route: Callable[[rt.Route, bool], bool],
        notify: Callable[[], None],
    ) -> None:
        """``link`` says whether a link's index matters, ``route`` whether a route that came or (False) went
        does."""
        self._link = link
        self._route = route
        self._notify = notify

    def __enter__(self) -> UnderlayEvents:
        self._socket = NetlinkSocket(NETLINK_ROUTE, groups=_GROUPS)
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()

    def _read(self) -> None:
        matters = False
        try:
            while messages := self._socket.receive(block=False):
                matters = matters or any(map(self._matters, messages))
        except OSError:  # events were lost: anything may have changed
            matters = True
        if matters:
            self._notify()

    def _matters(self, message: Message) -> bool:
        if message.type in _LINK:
            index: int = rt.IFINFO.unpack_from(message.payload)[2]
            return self._link(index)
        if message.type in _ADDRESS:
            index = rt.IFADDR.unpack_from(message.payload)[4]
            return self._link(index)
        if message.type in (rt.RTM_NEWROUTE, rt.RTM_DELROUTE):
            return self._route(rt.parse_route(message), message.type == rt.RTM_NEWROUTE)
        return False
