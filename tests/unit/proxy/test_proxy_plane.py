"""What a plane keeps for the table of a family, without a kernel."""

from __future__ import annotations

import socket

import pytest

from clusterip.kernel.nftables import Batch, Family
from clusterip.proxy.backend import BackendOptions
from clusterip.proxy.model import Choice, PortKey, PortState, ServiceKey, ServicePort
from clusterip.proxy.nftables import chains, target
from clusterip.proxy.nftables.layout import Layout
from clusterip.proxy.nftables.plane import Plane
from clusterip.proxy.nftables.sets import SMALL, Entry


def plane() -> Plane:
    return Plane(Layout(Family.IPV4, BackendOptions()))


def key(name: str) -> PortKey:
    return PortKey(ServiceKey("default", name), "", socket.IPPROTO_TCP, Family.IPV4)


def state(name: str, count: int, *, number: int = 1, **more: object) -> PortState:
    port = ServicePort(key(name), bytes((10, 96, 0, number)), 80, **more)  # type: ignore[arg-type]
    endpoints = tuple(bytes((10, 0, n >> 8, n & 255, 31, 144, 0, 0)) for n in range(count))
    return PortState(port, Choice(endpoints, (), bool(count)))


def put(plane: Plane, *states: PortState) -> None:
    for each in states:
        plane.set_port(each.port.key, each)
    assert not plane.work(1_000_000)


def test_work_stops_at_its_limits_and_goes_on() -> None:
    p = plane()
    for number in range(10):
        each = state(f"s{number}", 5, number=number)
        p.set_port(each.port.key, each)
    assert p.work(1_000_000, ports=4)
    assert p.work(20)
    before = len(p.changes)
    assert not p.work(1_000_000)
    assert len(p.changes) > before
    assert not p._pending


def test_a_port_there_is_no_room_for_stays_as_it_was_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    p = plane()
    monkeypatch.setattr(target, "MAX_CHAINS", SMALL + 2)  # room for one size of large groups
    monkeypatch.setattr(chains, "IDLE_LIMIT", 0)
    put(p, state("a", SMALL + 1), state("b", 3, number=2))
    put(p, state("b", SMALL + 2, number=2))
    assert "different numbers of endpoints" in p.no_room[key("b")][1]
    slots = dict(p.wanted(p.layout.endpoints))
    assert len(slots) == 3  # as it was
    p.retry()
    assert not p.work(1_000_000)
    assert key("b") in p.no_room
    put(p, state("a", 1))
    p.chains.write_unlinking(Batch(), p.layout)
    p.retry()
    assert not p.work(1_000_000)
    assert not p.no_room
    assert len(dict(p.wanted(p.layout.large))) == SMALL + 2


def test_nothing_is_left_of_ports_that_are_gone() -> None:
    p = plane()
    put(
        p,
        state("a", 3, node_port=30080, external_ips=(b"\xc6\x33\x64\x01",)),
        state("b", SMALL + 1, number=2, affinity_seconds=60),
        state("c", SMALL + 1, number=3),
        state("d", 0, number=4),
    )
    assert dict(p.wanted(p.layout.entries[Entry.SERVICES]))
    for name in "abcd":
        p.set_port(key(name), None)
    assert not p.work(1_000_000)
    assert not p.changes  # what came and went meanwhile need not be written
    for set_ in p.layout.changing_sets:
        assert not dict(p.wanted(set_)), set_.name
    assert p._numbers.take() == 10  # the five before were each used once, and are free


@pytest.mark.parametrize("sizes", [(1, SMALL, SMALL + 1, 2), (SMALL + 1, SMALL, 0, SMALL + 5)])
def test_groups_that_grow_and_shrink_are_in_the_map_of_their_size(sizes: tuple[int, ...]) -> None:
    p = plane()
    held: dict[tuple[str, bytes], bytes] = {}
    for size in sizes:
        put(p, state("a", size))
        for set_, element, old, new in p.changes.take():
            assert held.get((set_.name, element)) == old
            if new is None:
                del held[set_.name, element]
            else:
                held[set_.name, element] = new
        small = sum(name == "endpoints" for name, _ in held)
        large = sum(name == "large" for name, _ in held)
        assert (small, large) == ((size, 0) if size <= SMALL else (0, size))


def test_one_endpoint_of_ten_thousand_is_a_few_elements() -> None:
    p = plane()
    put(p, state("a", 10_000))
    p.changes.take()
    full = state("a", 10_000)
    endpoints = full.choice.cluster
    put(p, full._replace(choice=Choice((*endpoints[:5], b"other678", *endpoints[6:]), (), True)))
    assert len(p.changes.take()) == 1
    put(p, full._replace(choice=Choice((*endpoints[:5], *endpoints[6:]), (), True)))
    assert len(p.changes.take()) <= 3  # the hole, the last slot, and the entry of the ClusterIP
