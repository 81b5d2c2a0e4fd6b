"""The life of one Pod on this node, from its assignment to its removal.

``run`` looks at what is and at what should be, does the next step, and waits until something changes:
the Pod's object, a container's end, a probe, or a delay running out. Every step can be cut off at any
time; a new agent begins by finding out what is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec

from clusterip.node.layout import PodDirectory
from clusterip.node.pods import starter
from clusterip.node.pods.admission import Refusal
from clusterip.node.pods.adoption import adopt_slots, ephemeral_slot, make_slots
from clusterip.node.pods.backoff import go_duration
from clusterip.node.pods.blueprint import spec_hash
from clusterip.node.pods.context import NodeContext
from clusterip.node.pods.home import Home
from clusterip.node.pods.plan import could_start, due, is_done
from clusterip.node.pods.probe import Kind
from clusterip.node.pods.probing import ProbeCounts, Probing
from clusterip.node.pods.removal import delete_object, remove_files, remove_volumes, stop_all
from clusterip.node.pods.reporter import Reporter
from clusterip.node.pods.slot import Slot
from clusterip.node.pods.static.manifest import is_static
from clusterip.node.pods.static.mirror import MirrorReporter
from clusterip.node.pods.status import TERMINAL, Situation, pod_status
from clusterip.node.pods.storage import StorageWatch
from clusterip.node.pods.termination import Deadline, stop
from clusterip.node.sandbox.sandbox import Sandbox
from clusterip.objects import times
from clusterip.objects.core.pod import Pod, PodStatus
from clusterip.process import log

_log = log.get("node")

_AT_ONCE = 1.0  # seconds of grace for a Pod that is evicted for the harm it does
_RETRY_SECONDS = 2.0  # after a failure that something outside must mend: an image, a ConfigMap
_DEFAULT_GRACE = 30
_OVER_DEADLINE = "Pod was active on the node longer than the specified deadline"


class PodWorker:
    """Runs one Pod. ``update`` and ``remove`` tell it what has become of the Pod's object.

    ``adopted`` is set once what an earlier agent left has been found, ``over`` once nothing of it runs any
    more or ever will.
    """

    def __init__(self, context: NodeContext, pod: Pod, directory: PodDirectory) -> None:
        self.slots: list[Slot] = make_slots(pod)
        self.directory = directory
        self.adopted = asyncio.Event()
        self.over = asyncio.Event()
        self._context = context
        self._storage = StorageWatch(directory)
        self._home = Home(context, pod, directory)
        kind = MirrorReporter if is_static(pod) else Reporter
        self._reporter = kind(context.client, pod, self._status)
        self._wake = asyncio.Event()
        self._removed = False
        self._finished = False
        self._override: tuple[str, str, str] | None = None
        self._evicted = ""
        self._eviction_grace = _AT_ONCE
        self._admitted = False
        self._start_time = pod.status.startTime or times.now()
        self._deadline: Deadline | None = None
        self._probing = Probing(
            context, lambda: self.pod, self._host, changed=self._changed, failed=self._probe_failed
        )

    @property
    def pod(self) -> Pod:
        """The newest known object."""
        return self._reporter.pod

    @property
    def sandbox(self) -> Sandbox | None:
        """The Pod's sandbox, if it has one now."""
        return self._home.sandbox

    @property
    def admitted(self) -> bool:
        """Whether the node has taken the Pod, and it is not over."""
        begun = self._home.sandbox is not None or any(slot.begun for slot in self.slots)
        known = self._admitted or begun or bool(self.pod.status.podIP)
        return known and not self._finished and self.pod.status.phase not in TERMINAL

    @property
    def probe_counts(self) -> dict[str, ProbeCounts]:
        """How many checks the probes of each container have done."""
        return self._probing.counts

    def update(self, pod: Pod) -> None:
        """The object has changed."""
        before, after = self.pod.metadata, pod.metadata
        if (before.labels, before.annotations) != (after.labels, after.annotations):
            self._home.refresh()  # the downward API shows them; and upstream looks at all volumes then
        self._reporter.observe(pod)
        specs = {spec.name: spec for spec in (*pod.spec.initContainers, *pod.spec.containers)}
        for slot in self.slots:
            slot.spec = specs.get(slot.name, slot.spec)
        known = {slot.name for slot in self.slots}
        added = [each for each in pod.spec.ephemeralContainers if each.name not in known]
        self.slots += [ephemeral_slot(each) for each in added]
        if pod.metadata.deletionTimestamp and self._deadline is not None:
            self._deadline.shorten(self._grace())
        self._wake.set()

    def shown(self) -> Pod:
        """The Pod as this node knows it, which may be more than the API server does yet."""
        return msgspec.structs.replace(self.pod, status=self._status(self.pod))

    def mirror_changed(self, mirror: Pod | None) -> None:
        """What the API server shows of this static Pod has changed, or is gone."""
        if isinstance(self._reporter, MirrorReporter):
            self._reporter.seen(mirror)

    def evict(self, why: str, grace: float | None = None) -> None:
        """End the Pod for good: the node needs what it uses.

        ``grace``: seconds, if it may take longer than no time; but never longer than its own.
        """
        self._evicted = why
        self._eviction_grace = _AT_ONCE if grace is None else max(_AT_ONCE, min(grace, self._grace()))
        self._wake.set()

    def remove(self) -> None:
        """The object is gone: end everything."""
        self._removed = True
        self._reporter.stop()
        if self._deadline is not None:
            self._deadline.shorten(1)
        self._wake.set()

    async def run(self) -> None:
        """Live the Pod's life; returns once nothing is left of it here."""
        reporting = asyncio.create_task(self._reporter.run())
        try:
            self._home.find(self.pod)
            context = self._context
            await adopt_slots(self.slots, self.directory, context.inotify, self.pod, context.logs)
            self.adopted.set()
            for slot in self.slots:
                self._follow(slot)
                if slot.running:
                    self._probing.begin(slot, adopted=True)
            while not (self.pod.metadata.deletionTimestamp or self._removed):
                self._wake.clear()
                delay = await self._step()
                self._reporter.report()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), delay)
            await self._end()
        finally:
            self.over.set()
            reporting.cancel()
            for slot in self.slots:
                slot.stop_probes()
                if slot.task is not None:
                    slot.task.cancel()
                if slot.container is not None and not slot.container.exited.done():
                    slot.container.detach()

    # Steps

    async def _step(self) -> float | None:
        """Do what can be done now; the seconds after which to look again, None for not by time."""
        if self._finished:
            return None
        if self.pod.status.phase in TERMINAL:
            await self._finish()  # an earlier agent said so, but may not have come to the rest
            return None
        if self._over_deadline():
            self._override = ("Failed", "DeadlineExceeded", _OVER_DEADLINE)
            self._context.event(self.pod, "Normal", "DeadlineExceeded", _OVER_DEADLINE)
            await self._finish()
            return None
        if is_done(self.slots, self.pod.spec):
            await self._finish()
            return None
        if not self.admitted:
            if refusal := self._context.refusal(self.pod):
                await self._refuse(refusal)
                return None
            self._admitted = True
        if why := self._evicted or await self._storage.exceeded(self.pod):
            self._override = ("Failed", "Evicted", why)
            self._context.event(self.pod, "Warning", "Evicted", why)
            await self._finish(self._eviction_grace)
            return None
        try:
            mounted = await self._prepare()
        except starter.StartFailed as error:
            for slot in self.slots:
                if slot.container is None:
                    slot.waiting = (error.reason, "")
            return _RETRY_SECONDS
        delays = [self._consider(slot, mounted) for slot in due(self.slots)]
        delays.append(self._until_deadline())
        delays.append(self._home.stale_in(self.pod))
        delays.append(self._storage.due_in(self.pod))
        return min((delay for delay in delays if delay is not None), default=None)

    async def _prepare(self) -> dict[str, Path]:
        """Have a sandbox and volumes, which containers need. Raises StartFailed."""
        if any(slot.exit is not None for slot in self.slots):
            self._home.drop_lost_sandbox(self.pod)  # it may be why they ended
        if self._home.sandbox is None:
            await self._end_strays()
            self._home.make_sandbox(self.pod)
        needed = any(could_start(slot) for slot in self.slots)
        return await self._home.fill_volumes(self.pod, needed=needed)

    async def _end_strays(self) -> None:
        """End containers whose sandbox is gone; they could not be reached any more."""
        for slot in self.slots:
            if slot.container is not None and slot.container.exit is None:
                slot.container.kill(signal.SIGKILL)
                await slot.container.exited

    def _consider(self, slot: Slot, mounted: dict[str, Path]) -> float | None:
        """Start a container unless it runs, has done its work or must wait."""
        if slot.busy or (slot.kind == "init" and slot.succeeded):
            return None
        if slot.running:
            if slot.container and slot.container.record.spec_hash != spec_hash(slot.spec):
                message = f"Container {slot.name} definition changed, will be restarted"
                self._work(slot, self._stop_slot(slot, message))
            return None
        if slot.exit is not None and not slot.restarts(self.pod.spec):
            return None
        slot.note_exit()  # its end may be known here before the callback has run
        delay = slot.wait_seconds()
        if delay > 0:
            if slot.exit is not None and slot.waiting is None:
                self._say_backing_off(slot)
            return delay
        self._work(slot, self._start_slot(slot, mounted))
        return None

    async def _start_slot(self, slot: Slot, mounted: dict[str, Path]) -> None:
        # What it waited for stays said until it runs, as upstream's reason cache does: a try is no news.
        try:
            sandbox = self._home.make_sandbox(self.pod)
            target = next((each.container for each in self.slots if each.name == slot.target), None)
            await starter.start(self._context, self._home.facts(self.pod), slot, sandbox, mounted, target)
        except starter.StartFailed as error:
            slot.waiting = (error.reason, str(error))
            slot.retry_at = time.time() + _RETRY_SECONDS
            return
        self._follow(slot)
        if slot.running:
            self._probing.begin(slot)

    async def _stop_slot(self, slot: Slot, message: str, seconds: float | None = None) -> None:
        deadline = Deadline(self._grace() if seconds is None else seconds)
        await stop(self._context, self.pod, slot, deadline, message, self._host())

    def _say_backing_off(self, slot: Slot) -> None:
        meta = self.pod.metadata
        shown = f"{meta.name}_{meta.namespace}({meta.uid})"
        delay = go_duration(slot.backoff.current)
        text = f"back-off {delay} restarting failed container={slot.name} pod={shown}"
        slot.waiting = ("CrashLoopBackOff", text)
        message = f"Back-off restarting failed container {slot.name} in pod {shown}"
        self._context.event(self.pod, "Warning", "BackOff", message, container=slot.name)

    # The end

    async def _refuse(self, refusal: Refusal) -> None:
        """The node does not take the Pod."""
        self._override = ("Failed", refusal.reason, f"Pod was rejected: {refusal.message}")
        self._context.event(self.pod, "Warning", refusal.reason, refusal.message)
        await self._finish(_AT_ONCE)

    async def _finish(self, grace: float | None = None) -> None:
        """The work is done: end what still runs, give back the network, say so for good."""
        deadline = Deadline(self._grace() if grace is None else grace)
        await stop_all(self._context, self.pod, self.slots, deadline, self._host())
        self._home.release()
        self._finished = True
        self.over.set()
        # What it wrote helps nobody any more; its logs are still asked for.
        with contextlib.suppress(OSError):
            await asyncio.to_thread(remove_volumes, self.directory)

    async def _end(self) -> None:
        """The Pod is deleted: end its containers, remove what it has here, then its object."""
        for slot in self.slots:
            if slot.task is not None and not slot.running:
                slot.task.cancel()
            slot.stop_probes(keep_readiness=True)
        self._deadline = Deadline(self._grace())
        self._reporter.report()
        await stop_all(self._context, self.pod, self.slots, self._deadline, self._host())
        self._finished = True
        if not self._reporter.gone:
            self._reporter.report()
            await self._reporter.flush()
        self._home.release()
        await asyncio.to_thread(remove_files, self.directory)
        self._context.puller.forget(self.pod.metadata.uid)
        self._context.sources.forget(self.pod.metadata.uid)
        await delete_object(self._context, self.pod, lambda: self._removed)

    # What is heard

    def _follow(self, slot: Slot) -> None:
        """Wake up when the slot's current container ends."""
        container = slot.container
        if container is None:
            return

        def ended(_exit: object) -> None:
            if slot.container is container:
                slot.note_exit()
                self._changed()

        container.exited.add_done_callback(ended)

    def _probe_failed(self, slot: Slot, kind: Kind) -> None:
        what = f"Container {slot.name} failed {kind.lower()} probe"
        if slot.restarts_when_killed(self.pod.spec):
            what += ", will be restarted"
        probe = slot.spec.livenessProbe if kind == "Liveness" else slot.spec.startupProbe
        seconds = probe.terminationGracePeriodSeconds if probe else None
        if not slot.busy:
            self._work(slot, self._stop_slot(slot, what, seconds))

    def _work(self, slot: Slot, work: Coroutine[Any, Any, None]) -> None:
        task = slot.task = asyncio.create_task(work)

        def done(finished: asyncio.Task[None]) -> None:
            if not finished.cancelled() and (error := finished.exception()):
                meta = self.pod.metadata
                where = f"{meta.namespace}/{meta.name}/{slot.name}"
                _log.error("container not handled", container=where, error=repr(error))
                slot.waiting = ("RunContainerError", str(error))
                slot.retry_at = time.time() + _RETRY_SECONDS
            self._changed()

        task.add_done_callback(done)

    def _changed(self) -> None:
        self._reporter.report()
        self._wake.set()

    # What is known

    def _host(self) -> str:
        """Where probes reach the Pod."""
        addresses = self._home.addresses
        return addresses[0] if addresses else ""

    def _grace(self) -> float:
        meta, spec = self.pod.metadata, self.pod.spec
        seconds = meta.deletionGracePeriodSeconds
        if seconds is None:
            seconds = spec.terminationGracePeriodSeconds
        return float(max(1, _DEFAULT_GRACE if seconds is None else seconds))

    def _until_deadline(self) -> float | None:
        limit = self.pod.spec.activeDeadlineSeconds
        return None if limit is None else max(0.0, limit - times.seconds_since(self._start_time))

    def _over_deadline(self) -> bool:
        return self._until_deadline() == 0.0

    def _status(self, pod: Pod) -> PodStatus:
        if pod.status.phase in TERMINAL and not any(slot.container for slot in self.slots):
            return pod.status  # over, and what we knew of it is gone
        situation = Situation(
            pod_ips=self._home.addresses,
            host_ips=self._context.addresses,
            has_sandbox=self._home.sandbox is not None,
            finished=self._finished,
            start_time=self._start_time,
            override=self._override if self._finished else None,
            evicted=self._evicted,
        )
        return pod_status(pod, self.slots, situation)
