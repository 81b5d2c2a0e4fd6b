"""Which containers of a Pod are due, and when it is done."""

from __future__ import annotations

from typing import Any

import pytest

from clusterip.node.pods.adoption import make_slots
from clusterip.node.pods.backoff import go_duration
from clusterip.node.pods.plan import due, has_begun, is_done
from clusterip.node.pods.slot import Slot
from clusterip.node.pods.termination import signal_of
from clusterip.objects import codec
from clusterip.objects.core.pod import Pod
from tests.support.slots import Stub, ended, give


def pod(**spec: Any) -> tuple[Pod, dict[str, Slot]]:
    """A Pod with init containers a and c, a sidecar b between them, and containers x and y."""
    tree = {
        "initContainers": [{"name": "a"}, {"name": "b", "restartPolicy": "Always"}, {"name": "c"}],
        "containers": [{"name": "x"}, {"name": "y"}],
        **spec,
    }
    made = codec.convert({"spec": tree}, Pod)
    return made, {slot.name: slot for slot in make_slots(made)}


def names(slots: dict[str, Slot]) -> str:
    return "".join(slot.name for slot in due(list(slots.values())))


def test_one_after_the_other() -> None:
    _, slots = pod()
    assert names(slots) == "a"
    give(slots["a"], Stub())
    assert names(slots) == "a"
    give(slots["a"], Stub(0, ended(1)))
    assert names(slots) == "a"
    give(slots["a"], Stub(1, ended(0)))
    assert names(slots) == "b"
    give(slots["b"], Stub())
    assert names(slots) == "b"  # not started as its startup probe sees it
    give(slots["b"], Stub(), ready=True)
    assert names(slots) == "bc"
    give(slots["c"], Stub(0, ended(0)))
    assert names(slots) == "bxy"


def test_once_begun_init_containers_are_over_but_sidecars_are_not() -> None:
    _, slots = pod()
    for name in "abc":
        give(slots[name], Stub(0, ended(0)))
    give(slots["b"], Stub(), ready=True)
    give(slots["x"], Stub())
    assert has_begun(list(slots.values()))
    give(slots["b"], Stub(0, ended(1)))
    assert names(slots) == "bxy"


def test_done_when_all_ordinary_containers_are() -> None:
    made, slots = pod(restartPolicy="OnFailure")
    everything = list(slots.values())
    give(slots["b"], Stub(), ready=True)
    assert not is_done(everything, made.spec)
    give(slots["x"], Stub(0, ended(0)))
    give(slots["y"], Stub(0, ended(1)))
    assert not is_done(everything, made.spec)
    give(slots["y"], Stub(1, ended(0)))
    assert is_done(everything, made.spec)


@pytest.mark.parametrize(("policy", "done"), [("Never", True), ("OnFailure", False), ("Always", False)])
def test_a_failed_init_container_may_be_the_end(policy: str, done: bool) -> None:
    made, slots = pod(restartPolicy=policy)
    give(slots["a"], Stub(0, ended(1)))
    assert is_done(list(slots.values()), made.spec) is done


@pytest.mark.parametrize(
    ("text", "name"), [("SIGQUIT", "SIGQUIT"), ("usr1", "SIGUSR1"), ("3", "SIGQUIT"), ("SIGNONE", "SIGTERM")]
)
def test_stop_signals(text: str, name: str) -> None:
    assert signal_of(text).name == name


@pytest.mark.parametrize(("seconds", "text"), [(10, "10s"), (60, "1m0s"), (80, "1m20s"), (300, "5m0s")])
def test_delays_as_go_prints_them(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text
