"""The maps of eBPF after any changes: just what is wanted, whatever there was before."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from clusterip.kernel.nftables import Family
from clusterip.proxy.ebpf import layout
from clusterip.proxy.ebpf.plane import SocketPlane
from clusterip.proxy.ebpf.writes import Maps
from clusterip.proxy.model import Choice, PortKey, PortState, ServiceKey, ServicePort, pack_destination


@dataclass
class Table:
    """A map's elements in memory: what the kernel's does is tested with the kernel."""

    content: dict[bytes, bytes] = field(default_factory=dict)

    def put(self, elements: list[tuple[bytes, bytes]]) -> None:
        self.content.update(elements)

    def delete(self, keys: list[bytes]) -> None:
        for key in keys:
            self.content.pop(key, None)

    def elements(self) -> Any:
        return list(self.content.items())


def tables() -> Maps:
    return cast(Maps, Maps(*(cast(Any, Table()) for _ in range(3))))


@dataclass(frozen=True)
class Wish:
    """A Service port: its number (its ClusterIP's too), its endpoints' numbers, protocol and policies."""

    number: int
    endpoints: tuple[int, ...]
    udp: bool
    affinity: int
    local: bool

    @property
    def key(self) -> PortKey:
        protocol = socket.IPPROTO_UDP if self.udp else socket.IPPROTO_TCP
        return PortKey(ServiceKey("ns", f"s{self.number}"), "", protocol, Family.IPV4)

    @property
    def state(self) -> PortState:
        chosen = tuple(pack_destination(bytes((10, 0, 0, each)), 80) for each in self.endpoints)
        choice = Choice((), chosen) if self.local else Choice(chosen, ())
        address = bytes((10, 96, 0, self.number))
        port = ServicePort(self.key, address, 80, affinity_seconds=self.affinity, internal_local=self.local)
        return PortState(port, choice, frozenset(chosen))


wishes = st.builds(
    Wish,
    number=st.integers(1, 4),
    endpoints=st.lists(st.integers(1, 6), unique=True).map(tuple),
    udp=st.booleans(),
    affinity=st.sampled_from((0, 10)),
    local=st.booleans(),
)
changes = st.lists(st.lists(st.tuples(wishes, st.booleans()), min_size=1, max_size=3), max_size=8)


def check(maps: Maps, wanted: dict[PortKey, Wish]) -> None:
    services = dict(maps.services.elements())
    slots: dict[int, dict[int, bytes]] = {}
    for key, place in maps.endpoints.elements():
        group, index = layout.parse_slot(key)
        slots.setdefault(group, {})[index] = place
    members: dict[int, set[bytes]] = {}
    for key, _ in maps.members.elements():
        group, place = layout.parse_member(key)
        members.setdefault(group, set()).add(place)
    for wish in wanted.values():
        place = layout.frontend(bytes((10, 96, 0, wish.number)), 80, wish.key.protocol)
        if not wish.endpoints:
            assert place not in services
            continue
        group, count, affinity = layout.parse_service(services.pop(place))
        assert affinity == wish.affinity
        here = slots.pop(group)
        assert sorted(here) == list(range(count))
        chosen = (wish.state.choice.local or wish.state.choice.cluster) if wish.endpoints else ()
        assert sorted(here.values()) == sorted(map(layout.endpoint, chosen))
        assert members.pop(group, set()) == (set(here.values()) if wish.udp or wish.affinity else set())
    assert not services
    assert not slots
    assert not members


@settings(max_examples=150, deadline=None)
@given(rounds=changes, restart_after=st.integers(0, 8))
def test_maps_hold_what_is_wanted(rounds: list[list[tuple[Wish, bool]]], restart_after: int) -> None:
    plane, maps, wanted = SocketPlane(), tables(), dict[PortKey, Wish]()
    plane.adopt(maps)
    for number, batch in enumerate(rounds):
        for wish, keep in batch:
            if keep:
                wanted[wish.key] = wish
            else:
                wanted.pop(wish.key, None)
            plane.set_port(wish.key, wish.state if keep else None)
        plane.changes().commit(maps)
        check(maps, wanted)
        if number == restart_after:
            plane = SocketPlane()
            plane.adopt(maps)
            for key, wish in wanted.items():
                plane.set_port(key, wish.state)
            assert len(plane.changes()) == 0, "what is right is not written again"
            assert len(plane.leftovers()) == 0


@settings(max_examples=100, deadline=None)
@given(before=st.lists(wishes, max_size=4), after=st.lists(wishes, max_size=4))
def test_what_changed_while_no_proxy_ran(before: list[Wish], after: list[Wish]) -> None:
    maps = tables()
    first = SocketPlane()
    first.adopt(maps)
    old = {wish.key: wish for wish in before}
    for key, wish in old.items():
        first.set_port(key, wish.state)
    first.changes().commit(maps)
    second = SocketPlane()
    second.adopt(maps)
    new = {wish.key: wish for wish in after}
    for key, wish in new.items():
        second.set_port(key, wish.state)
    second.changes().commit(maps)
    second.leftovers().commit(maps)
    check(maps, new)


def test_an_endpoint_of_udp_is_lost_when_it_serves_no_more() -> None:
    plane, maps = SocketPlane(), tables()
    plane.adopt(maps)
    wish = Wish(1, (1, 2), udp=True, affinity=0, local=False)
    plane.set_port(wish.key, wish.state)
    plane.changes().commit(maps)
    leaving = Wish(1, (2,), udp=True, affinity=0, local=False)
    serving = leaving.state._replace(serving=wish.state.serving)
    plane.set_port(wish.key, serving)
    plane.changes().commit(maps)
    assert plane.take_lost() == set()
    plane.set_port(wish.key, leaving.state)
    plane.changes().commit(maps)
    place = layout.frontend(bytes((10, 96, 0, 1)), 80, socket.IPPROTO_UDP)
    assert plane.take_lost() == {(place, layout.endpoint(pack_destination(bytes((10, 0, 0, 1)), 80)))}
    assert plane.take_lost() == set()
