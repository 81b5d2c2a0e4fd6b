"""Connections and bytes of each Service and endpoint on this node, counted while somebody asks.

They are taken from connection tracking, where every connection to a Service stands with what it was
translated to. Ended ones stay there for at least ten seconds, so one look every few seconds sees all of them.
With no one asking nothing is read, kept or switched on.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable

from clusterip.kernel.flowcounters import DST_NAT, CountedFlow, FlowCounters
from clusterip.kernel.namespaces import read_sysctl, write_sysctl
from clusterip.proxy.alarm import Alarm
from clusterip.proxy.flowplaces import Places
from clusterip.proxy.model import Destination, Network, PortKey, PortState
from clusterip.proxy.thread import NamespaceThread

ACCOUNTING = "net.netfilter.nf_conntrack_acct"

_FRESH_SECONDS = 0.9
"""How old a look may be that is answered with, so that many who ask cost no more than one."""
_HELD_SECONDS = 90.0
"""After so long without a question everything is let go of. More than the usual time between two scrapes."""


class Count:
    """Connections of a Service port that were given one endpoint."""

    __slots__ = ("connections", "open", "received", "sent")

    def __init__(self) -> None:
        self.open = 0
        self.connections = 0
        self.sent = 0
        self.received = 0


Counts = dict[PortKey, dict[Destination, Count]]


class Traffic:
    """Counts from the first question on, until none has come for a while.

    ``states``: all Service ports. ``own``: as :class:`Places` takes it, if the data plane translates
    ``at_sockets``.
    """

    def __init__(
        self,
        states: Callable[[], Iterable[PortState]],
        own: Callable[[], Collection[Network]],
        *,
        at_sockets: bool = False,
        translates: bool = True,
    ) -> None:
        """``translates``: netfilter translates all connections to Services (not with IPVS)."""
        self._states = states
        self._own = own
        self._at_sockets = at_sockets
        self._status = DST_NAT if translates and not at_sockets else 0
        self._looking: Look | None = None
        self._end = Alarm(self.close)

    async def look(self) -> Look:
        """What there is now, or was a moment ago.

        Raises:
            OSError: the kernel does not tell.
        """
        looking = self._looking
        if looking is None:
            looking = self._looking = Look(self._status)
        self._end.set(_HELD_SECONDS)
        if time.monotonic() - looking.looked > _FRESH_SECONDS:
            if looking.stale:
                looking.places = Places(self._states(), self._own() if self._at_sockets else ())
                looking.stale = False
            await looking.look()
        return looking

    def changed(self) -> None:
        """The Service ports are not those of the last look any more."""
        if self._looking is not None:
            self._looking.stale = True

    def close(self) -> None:
        """Forget all counts, and have the kernel stop counting if it did so for us."""
        self._end.cancel()
        if self._looking is not None:
            self._looking.close()
            self._looking = None


class Look:
    """What has been seen since somebody first asked."""

    def __init__(self, status: int) -> None:
        self.counts: Counts = {}
        self.since = time.time()
        self.looked = float("-inf")
        """When (monotonic) the last look was."""
        self.seconds = 0.0
        """How long that took."""
        self.tracked = 0
        """How many connections it was told of."""
        self.accounting = ""
        """``on`` if the kernel counted bytes all along, ``since`` if it does so for us, or why it does
        not."""
        self.places = Places((), ())
        self.stale = True
        self._status = status
        self._known: dict[int, tuple[int, int]] | None = None
        self._thread = NamespaceThread("traffic")
        self._counters: FlowCounters | None = None

    async def look(self) -> None:
        """Raises OSError."""
        await self._thread.run(self._look)

    def close(self) -> None:
        self._thread.close(self._close)

    def _look(self) -> None:
        if time.monotonic() - self.looked <= _FRESH_SECONDS:
            return  # another who asked was first
        if not self.accounting:
            self.accounting = self._switch_on()
        if self._counters is None:
            self._counters = FlowCounters()
        started = time.monotonic()
        for counts in self.counts.values():
            for count in counts.values():
                count.open = 0
        known = self._known
        now: dict[int, tuple[int, int]] = {}
        tracked = 0
        places = self.places
        for flows in self._counters.read(self._status):
            tracked += len(flows)
            for flow in flows:
                key = places.find(flow)
                if key is None or flow.identity in now:
                    continue
                now[flow.identity] = flow.sent, flow.received
                count = self._count_of(key, flow)
                count.open += flow.is_open
                before = known.get(flow.identity) if known is not None else (flow.sent, flow.received)
                if before is None:
                    count.connections += 1
                    before = (0, 0)
                # What has been counted before may be less: the same number for another connection.
                count.sent += max(flow.sent - before[0], 0)
                count.received += max(flow.received - before[1], 0)
        self._known = now
        self.tracked = tracked
        self.looked = time.monotonic()
        self.seconds = self.looked - started

    def _count_of(self, key: PortKey, flow: CountedFlow) -> Count:
        endpoints = self.counts.get(key)
        if endpoints is None:
            endpoints = self.counts[key] = {}
        count = endpoints.get(flow.answerer)
        if count is None:
            count = endpoints[flow.answerer] = Count()
        return count

    def _switch_on(self) -> str:
        try:
            if read_sysctl(ACCOUNTING) != "0":
                return "on"
            write_sysctl(ACCOUNTING, 1)
        except FileNotFoundError:
            return "connection tracking is not loaded"
        except OSError as error:
            return f"cannot set {ACCOUNTING}: {error.strerror}"
        return "since"

    def _close(self) -> None:
        if self._counters is not None:
            self._counters.close()
        if self.accounting == "since":
            with contextlib.suppress(OSError):
                write_sysctl(ACCOUNTING, 0)
