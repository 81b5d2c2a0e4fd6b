"""One container of a Pod's spec, over all the attempts at running it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from clusterip.node.pods.backoff import Backoff
from clusterip.node.pods.probe import Prober
from clusterip.node.runtime.container import Container
from clusterip.node.runtime.record import Exit, Record
from clusterip.objects import times
from clusterip.objects.core.containers import Container as ContainerSpec
from clusterip.objects.core.pod import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
)
from clusterip.objects.core.pod_spec import PodSpec

_INITIAL_BACKOFF = 10.0
_MAXIMUM_BACKOFF = 300.0

Kind = Literal["init", "sidecar", "regular", "ephemeral"]


@dataclass
class Past:
    """A container that has ended, and the one after it has begun or will."""

    record: Record
    exit: Exit


@dataclass
class Slot:
    """A container of the spec: its current attempt, the one before, and what probes say of it.

    ``waiting`` is a reason and message why no attempt is under way; ``task`` starts or stops one.
    ``ready`` and ``started`` hold for the current attempt only. ``target`` names the container whose
    processes an ephemeral one sees.
    """

    spec: ContainerSpec
    kind: Kind
    target: str = ""
    container: Container | None = None
    past: Past | None = None
    waiting: tuple[str, str] | None = None
    task: asyncio.Task[None] | None = None
    started: bool = False
    ready: bool = False
    backoff: Backoff = field(default_factory=lambda: Backoff(_INITIAL_BACKOFF, _MAXIMUM_BACKOFF))
    restart_at: float = 0.0
    retry_at: float = 0.0
    probers: list[Prober] = field(default_factory=list)
    probe_tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _noted: Container | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def busy(self) -> bool:
        return self.task is not None and not self.task.done()

    @property
    def running(self) -> bool:
        return self.container is not None and self.container.running

    @property
    def begun(self) -> bool:
        """Whether any attempt has ever run, or tried to."""
        return self.running or self.exit is not None or self.past is not None

    @property
    def exit(self) -> Exit | None:
        """How the current attempt ended, None if there is none or it has not."""
        return self.container.exit if self.container else None

    @property
    def succeeded(self) -> bool:
        return self.exit is not None and self.exit.code == 0

    def restarts(self, spec: PodSpec) -> bool:
        """Whether the container is run again now that its last attempt has ended."""
        if self.kind == "ephemeral":
            return False
        if self.kind == "sidecar":
            return True
        policy = self.spec.restartPolicy or spec.restartPolicy or "Always"
        if self.kind == "init" and policy == "Always":
            policy = "OnFailure"
        return policy == "Always" or (policy == "OnFailure" and not self.succeeded)

    def restarts_when_killed(self, spec: PodSpec) -> bool:
        """Whether the container is run again if the node ends it."""
        if self.kind == "sidecar":
            return True
        return (self.spec.restartPolicy or spec.restartPolicy) != "Never"

    def note_exit(self) -> None:
        """Work out when to try again. Who ran for long without trouble starts afresh.

        Once for each attempt, however often it is called: the Pod's worker may look at a slot between the
        container's end and the callback that tells of it.
        """
        ended = self.exit
        if ended is None or self._noted is self.container:
            return
        self._noted = self.container
        self.stop_probes()
        self.started = self.ready = False
        lasted = (ended.finished_at - ended.started_at).total_seconds() if ended.started_at else 0.0
        steady = lasted > 2 * _MAXIMUM_BACKOFF
        if steady:
            self.backoff.reset()
        # The first restart is at once; the delays begin with the second.
        delay = 0.0 if steady or self.past is None else self.backoff.next()
        self.restart_at = ended.finished_at.timestamp() + delay

    def wait_seconds(self) -> float:
        """How long until the container may be started (again); 0 if it may be now."""
        return max(0.0, max(self.restart_at, self.retry_at) - time.time())

    def stop_probes(self, *, keep_readiness: bool = False) -> None:
        for kind, task in list(self.probe_tasks.items()):
            if not (keep_readiness and kind == "Readiness"):
                task.cancel()
                del self.probe_tasks[kind]
        self.probers.clear()

    def status(self, waiting_reason: str) -> ContainerStatus:
        """What the Pod's status says of the container; ``waiting_reason`` if nothing has happened yet."""
        current = self.container
        ephemeral = self.kind == "ephemeral"  # nobody waits for one to be ready
        started = None if ephemeral else False
        status = ContainerStatus(name=self.name, image=self.spec.image, started=started)
        if self.past:
            status.lastState = ContainerState(terminated=_terminated(self.past.record, self.past.exit))
        if current is not None:
            status.restartCount = current.record.attempt
            status.image = current.record.image
            status.imageID = current.record.image_id
            status.containerID = container_id(current.record)
            if current.running:
                status.state.running = ContainerStateRunning(startedAt=_time(current.started_at))
                if not ephemeral:
                    status.ready, status.started = self.ready, self.started
                return status
            if current.exit and self.waiting is None:
                status.state.terminated = _terminated(current.record, current.exit)
                status.ready = self.kind == "init" and current.exit.code == 0
                return status
            if current.exit:
                status.lastState = ContainerState(terminated=_terminated(current.record, current.exit))
        reason, message = self.waiting or (waiting_reason, "")
        status.state.waiting = ContainerStateWaiting(reason=reason, message=message)
        return status


def container_id(record: Record) -> str:
    return f"crun://{record.id}"


def _terminated(record: Record, ended: Exit) -> ContainerStateTerminated:
    return ContainerStateTerminated(
        exitCode=ended.code,
        reason=ended.reason,
        message=ended.message,
        startedAt=_time(ended.started_at) or "1970-01-01T00:00:00Z",
        finishedAt=_time(ended.finished_at),
        containerID=container_id(record),
    )


def _time(moment: datetime | None) -> str | None:
    return times.format_time(moment) if moment else None
