"""Noticing that others have changed our rules."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from clusterip.kernel.iptables_events import DELETED_RULE, DELETED_TABLE, Change, IptablesEvents
from clusterip.kernel.nftables import Family
from clusterip.proxy.iptables.constant import TABLES, is_own

_SECONDS = 30.0
"""Upstream's ``syncPeriod``: how often to look for the canary where the kernel tells nothing."""

_OURS = b"KUBE-"


class Watch:
    """Calls ``touched`` when our rules were changed by others: told by the kernel for rules of nftables.

    Of the older interface the kernel tells nothing. For it ``is_gone`` is asked from time to time.
    """

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = frozenset(families)
        self._events = IptablesEvents()
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, touched: Callable[[], None], is_gone: Callable[[], Awaitable[bool]] | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._events.fileno(), self._drain, touched)
        if is_gone is not None:
            self._task = self._loop.create_task(_look(touched, is_gone))

    def ignore(self, process: int) -> None:
        """What this process does is ours. Callable from any thread."""
        self._events.ignore(process)

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        if self._loop is not None:
            self._loop.remove_reader(self._events.fileno())
        self._events.close()

    def _drain(self, touched: Callable[[], None]) -> None:
        if self._events.drain(self._concerns):
            touched()

    def _concerns(self, change: Change) -> bool:
        if change.family not in self._families or change.table not in TABLES:
            return False
        if change.kind == DELETED_TABLE or is_own(change.chain):
            return True
        return change.kind == DELETED_RULE and _OURS in change.content


async def _look(touched: Callable[[], None], is_gone: Callable[[], Awaitable[bool]]) -> None:
    while True:
        await asyncio.sleep(_SECONDS)
        if await is_gone():
            touched()
