"""Phase and conditions out of containers' states."""

from __future__ import annotations

from typing import Any

import pytest

from clusterip.node.pods.adoption import make_slots
from clusterip.node.pods.slot import Past, Slot
from clusterip.node.pods.status import Situation, pod_status
from clusterip.objects import codec
from clusterip.objects.core.pod import Pod, PodStatus
from tests.support.slots import Stub, ended, give


def pod(*, inits: int = 0, mains: int = 1, **more: Any) -> Pod:
    spec: dict[str, Any] = {
        "initContainers": [{"name": f"init{i}", "image": "i:1"} for i in range(inits)],
        "containers": [{"name": f"main{i}", "image": "i:1"} for i in range(mains)],
        "restartPolicy": more.pop("restartPolicy", "Always"),
        "readinessGates": more.pop("readinessGates", []),
    }
    return codec.convert(
        {"metadata": {"name": "p", "namespace": "ns", "generation": 3}, "spec": spec, **more}, Pod
    )


def status(subject: Pod, slots: list[Slot], *, finished: bool = False) -> PodStatus:
    situation = Situation(["10.0.0.5"], ["192.0.2.1"], True, finished, "2026-01-01T00:00:00Z")
    return pod_status(subject, slots, situation)


def conditions(found: PodStatus) -> dict[str, tuple[str, str, str]]:
    return {c.type: (c.status, c.reason, c.message) for c in found.conditions}


def test_before_anything_runs() -> None:
    subject = pod(inits=1)
    found = status(subject, make_slots(subject))
    assert found.phase == "Pending"
    waiting = found.containerStatuses[0].state.waiting
    assert waiting
    assert waiting.reason == "PodInitializing"
    assert conditions(found)["Initialized"] == (
        "False",
        "ContainersNotInitialized",
        "containers with incomplete status: [init0]",
    )


def test_running_but_not_all_ready() -> None:
    subject = pod(mains=2)
    slots = make_slots(subject)
    give(slots[0], Stub(), ready=True)
    give(slots[1], Stub())
    found = status(subject, slots)
    assert found.phase == "Running"
    unready = ("False", "ContainersNotReady", "containers with unready status: [main1]")
    assert conditions(found)["Ready"] == conditions(found)["ContainersReady"] == unready
    assert found.observedGeneration == 3


def test_one_of_two_not_started_yet_is_pending() -> None:
    subject = pod(mains=2)
    slots = make_slots(subject)
    give(slots[0], Stub(), ready=True)
    assert status(subject, slots).phase == "Pending"


def test_all_ready_but_a_gate_is_closed() -> None:
    subject = pod(readinessGates=[{"conditionType": "example.com/lb"}])
    slots = make_slots(subject)
    give(slots[0], Stub(), ready=True)
    message = 'corresponding condition of pod readiness gate "example.com/lb" does not exist.'
    assert conditions(status(subject, slots))["Ready"] == ("False", "ReadinessGatesNotReady", message)
    gate = {"type": "example.com/lb", "status": "True"}
    subject.status = codec.convert({"conditions": [gate]}, PodStatus)
    found = conditions(status(subject, slots))
    assert found["Ready"][0] == "True"
    assert found["example.com/lb"][0] == "True"  # not ours, and kept


def test_waiting_to_be_restarted_is_running() -> None:
    subject = pod()
    slot = make_slots(subject)[0]
    give(slot, Stub(2, ended(3)))
    slot.waiting = ("CrashLoopBackOff", "back-off 10s")
    found = status(subject, [slot])
    assert found.phase == "Running"
    shown = found.containerStatuses[0]
    assert shown.state.waiting
    assert shown.lastState.terminated
    assert (shown.state.waiting.reason, shown.lastState.terminated.exitCode) == ("CrashLoopBackOff", 3)
    assert shown.restartCount == 2


@pytest.mark.parametrize(("codes", "phase"), [((0, 0), "Succeeded"), ((0, 1), "Failed")])
def test_when_all_is_over(codes: tuple[int, int], phase: str) -> None:
    subject = pod(mains=2, restartPolicy="Never")
    slots = make_slots(subject)
    for slot, code in zip(slots, codes, strict=True):
        give(slot, Stub(0, ended(code)))
    assert status(subject, slots).phase == "Running"  # containers may be told of before the Pod is
    found = status(subject, slots, finished=True)
    assert found.phase == phase
    assert conditions(found)["Ready"][:2] == (
        "False",
        {"Succeeded": "PodCompleted", "Failed": "PodFailed"}[phase],
    )


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    subject = pod()
    slots = make_slots(subject)
    give(slots[0], Stub(), ready=True)
    subject.status = status(subject, slots)
    for condition in subject.status.conditions:
        condition.lastTransitionTime = "2020-01-01T00:00:00Z"
    slots[0].ready = False
    times = {c.type: c.lastTransitionTime for c in status(subject, slots).conditions}
    assert times["Initialized"] == "2020-01-01T00:00:00Z"
    assert times["Ready"] != "2020-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("kind", "policy", "code", "again"),
    [
        ("regular", "Always", 0, True),
        ("regular", "OnFailure", 0, False),
        ("regular", "OnFailure", 1, True),
        ("regular", "Never", 1, False),
        ("init", "Always", 1, True),
        ("init", "Always", 0, False),
        ("init", "Never", 1, False),
        ("sidecar", "Never", 0, True),
    ],
)
def test_who_is_restarted(kind: Any, policy: str, code: int, again: bool) -> None:
    subject = pod(restartPolicy=policy)
    slot = Slot(spec=subject.spec.containers[0], kind=kind)
    give(slot, Stub(0, ended(code)))
    assert slot.restarts(subject.spec) is again


def test_delays_grow_from_the_second_restart_on() -> None:
    slot = make_slots(pod())[0]
    delays: list[float] = []
    for attempt in range(7):
        give(slot, Stub(attempt, ended(1)))
        slot.note_exit()
        delays.append(slot.restart_at - ended(1).finished_at.timestamp())
        slot.past = Past(Stub(attempt).record, ended(1))
    assert delays == [0, 10, 20, 40, 80, 160, 300]
    give(slot, Stub(7, ended(1, seconds=601)))
    slot.note_exit()
    assert slot.restart_at == ended(1, seconds=601).finished_at.timestamp()


def test_an_end_counts_once_however_often_it_is_looked_at() -> None:
    slot = make_slots(pod())[0]
    slot.past = Past(Stub(0).record, ended(1))
    give(slot, Stub(1, ended(1)))
    slot.note_exit()
    slot.note_exit()
    assert slot.restart_at - ended(1).finished_at.timestamp() == 10
    assert slot.backoff.current == 10
