"""How ``kubectl get pods`` shows a Pod: its state in one word, from all that is known of its containers."""

from __future__ import annotations

from typing import Any

from clusterip.objects import times
from clusterip.objects.core.containers import Container
from clusterip.objects.core.pod.types import ContainerStateTerminated, ContainerStatus, Pod
from clusterip.objects.registry import Column
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN, NONE, wide

COLUMNS = (
    NAME_COLUMN,
    Column("Ready", description="How many of its containers are ready."),
    Column("Status", description="What state it is in."),
    Column("Restarts", description="How often its containers were restarted, and when last."),
    AGE_COLUMN,
    wide("IP", "Its address."),
    wide("Node", "The node it runs on."),
    wide("Nominated Node", "The node it will run on once room is made."),
    wide("Readiness Gates", "How many of the further conditions for its readiness are met."),
)


def row(pod: Pod) -> list[Any]:
    summary = _Summary(pod)
    status = pod.status
    return [
        pod.metadata.name,
        f"{summary.ready}/{summary.total}",
        summary.reason,
        summary.shown_restarts,
        times.age(pod.metadata.creationTimestamp),
        (status.podIPs[0].ip if status.podIPs else "") or NONE,
        pod.spec.nodeName or NONE,
        status.nominatedNodeName or NONE,
        _readiness_gates(pod),
    ]


def _readiness_gates(pod: Pod) -> str:
    gates = pod.spec.readinessGates
    if not gates:
        return NONE
    met = {condition.type for condition in pod.status.conditions if condition.status == "True"}
    return f"{sum(gate.conditionType in met for gate in gates)}/{len(gates)}"


class _Summary:
    """Upstream's ``printPod``, step by step: phase, init containers, containers, deletion."""

    def __init__(self, pod: Pod) -> None:
        spec, status = pod.spec, pod.status
        self.ready = 0
        self.total = len(spec.containers) + sum(map(_is_sidecar, spec.initContainers))
        self.restarts = 0
        self.last_restart = ""
        self.reason = status.reason or status.phase
        if any(c.type == "PodScheduled" and c.reason == "SchedulingGated" for c in status.conditions):
            self.reason = "SchedulingGated"
        initializing = self._add_init_containers(pod)
        if not initializing or _has_condition(pod, "Initialized"):
            self._add_containers(pod)
        if pod.metadata.deletionTimestamp is not None:
            if status.reason == "NodeLost":
                self.reason = "Unknown"
            elif status.phase not in ("Failed", "Succeeded"):
                self.reason = "Terminating"

    @property
    def shown_restarts(self) -> str:
        if self.restarts and self.last_restart:
            return f"{self.restarts} ({times.age(self.last_restart)} ago)"
        return str(self.restarts)

    def _add_init_containers(self, pod: Pod) -> bool:
        """Count them up to the first that is not done. Returns whether there is one."""
        sidecars = {container.name for container in pod.spec.initContainers if _is_sidecar(container)}
        self._sidecars = [s for s in pod.status.initContainerStatuses if s.name in sidecars]
        for i, container in enumerate(pod.status.initContainerStatuses):
            self._count_restarts(container)
            terminated, waiting = container.state.terminated, container.state.waiting
            if terminated is not None and terminated.exitCode == 0:
                continue
            if container.name in sidecars and container.started:
                self.ready += container.ready
                continue
            if terminated is not None:
                self.reason = f"Init:{terminated.reason or _exit(terminated)}"
            elif waiting is not None and waiting.reason not in ("", "PodInitializing"):
                self.reason = f"Init:{waiting.reason}"
            else:
                self.reason = f"Init:{i}/{len(pod.spec.initContainers)}"
            return True
        return False

    def _add_containers(self, pod: Pod) -> None:
        # From here on only restarts of what still runs count.
        self.restarts, self.last_restart = 0, ""
        for container in self._sidecars:
            self._count_restarts(container)
        running, error = False, ""
        for container in reversed(pod.status.containerStatuses):
            self._count_restarts(container)
            state = container.state
            if state.waiting is not None and state.waiting.reason:
                self.reason = state.waiting.reason
            elif state.terminated is not None:
                self.reason = state.terminated.reason or _exit(state.terminated)
                if state.terminated.exitCode != 0:
                    error = self.reason
            elif container.ready and state.running is not None:
                running = True
                self.ready += 1
        if self.reason == "Completed":
            if running and _has_condition(pod, "Ready"):
                self.reason = "Running"
            elif error:
                self.reason = error
            elif running:
                self.reason = "NotReady"

    def _count_restarts(self, container: ContainerStatus) -> None:
        self.restarts += container.restartCount
        terminated = container.lastState.terminated
        if terminated is not None and terminated.finishedAt:
            self.last_restart = max(self.last_restart, terminated.finishedAt)


def _is_sidecar(container: Container) -> bool:
    """Whether an init container keeps running beside the others."""
    return container.restartPolicy == "Always"


def _has_condition(pod: Pod, type_: str) -> bool:
    return any(c.type == type_ and c.status == "True" for c in pod.status.conditions)


def _exit(terminated: ContainerStateTerminated) -> str:
    if terminated.signal:
        return f"Signal:{terminated.signal}"
    return f"ExitCode:{terminated.exitCode}"
