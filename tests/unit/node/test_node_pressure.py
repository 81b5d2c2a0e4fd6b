"""Thresholds of what must be left, and which Pod goes first."""

from __future__ import annotations

from typing import Any

import pytest

from clusterip.node.cgroups.files import Usage
from clusterip.node.pods.admission import Refusal
from clusterip.node.pressure.manager import Pressure
from clusterip.node.pressure.ranking import message, ranked
from clusterip.node.pressure.thresholds import DEFAULT, InvalidThreshold, Observed, Patience, parse, soften
from clusterip.node.stats.collect import ContainerUsage, PodUsage
from clusterip.objects import codec
from clusterip.objects.core.pod import Pod

MIB = 1 << 20


def pod(name: str, request: str = "", **spec: Any) -> Pod:
    resources = {"requests": {"memory": request}} if request else {}
    main = {"name": "main", "resources": resources}
    return codec.convert(
        {"metadata": {"name": name, "uid": name}, "spec": {"containers": [main], **spec}}, Pod
    )


def using(pod: Pod, memory: int) -> PodUsage:
    used = Usage(working_set=memory)
    return PodUsage(pod, used, None, [ContainerUsage("main", "i", "id", 0.0, used)])


def test_amounts_and_parts() -> None:
    memory, disk, *_ = parse(DEFAULT)
    assert (memory.signal, memory.amount, memory.condition) == (
        "memory.available",
        100 * MIB,
        "MemoryPressure",
    )
    assert disk.condition == "DiskPressure"
    assert disk.is_met(Observed(1000, 49))
    assert not disk.is_met(Observed(1000, 50))
    assert not disk.is_met(Observed(0, 0))  # a file system that does not count
    assert parse("") == ()


@pytest.mark.parametrize(
    "text", ["memory.available>1", "memory<1", "nodefs.available<101%", "pid.available<x", "pid.available<-1"]
)
def test_what_is_no_threshold(text: str) -> None:
    with pytest.raises(InvalidThreshold):
        parse(text)


def test_soft_thresholds_have_patience() -> None:
    hard = parse("memory.available<100Mi")
    soft = soften(
        parse("memory.available<300Mi,nodefs.available<10%"),
        {"memory.available": 60.0, "nodefs.available": 5.0},
    )
    memory, disk = soft
    assert (memory.patience, disk.patience, hard[0].patience) == (60.0, 5.0, None)
    patience = Patience()
    assert patience.over([*hard, memory, disk], 100.0) == set(hard)
    assert patience.over([memory, disk], 105.0) == {disk}
    assert patience.over([disk], 110.0) == {disk}
    assert patience.over([memory, disk], 161.0) == {disk}, "it was not so all the time"
    assert patience.over([memory], 221.0) == {memory}
    with pytest.raises(InvalidThreshold, match="grace period must be specified"):
        soften(hard, {})


def test_who_goes_first() -> None:
    found = [
        using(pod("within", "100Mi"), 90 * MIB),
        using(pod("important", priority=10), 50 * MIB),
        using(pod("beyond", "10Mi"), 30 * MIB),
        using(pod("more"), 40 * MIB),
        using(pod("critical", priority=2_000_000_000), 500 * MIB),
    ]
    order = [each.pod.metadata.name for each in ranked(found, "memory")]
    assert order == ["more", "beyond", "important", "within"]
    (threshold,) = parse("memory.available<100Mi")
    assert message(threshold, Observed(1000 * MIB, 90 * MIB), found[2]) == (
        "The node was low on resource: memory. Threshold quantity: 102400Ki, available: 92160Ki. "
        "Container main was using 30720Ki, request is 10Mi, has larger consumption of memory. "
    )


def test_whom_a_node_refuses_that_is_short() -> None:
    told: list[tuple[str, bool]] = []
    pressure = Pressure(0.0, lambda condition, holds: told.append((condition, holds)))
    assert pressure.refuses(pod("any")) is None
    pressure.update({"MemoryPressure"})
    refusal = Refusal("Evicted", "The node had condition: [MemoryPressure]. ")
    assert pressure.refuses(pod("best-effort")) == refusal
    assert pressure.refuses(pod("burstable", "10Mi")) is None
    tolerant = pod(
        "tolerant", tolerations=[{"key": "node.kubernetes.io/memory-pressure", "operator": "Exists"}]
    )
    assert pressure.refuses(tolerant) is None
    pressure.update({"DiskPressure", "MemoryPressure"})
    assert pressure.refuses(pod("burstable", "10Mi")) is not None
    assert pressure.refuses(pod("critical", priority=2_000_000_000)) is None
    pressure.update(set())
    assert pressure.refuses(pod("any")) is None
    assert told == [
        ("MemoryPressure", True),
        ("DiskPressure", True),
        ("MemoryPressure", False),
        ("DiskPressure", False),
    ]
