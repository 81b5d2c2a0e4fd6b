"""Starting the probes of a running container and taking in what they say."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Callable

from clusterip.node.pods import checks
from clusterip.node.pods.checks import CheckFailed
from clusterip.node.pods.context import NodeContext
from clusterip.node.pods.probe import Kind, Prober
from clusterip.node.pods.slot import Slot
from clusterip.objects.core.containers import Probe
from clusterip.objects.core.pod import Pod
from clusterip.process import log

_log = log.get("node")

ProbeCounts = Counter[tuple[str, str]]
"""How many checks were done, by kind and result."""


class Probing:
    """The probes of one Pod. ``changed`` is called when a container's readiness or start changes,
    ``failed`` when one must be restarted. ``counts`` are the checks of each container."""

    def __init__(
        self,
        context: NodeContext,
        pod: Callable[[], Pod],
        host: Callable[[], str],
        *,
        changed: Callable[[], None],
        failed: Callable[[Slot, Kind], None],
    ) -> None:
        self._context = context
        self._pod = pod
        self._host = host
        self._changed = changed
        self._failed = failed
        self.counts: dict[str, ProbeCounts] = {}

    def begin(self, slot: Slot, *, adopted: bool = False) -> None:
        """Start what a container that has just begun to run, or was found running, is probed with.

        Without probes it is started and ready at once. An ``adopted`` container was ready if the Pod's
        status says so, and stays that until a probe says otherwise.
        """
        spec = slot.spec
        if spec.startupProbe is not None and not slot.started:
            self._start(slot, "Startup", spec.startupProbe, adopted)
        else:
            self._started(slot, adopted)
        self._changed()

    def _started(self, slot: Slot, adopted: bool = False) -> None:
        slot.started = True
        if slot.spec.readinessProbe is None:
            slot.ready = True
        else:
            self._start(slot, "Readiness", slot.spec.readinessProbe, adopted)
        if slot.spec.livenessProbe is not None:
            self._start(slot, "Liveness", slot.spec.livenessProbe, adopted)

    def _start(self, slot: Slot, kind: Kind, probe: Probe, adopted: bool) -> None:
        container = slot.container
        if container is None or container.started_at is None:
            return
        prober = Prober(
            kind,
            probe,
            functools.partial(self._check, slot, probe),
            on_result=lambda kind, success: self._result(slot, kind, success),
            on_failure=lambda kind, message: self._failure(slot, kind, message),
            on_check=lambda kind, result: self._count(slot, kind, result),
        )
        since = container.started_at.timestamp()
        slot.probers.append(prober)
        task = slot.probe_tasks[kind] = asyncio.create_task(prober.run(since, adopted=adopted))
        task.add_done_callback(functools.partial(self._ended, slot, kind))

    def _ended(self, slot: Slot, kind: Kind, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            meta = self._pod().metadata
            where = f"{meta.namespace}/{meta.name}/{slot.name}"
            _log.error("probe broken, not checked any more", container=where, probe=kind, error=repr(error))

    async def _check(self, slot: Slot, probe: Probe, seconds: float) -> None:
        container = slot.container
        if container is None or not container.running:
            raise CheckFailed("container not running")
        if probe.exec:
            await checks.run_command(self._context.runtime, container, probe.exec, seconds)
        elif probe.httpGet:
            await checks.get(probe.httpGet, slot.spec, self._host(), seconds)
        elif probe.tcpSocket:
            await checks.connect(probe.tcpSocket, slot.spec, self._host(), seconds)
        elif probe.grpc:
            from clusterip.node.pods import grpccheck  # HTTP/2 is for few Pods

            await grpccheck.check(probe.grpc, self._host(), seconds)

    def _count(self, slot: Slot, kind: Kind, result: str) -> None:
        self.counts.setdefault(slot.name, Counter())[kind, result] += 1

    def _failure(self, slot: Slot, kind: Kind, message: str) -> None:
        if slot.running:
            text = f"{kind} probe {message}"
            self._context.event(self._pod(), "Warning", "Unhealthy", text, container=slot.name)

    def _result(self, slot: Slot, kind: Kind, success: bool) -> None:
        if not slot.running:
            return
        if kind == "Readiness":
            slot.ready = success
            self._changed()
        elif not success:
            self._failed(slot, kind)
        elif kind == "Startup":
            slot.probe_tasks.pop("Startup", None)
            self._started(slot)
            self._changed()
