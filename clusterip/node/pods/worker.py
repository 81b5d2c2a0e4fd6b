"""The life of one Pod on this node, from its assignment to its removal.

``run`` looks at what is and at what should be, does the next step, and waits until something changes:
the Pod's object, a container's end, a probe, or a delay running out. Every step can be cut off at any
time; a new agent begins by finding out what is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from typing import Any

from clusterip.client.errors import ApiError, Unreachable
from clusterip.node.files import remove_tree
from clusterip.node.layout import PodDirectory
from clusterip.node.network.ipam import Exhausted
from clusterip.node.pods import starter, volumes
from clusterip.node.pods.adoption import adopt_slots, make_slots
from clusterip.node.pods.blueprint import spec_hash
from clusterip.node.pods.context import NodeContext
from clusterip.node.pods.downward import PodFacts
from clusterip.node.pods.probe import Kind
from clusterip.node.pods.probing import Probing
from clusterip.node.pods.reporter import Reporter
from clusterip.node.pods.slot import Slot
from clusterip.node.pods.status import TERMINAL, Situation, pod_status
from clusterip.node.pods.termination import Deadline, stop
from clusterip.node.sandbox import sandbox as sandboxes
from clusterip.node.sandbox.sandbox import Sandbox
from clusterip.objects import times
from clusterip.objects.core.pod import Pod, PodStatus
from clusterip.process import log

_log = log.get("node")

_RETRY_SECONDS = 2.0  # after a failure that something outside must mend: an image, a ConfigMap
_DEFAULT_GRACE = 30
_OVER_DEADLINE = "Pod was active on the node longer than the specified deadline"


class PodWorker:
    """Runs one Pod. ``update`` and ``remove`` tell it what has become of the Pod's object."""

    def __init__(self, context: NodeContext, pod: Pod, directory: PodDirectory) -> None:
        self.slots: list[Slot] = make_slots(pod)
        self.sandbox: Sandbox | None = None
        self.directory = directory
        self._context = context
        self._reporter = Reporter(context.client, pod, self._status)
        self._wake = asyncio.Event()
        self._removed = False
        self._finished = False
        self._last_pod_ips = [each.ip for each in pod.status.podIPs]
        self._override: tuple[str, str, str] | None = None
        self._start_time = pod.status.startTime or times.now()
        self._deadline: Deadline | None = None
        self._probing = Probing(
            context, lambda: self.pod, self._host, changed=self._changed, failed=self._probe_failed
        )

    @property
    def pod(self) -> Pod:
        """The newest known object."""
        return self._reporter.pod

    def update(self, pod: Pod) -> None:
        self._reporter.observe(pod)
        if pod.metadata.deletionTimestamp and self._deadline is not None:
            self._deadline.shorten(self._grace())
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
            self.sandbox = sandboxes.load(self.directory)
            await adopt_slots(self.slots, self.directory, self._context.inotify, self.pod)
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
        if self._is_done():
            await self._finish()
            return None
        try:
            mounted = await self._prepare()
        except starter.StartFailed as error:
            for slot in self.slots:
                if slot.container is None:
                    slot.waiting = (error.reason, "")
            return _RETRY_SECONDS
        delays = [self._consider(slot, mounted) for slot in self._due()]
        delays.append(self._until_deadline())
        return min((delay for delay in delays if delay is not None), default=None)

    async def _prepare(self) -> dict[str, Any]:
        """Have a sandbox and volumes, which containers need. Raises StartFailed."""
        if self.sandbox is None:
            try:
                self.sandbox = sandboxes.create(
                    self.pod, self.directory, self._context.pools, self._context.sandboxes
                )
            except (OSError, Exhausted) as error:
                message = f"Failed to create pod sandbox: {error}"
                self._context.event(self.pod, "Warning", "FailedCreatePodSandBox", message)
                raise starter.StartFailed("ContainerCreating", message) from error
        if all(slot.running or slot.busy for slot in self.slots):
            return {}
        return await starter.set_up_volumes(self._context, self._facts(), self.directory)

    def _due(self) -> list[Slot]:
        """The containers that should run now: one after the other the init ones, then all the rest."""
        due: list[Slot] = []
        for slot in self.slots:
            if slot.kind == "init" and not slot.succeeded:
                return [*due, slot] if not self._begun() else due
            if slot.kind == "sidecar":
                due.append(slot)
                if not slot.started and not self._begun():
                    return due
        return due + [slot for slot in self.slots if slot.kind == "regular"]

    def _begun(self) -> bool:
        return any(slot.kind == "regular" and slot.begun for slot in self.slots)

    def _consider(self, slot: Slot, mounted: dict[str, Any]) -> float | None:
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
        delay = slot.wait_seconds()
        if delay > 0:
            if slot.exit is not None and slot.waiting is None:
                self._say_backing_off(slot)
            return delay
        self._work(slot, self._start_slot(slot, mounted))
        return None

    async def _start_slot(self, slot: Slot, mounted: dict[str, Any]) -> None:
        assert self.sandbox
        if slot.exit is None:
            slot.waiting = None
        try:
            await starter.start(self._context, self._facts(), slot, self.sandbox, mounted)
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
        delay = f"{slot.backoff.current:g}s" if slot.backoff.current < 60 else _minutes(slot.backoff.current)
        text = f"back-off {delay} restarting failed container={slot.name} pod={shown}"
        slot.waiting = ("CrashLoopBackOff", text)
        message = f"Back-off restarting failed container {slot.name} in pod {shown}"
        self._context.event(self.pod, "Warning", "BackOff", message, container=slot.name)

    # The end

    def _is_done(self) -> bool:
        """Whether no container will run any more by its own doing."""
        if any(slot.busy for slot in self.slots):
            return False
        for slot in self.slots:
            if slot.kind == "init" and slot.exit and slot.exit.code and not slot.restarts(self.pod.spec):
                return True
        regular = [slot for slot in self.slots if slot.kind == "regular"]
        return all(slot.exit is not None and not slot.restarts(self.pod.spec) for slot in regular)

    async def _finish(self) -> None:
        """The work is done: end sidecars, give back the network, say so for good."""
        await self._stop_all(Deadline(self._grace()))
        pod_ips = self._pod_ips()
        self._release_sandbox()
        self._last_pod_ips = pod_ips
        self._finished = True

    async def _end(self) -> None:
        """The Pod is deleted: end its containers, remove what it has here, then its object."""
        for slot in self.slots:
            if slot.task is not None and not slot.running:
                slot.task.cancel()
            slot.stop_probes(keep_readiness=True)
        self._deadline = Deadline(self._grace())
        self._reporter.report()
        await self._stop_all(self._deadline)
        self._finished = True
        self._last_pod_ips = self._pod_ips()
        if not self._reporter.gone:
            self._reporter.report()
            await self._reporter.flush()
        self._release_sandbox()
        await asyncio.to_thread(self._remove_files)
        self._context.puller.forget(self.pod.metadata.uid)
        await self._delete_object()

    async def _stop_all(self, deadline: Deadline) -> None:
        """Stop the regular containers together, then the sidecars, the last one first."""

        async def end(slot: Slot) -> None:
            await stop(
                self._context, self.pod, slot, deadline, f"Stopping container {slot.name}", self._host()
            )

        await asyncio.gather(*(end(slot) for slot in self.slots if slot.kind != "sidecar"))
        for slot in reversed(self.slots):
            if slot.kind == "sidecar":
                await end(slot)

    def _release_sandbox(self) -> None:
        sandboxes.delete(self.directory, self._context.pools)
        self.sandbox = None

    def _remove_files(self) -> None:
        volumes.tear_down(self.directory)
        remove_tree(self.directory.path)

    async def _delete_object(self) -> None:
        meta = self.pod.metadata
        while not self._removed:
            try:
                await self._context.client.delete(
                    Pod, meta.name, meta.namespace, grace_period_seconds=0, uid=meta.uid
                )
                return
            except Unreachable:
                await asyncio.sleep(1.0)
            except ApiError as error:
                if error.is_not_found or error.is_conflict:
                    return
                _log.warning("pod not deleted", pod=f"{meta.namespace}/{meta.name}", error=str(error))
                await asyncio.sleep(1.0)

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

    def _facts(self) -> PodFacts:
        return PodFacts(self.pod, self._pod_ips(), self._context.addresses, self._context.name)

    def _pod_ips(self) -> list[str]:
        if self.sandbox is None:
            return list(self._last_pod_ips)
        if not self.sandbox.record.network:
            return list(self._context.addresses)
        return self.sandbox.addresses

    def _host(self) -> str:
        """Where probes reach the Pod."""
        addresses = self._pod_ips()
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
            pod_ips=self._pod_ips(),
            host_ips=self._context.addresses,
            has_sandbox=self.sandbox is not None,
            finished=self._finished,
            start_time=self._start_time,
            override=self._override if self._finished else None,
        )
        return pod_status(pod, self.slots, situation)


def _minutes(seconds: float) -> str:
    """A delay as Go prints it: ``1m20s``."""
    return f"{int(seconds) // 60}m{int(seconds) % 60}s"
