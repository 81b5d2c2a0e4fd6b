"""A Pod's status out of its containers' states: phase and conditions.

As upstream's ``getPhase`` and ``pkg/kubelet/status/generate.go``; their messages are matched on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clusterip.node.pods.slot import Slot
from clusterip.objects import times
from clusterip.objects.core.pod import HostIP, Pod, PodCondition, PodIP, PodStatus

OWN_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")
_MAXIMUM_MESSAGES = 12 * 1024
TERMINAL = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Situation:
    """What the node knows of a Pod beside its containers.

    ``finished``: no container runs any more, and none will. ``override`` is phase, reason and message
    of a Pod that was ended for another reason than its containers' own; ``evicted`` why the node had to.
    """

    pod_ips: Sequence[str]
    host_ips: Sequence[str]
    has_sandbox: bool
    finished: bool
    start_time: str
    override: tuple[str, str, str] | None = None
    evicted: str = ""


def pod_status(pod: Pod, slots: Sequence[Slot], situation: Situation) -> PodStatus:
    """The status a Pod should have; conditions that others set are kept."""
    old = pod.status
    phase = _phase(pod, slots, situation)
    before = [slot for slot in slots if slot.kind in ("init", "sidecar")]
    initialized = all(_initialized(slot) for slot in before)
    waiting = "ContainerCreating" if initialized else "PodInitializing"
    status = PodStatus(
        observedGeneration=pod.metadata.generation,
        phase=phase,
        nominatedNodeName=old.nominatedNodeName,
        hostIP=situation.host_ips[0] if situation.host_ips else "",
        hostIPs=[HostIP(ip=address) for address in situation.host_ips],
        podIP=situation.pod_ips[0] if situation.pod_ips else "",
        podIPs=[PodIP(ip=address) for address in situation.pod_ips],
        startTime=situation.start_time,
        qosClass=old.qosClass,
        resourceClaimStatuses=old.resourceClaimStatuses,
        initContainerStatuses=[slot.status("PodInitializing") for slot in before],
        containerStatuses=[slot.status(waiting) for slot in slots if slot.kind == "regular"],
        ephemeralContainerStatuses=[
            slot.status("ContainerCreating") for slot in slots if slot.kind == "ephemeral"
        ],
    )
    _limit_messages(status)
    if phase in TERMINAL and old.phase == phase:
        status.reason, status.message = old.reason, old.message  # an earlier agent knew why
    if situation.override:
        _phase_name, status.reason, status.message = situation.override
    status.conditions = _conditions(pod, slots, phase, situation.has_sandbox)
    if situation.evicted:
        _add_disruption(pod, status, situation.evicted)
    return status


def _limit_messages(status: PodStatus) -> None:
    """All containers' messages together are to be no longer than an object can bear."""
    every = [*status.initContainerStatuses, *status.containerStatuses, *status.ephemeralContainerStatuses]
    most = _MAXIMUM_MESSAGES // max(1, len(every))
    for each in every:
        for state in (each.state, each.lastState):
            if state.terminated is not None:
                state.terminated.message = state.terminated.message[:most]


def _initialized(slot: Slot) -> bool:
    return slot.started or slot.past is not None if slot.kind == "sidecar" else slot.succeeded


def _phase(pod: Pod, slots: Sequence[Slot], situation: Situation) -> str:
    if situation.override:
        return situation.override[0]
    if pod.status.phase in TERMINAL:
        return pod.status.phase
    regular = [slot for slot in slots if slot.kind == "regular"]
    begun = [slot for slot in regular if slot.begun]
    if situation.finished:
        failed_init = any(s.kind == "init" and s.exit and s.exit.code != 0 for s in slots)
        done = not failed_init and len(begun) == len(regular) and all(slot.succeeded for slot in regular)
        return "Succeeded" if done else "Failed"
    return "Running" if regular and len(begun) == len(regular) else "Pending"


def _conditions(pod: Pod, slots: Sequence[Slot], phase: str, has_sandbox: bool) -> list[PodCondition]:
    old = {condition.type: condition for condition in pod.status.conditions}
    ready_reason, ready_message = _containers_unready(slots, phase)
    found = [
        _condition(pod, old, "PodReadyToStartContainers", has_sandbox),
        _initialized_condition(pod, old, slots, phase),
    ]
    gates = [] if ready_reason else _closed_gates(pod, old)
    if gates:
        found.append(_condition(pod, old, "Ready", False, "ReadinessGatesNotReady", ", ".join(gates)))
    else:
        found.append(_condition(pod, old, "Ready", not ready_reason, ready_reason, ready_message))
    found.append(_condition(pod, old, "ContainersReady", not ready_reason, ready_reason, ready_message))
    found += [condition for condition in pod.status.conditions if condition.type not in OWN_CONDITIONS]
    return found


def _add_disruption(pod: Pod, status: PodStatus, why: str) -> None:
    old = {condition.type: condition for condition in pod.status.conditions}
    status.conditions = [each for each in status.conditions if each.type != "DisruptionTarget"]
    status.conditions.append(_condition(pod, old, "DisruptionTarget", True, "TerminationByKubelet", why))


def _containers_unready(slots: Sequence[Slot], phase: str) -> tuple[str, str]:
    """Reason and message why not all containers are ready; both empty if they are."""
    if phase == "Succeeded":
        return "PodCompleted", ""
    if phase == "Failed":
        return "PodFailed", ""
    lasting = [slot for slot in slots if slot.kind in ("regular", "sidecar")]
    unready = [slot.name for slot in lasting if not (slot.running and slot.ready)]
    if unready:
        return "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    return "", ""


def _initialized_condition(
    pod: Pod, old: dict[str, PodCondition], slots: Sequence[Slot], phase: str
) -> PodCondition:
    if phase == "Succeeded":
        return _condition(pod, old, "Initialized", True, "PodCompleted")
    begun = any(slot.kind == "regular" and slot.begun for slot in slots)
    before = [slot for slot in slots if slot.kind in ("init", "sidecar")]
    pending = [slot.name for slot in before if not _initialized(slot)]
    if begun or not pending:
        return _condition(pod, old, "Initialized", True)
    message = f"containers with incomplete status: [{' '.join(pending)}]"
    return _condition(pod, old, "Initialized", False, "ContainersNotInitialized", message)


def _closed_gates(pod: Pod, old: dict[str, PodCondition]) -> list[str]:
    messages: list[str] = []
    for gate in pod.spec.readinessGates:
        condition = old.get(gate.conditionType)
        if condition is None:
            messages.append(
                f'corresponding condition of pod readiness gate "{gate.conditionType}" does not exist.'
            )
        elif condition.status != "True":
            messages.append(
                f'the status of pod readiness gate "{gate.conditionType}" is not "True", '
                f"but {condition.status}"
            )
    return messages


def _condition(
    pod: Pod, old: dict[str, PodCondition], type_: str, true: bool, reason: str = "", message: str = ""
) -> PodCondition:
    status = "True" if true else "False"
    before = old.get(type_)
    changed = before is None or before.status != status
    return PodCondition(
        type=type_,
        status=status,
        reason=reason,
        message=message,
        observedGeneration=pod.metadata.generation,
        lastTransitionTime=times.now() if changed or before is None else before.lastTransitionTime,
    )
