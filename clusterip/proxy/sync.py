"""From what the API says to the kernel: one batch for whatever arrived together, without timers."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterable

from clusterip.client.backoff import Backoff
from clusterip.kernel.conntrack import Conntrack
from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.nftables import NftablesError
from clusterip.objects import times
from clusterip.process import log
from clusterip.proxy import metrics, wire
from clusterip.proxy.model import ServiceKey
from clusterip.proxy.nftables.backend import Backend
from clusterip.proxy.nftables.groups import Exhausted
from clusterip.proxy.stale import forget_all_stale_flows, forget_stale_flows
from clusterip.proxy.tracker import PortChange, PortState, Tracker

_log = log.get("proxy")


class Sync:
    """Keeps the data plane as the tracker says.

    ``flush`` writes what has changed, at once. When the kernel refuses that, or somebody else has changed
    the tables, everything is compared with the kernel and put right by ``run``; meanwhile changes wait.
    """

    def __init__(self, tracker: Tracker, backend: Backend) -> None:
        self.tracker = tracker
        self.backend = backend
        self.failing = ""
        """Why the kernel does not have the wanted state; empty if it has."""
        self.pending_since: float | None = None
        """When (monotonic) the oldest change not yet in the kernel came."""
        self.last_written = 0.0
        """When (seconds since 1970) changes were last written."""
        self.synced = asyncio.Event()
        self._triggers: list[str] = []
        self._listeners: list[Callable[[Iterable[ServiceKey]], None]] = []
        self._conntrack = Conntrack()
        self._ready = False
        self._repair = asyncio.Event()

    def close(self) -> None:
        self._conntrack.close()

    def on_written(self, listener: Callable[[Iterable[ServiceKey]], None]) -> None:
        """Call ``listener`` with the Services that were touched, once the kernel has their changes."""
        self._listeners.append(listener)

    def slice_changed(self, old: wire.EndpointSlice | None, new: wire.EndpointSlice | None) -> None:
        """For an informer of EndpointSlices; ``flush`` then writes."""
        metrics.endpoint_changes.inc()
        self.tracker.slice_changed(old, new)
        trigger = _trigger_of(new)
        if trigger and trigger != _trigger_of(old) and self._ready:
            self._triggers.append(trigger)

    def flush(self) -> None:
        """Write what has changed since last time; during a repair, leave it to that."""
        if not (self.tracker.has_changes or self.backend.has_changes):
            return
        if self.pending_since is None:
            self.pending_since = time.monotonic()
        if not self._ready:
            return
        started = time.monotonic()
        changes = self._apply()
        try:
            self.backend.commit()
        except (NftablesError, NetlinkError, OSError) as error:
            self._fail(str(error))
            return
        self._done(started, changes)

    async def run(self) -> None:
        """Bring the kernel up to date, then keep watching over it. Runs until cancelled.

        What the tracker has is taken as complete: call it when all informers have synced.
        """
        loop = asyncio.get_running_loop()
        descriptor = self.backend.watch()
        self.backend.read()
        self._apply()
        # What is known now mostly stays; the collector need not walk it again and again.
        gc.collect()
        gc.freeze()
        self._repair.set()
        backoff = Backoff()
        loop.add_reader(descriptor, self._touched)
        try:
            while True:
                await self._repair.wait()
                self._repair.clear()
                if await self._reconcile():
                    backoff.reset()
                else:
                    await asyncio.sleep(backoff.next())
                    self._repair.set()
        finally:
            loop.remove_reader(descriptor)
            self.backend.stop_watching()

    async def _reconcile(self) -> bool:
        self._ready = False
        started = time.monotonic()
        try:
            await self.backend.reconcile()
        except (NftablesError, NetlinkError, OSError) as error:
            self._fail(str(error))
            return False
        self._ready = True
        seconds = time.monotonic() - started
        statistics = self.backend.statistics
        _log.info("rules are in place", seconds=round(seconds, 3), ports=self.backend.ports)
        metrics.full_sync_seconds.observe(seconds)
        metrics.longest_batch_seconds.set(statistics.longest_seconds)
        self._done(started, [])
        self._forget_all_flows()
        if self.tracker.has_changes:
            self.flush()
        if self._ready:
            self.synced.set()
        return True

    def _apply(self) -> list[PortChange]:
        changes = list(self.tracker.take_changes())
        for key, _, new in changes:
            try:
                if new is None:
                    self.backend.set_port(key, None)
                else:
                    self.backend.set_port(key, new.port, new.choice)
            except Exhausted as error:
                _log.error("no room for a Service port", port=str(key), reason=str(error))
        return changes

    def _done(self, started: float, changes: list[PortChange]) -> None:
        now = time.monotonic()
        self.failing = ""
        self.pending_since = None
        metrics.sync_seconds.observe(now - started)
        self.last_written = time.time()
        metrics.last_sync_seconds.set(self.last_written)
        for trigger in self._triggers:
            metrics.programming_seconds.observe(max(self.last_written - _seconds(trigger), 0.0))
        self._triggers.clear()
        for change in changes:
            self._forget_flows(change.old, change.new)
        touched = self.tracker.take_touched()
        for listener in self._listeners:
            listener(touched)

    def _forget_flows(self, old: PortState | None, new: PortState | None) -> None:
        """UDP clients of endpoints that are gone, or from before there were any, must start anew."""
        if new is None or not new.serving or (old is not None and old.serving <= new.serving and old.serving):
            return
        try:
            count = forget_stale_flows(self._conntrack, new.port, new.serving)
        except (NetlinkError, OSError) as error:
            _log.warning("cannot forget UDP flows", port=str(new.port.key), error=str(error))
            return
        if count:
            _log.debug("forgot UDP flows", port=str(new.port.key), count=count)

    def _forget_all_flows(self) -> None:
        """What went stale while nobody looked."""
        try:
            count = forget_all_stale_flows(self._conntrack, self.tracker.states())
        except (NetlinkError, OSError) as error:
            _log.warning("cannot forget UDP flows", error=str(error))
            return
        if count:
            _log.info("forgot UDP flows to endpoints that are gone", count=count)

    def _fail(self, why: str) -> None:
        if why != self.failing:
            _log.error("the kernel does not have the wanted rules; comparing and trying again", reason=why)
        self.failing = why
        self._ready = False
        metrics.sync_failures.inc()
        self._repair.set()

    def _touched(self) -> None:
        if self.backend.was_touched():
            _log.warning("another program changed our nftables table; restoring it")
            self.backend.statistics.repairs += 1
            self._ready = False
            self._repair.set()


def _trigger_of(slice_: wire.EndpointSlice | None) -> str:
    annotations = slice_.metadata.annotations if slice_ is not None else None
    return annotations.triggerTime if annotations is not None else ""


def _seconds(trigger: str) -> float:
    try:
        return times.parse(trigger).timestamp()
    except ValueError:
        return time.time()
