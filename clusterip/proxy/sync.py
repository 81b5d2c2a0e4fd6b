"""From what the API says to the kernel: one batch for whatever arrived together, without timers."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Collection, Iterable

from clusterip.client.backoff import Backoff
from clusterip.kernel.conntrack import Conntrack
from clusterip.kernel.netlink import NetlinkError
from clusterip.objects import times
from clusterip.process import log
from clusterip.proxy import metrics, wire
from clusterip.proxy.alarm import Alarm
from clusterip.proxy.backend import Backend, BackendError, Refusal
from clusterip.proxy.model import PortState, ServiceKey
from clusterip.proxy.stale import forget_all_stale_flows, forget_stale_flows
from clusterip.proxy.tracker import PortChange, Tracker

_log = log.get("proxy")

_QUIET_SECONDS = 10.0
"""After so long without others' changes, the next is put right at once again."""


class Sync:
    """Keeps the data plane as the tracker says.

    ``flush`` has ``run`` write what has changed, at once. When the kernel cannot be used, or somebody else
    has changed the rules, everything is compared with the kernel and put right; meanwhile changes wait.
    """

    def __init__(self, tracker: Tracker, backend: Backend) -> None:
        self.tracker = tracker
        self.backend = backend
        self.failing = ""
        """Why the kernel does not have the wanted state; empty if it has."""
        self.refused: Collection[Refusal] = ()
        """What the kernel refused, while it has all the rest."""
        self.repairs = 0
        """How often others' changes were put right."""
        self.pending_since: float | None = None
        """When (monotonic) the oldest change not yet in the kernel came."""
        self.last_written = 0.0
        """When (seconds since 1970) changes were last written."""
        self.latency = 0.0
        """How long (seconds) the oldest of the changes last written had waited, from its arrival here."""
        self.synced = asyncio.Event()
        """Set once the first rules are in place."""
        self._settled = asyncio.Event()
        self._wake = asyncio.Event()
        self._everything = True
        self._retry_refused = False
        self._changes: list[PortChange] = []
        self._triggers: list[str] = []
        self._arrived: float | None = None
        self._listeners: list[Callable[[Iterable[ServiceKey]], None]] = []
        self._troubled: list[Callable[[str, str], None]] = []
        self._restoring = False
        self._conntrack = Conntrack()
        self._failure_backoff = Backoff()
        self._refusal_backoff = Backoff(first=1.0, limit=60.0)
        self._repair_backoff = Backoff()
        self._last_repair = -_QUIET_SECONDS
        self._later = Alarm(self._wake.set)
        self._retry = Alarm(self._retry_what_was_refused)

    def close(self) -> None:
        """Let go of the backend too; the rules stay."""
        self._conntrack.close()
        self.backend.close()

    def on_trouble(self, listener: Callable[[str, str], None]) -> None:
        """Call ``listener`` with a reason (one word) and a message when people should know of something."""
        self._troubled.append(listener)

    def on_written(self, listener: Callable[[Iterable[ServiceKey]], None]) -> None:
        """Call ``listener`` with the Services that were touched, once the kernel has their changes."""
        self._listeners.append(listener)

    def slice_changed(self, old: wire.EndpointSlice | None, new: wire.EndpointSlice | None) -> None:
        """For an informer of EndpointSlices; ``flush`` then writes."""
        metrics.endpoint_changes.inc()
        self.tracker.slice_changed(old, new)
        trigger = _trigger_of(new)
        if trigger and trigger != _trigger_of(old) and self.synced.is_set():
            self._triggers.append(trigger)

    def flush(self) -> None:
        """Have what changed since last time written; what comes before that begins, goes with it."""
        if not (self.tracker.has_changes or self.backend.has_changes):
            return
        now = time.monotonic()
        if self.pending_since is None:
            self.pending_since = now
        if self._arrived is None:
            self._arrived = now
        self._settled.clear()
        if not self._later.is_set:
            self._wake.set()

    async def settled(self) -> None:
        """Return once all that was flushed before has been written."""
        await self._settled.wait()

    async def run(self) -> None:
        """Bring the kernel up to date, then keep watching over it. Runs until cancelled.

        What the tracker has is taken as complete: call it when all informers have synced.
        """
        self.backend.watch(self.touched)
        await self._adopt()
        try:
            await self._write_first()
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._write()
        finally:
            self._later.cancel()
            self._retry.cancel()

    async def _write_first(self) -> None:
        """Write all there is. What is made for that mostly stays: the collector need never walk it."""
        gc.disable()
        try:
            await self._write()
        finally:
            gc.freeze()
            gc.enable()

    async def _adopt(self) -> None:
        while True:
            try:
                return await self.backend.adopt()
            except BackendError as error:
                self._fail(str(error))
                await asyncio.sleep(self._failure_backoff.next())

    async def _write(self) -> None:
        started = time.monotonic()
        everything, self._everything = self._everything, False
        retry, self._retry_refused = self._retry_refused, False
        arrived, self._arrived = self._arrived, None
        self._hand_over()
        changes, self._changes = self._changes, []
        triggers, self._triggers = self._triggers, []
        try:
            if everything:
                refused = await self.backend.reconcile()
            elif self.backend.has_changes or retry:
                refused = await self.backend.apply(retry=retry)
            else:
                refused = self.refused
        except BackendError as error:
            self._changes[:0], self._triggers[:0] = changes, triggers
            self._arrived = arrived if arrived is not None else self._arrived
            self._everything = True
            self._fail(str(error))
            self._later.set(self._failure_backoff.next())
            return
        self.failing = ""
        self._failure_backoff.reset()
        self._note_refusals(refused)
        self._note_latency(arrived)
        self._done(started, changes, triggers, everything=everything)
        if not self._wake.is_set():
            self.pending_since = None
            self._settled.set()

    def _hand_over(self) -> None:
        """Tell the backend what the tracker finds different."""
        for change in self.tracker.take_changes():
            self.backend.set_port(change.key, change.new)
            self._changes.append(change)

    def _note_latency(self, arrived: float | None) -> None:
        if arrived is not None and self.synced.is_set():
            self.latency = time.monotonic() - arrived
            metrics.change_seconds.observe(self.latency)

    def _done(
        self, started: float, changes: list[PortChange], triggers: list[str], *, everything: bool
    ) -> None:
        seconds = time.monotonic() - started
        metrics.sync_seconds.observe(seconds)
        self.last_written = time.time()
        metrics.last_sync_seconds.set(self.last_written)
        for trigger in triggers:
            metrics.programming_seconds.observe(max(self.last_written - _seconds(trigger), 0.0))
        if everything:
            _log.info("rules are in place", seconds=round(seconds, 3), ports=self.tracker.ports)
            if self._restoring:
                self._restoring = False
                self._tell("RulesRestored", "another program changed the proxy's rules; they are restored")
            metrics.full_sync_seconds.observe(seconds)
            self._forget_all_flows()
            self.synced.set()
        else:
            metrics.partial_sync_seconds.observe(seconds)
            self._forget_flows(
                [new for _, old, new in changes if new is not None and _moves_clients(old, new)]
            )
        touched = self.tracker.take_touched()
        for listener in self._listeners:
            listener(touched)

    def _forget_flows(self, states: list[PortState]) -> None:
        """Clients of these UDP ports must start anew, as far as they are where no endpoint is any more."""
        if not states:
            return
        try:
            if len(states) == 1 and not states[0].port.node_port:
                count = forget_stale_flows(self._conntrack, states[0].port, states[0].serving)
            else:  # one listing is quicker than several, and node ports need all of it
                count = forget_all_stale_flows(self._conntrack, states)
        except (NetlinkError, OSError) as error:
            _log.warning("cannot forget UDP flows", port=str(states[0].port.key), error=str(error))
            return
        if count:
            _log.debug("forgot UDP flows", port=str(states[0].port.key), count=count)

    def _forget_all_flows(self) -> None:
        """What went stale while nobody looked."""
        try:
            count = forget_all_stale_flows(self._conntrack, self.tracker.states())
        except (NetlinkError, OSError) as error:
            _log.warning("cannot forget UDP flows", error=str(error))
            return
        if count:
            _log.info("forgot UDP flows to endpoints that are gone", count=count)

    def _note_refusals(self, refused: Collection[Refusal]) -> None:
        known = {refusal.subject for refusal in self.refused}
        for refusal in refused:
            if refusal.subject not in known:
                metrics.refusals.inc()
                self._tell("RulesRefused", f"the kernel refused {refusal.subject}: {refusal.reason}")
                _log.error(
                    "the kernel refused a part; all the rest is in place, and this will be tried again",
                    part=refusal.subject,
                    reason=refusal.reason,
                )
        if len(refused) < len(self.refused):
            self._refusal_backoff.reset()
        self.refused = tuple(refused)
        metrics.refused.set(len(self.refused))
        if self.refused:
            if not self._retry.is_set:
                self._retry.set(self._refusal_backoff.next())
        else:
            self._retry.cancel()
            self._refusal_backoff.reset()

    def _retry_what_was_refused(self) -> None:
        self._retry_refused = True
        self._wake.set()

    def _fail(self, why: str) -> None:
        if why != self.failing:
            _log.error("the kernel does not have the wanted rules; comparing and trying again", reason=why)
            self._tell("CannotWriteRules", f"the kernel does not have the wanted rules: {why}")
        self.failing = why
        if self.pending_since is None:
            self.pending_since = time.monotonic()
        self._settled.clear()
        metrics.sync_failures.inc()

    def _tell(self, reason: str, message: str) -> None:
        for listener in self._troubled:
            listener(reason, message)

    def touched(self) -> None:
        """For the backend: what the kernel has may not be what it was told."""
        self._everything = True
        self._settled.clear()
        if self._later.is_set or self._wake.is_set():
            return
        _log.warning("another program changed our rules; restoring them")
        self.repairs += 1
        self._restoring = True
        metrics.repairs.inc()
        now = time.monotonic()
        if now - self._last_repair > _QUIET_SECONDS:
            self._repair_backoff.reset()
            self._wake.set()
        else:  # two that undo each other's work for ever shall not do so at full speed
            self._later.set(self._repair_backoff.next())
        self._last_repair = now


def _moves_clients(old: PortState | None, new: PortState) -> bool:
    """Whether UDP endpoints are gone, or there were none before; and there are some now."""
    if not new.serving:
        return False
    return old is None or not old.serving or not old.serving <= new.serving


def _trigger_of(slice_: wire.EndpointSlice | None) -> str:
    annotations = slice_.metadata.annotations if slice_ is not None else None
    return annotations.triggerTime if annotations is not None else ""


def _seconds(trigger: str) -> float:
    try:
        return times.parse(trigger).timestamp()
    except ValueError:
        return time.time()
