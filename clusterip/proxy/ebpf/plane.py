"""Which Services are translated at the socket, and what that takes in the maps.

Those with a ClusterIP, on that address. Whatever comes by another address is masqueraded, may be bound to
source ranges or to a policy by who sends it: for that the rules of nftables are the better place.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from clusterip.proxy.ebpf import layout
from clusterip.proxy.ebpf.group import Group
from clusterip.proxy.ebpf.layout import Place
from clusterip.proxy.ebpf.writes import Maps, Writes
from clusterip.proxy.model import Destination, PortKey, PortState, ServicePort


@dataclass
class _Port:
    """A Service port in the maps. ``former`` are endpoints of UDP that are not drawn any more but serve
    whom they have."""

    group: Group
    place: Place
    affinity_seconds: int = 0
    former: set[Place] = field(default_factory=set)


@dataclass
class _Found:
    """What the maps hold that no port has claimed yet."""

    services: dict[Place, tuple[int, int, int]] = field(default_factory=dict)
    slots: dict[int, dict[int, Place]] = field(default_factory=dict)
    members: dict[int, set[Place]] = field(default_factory=dict)


class SocketPlane:
    """The maps as they should be, and as they are."""

    def __init__(self) -> None:
        self._wanted: dict[PortKey, PortState] = {}
        self._changed: dict[PortKey, None] = {}
        self._ports: dict[PortKey, _Port] = {}
        self._claims: dict[Place, set[PortKey]] = {}
        self._services: dict[Place, bytes] = {}
        self._found = _Found()
        self._last_group = 0
        self._lost: set[tuple[Place, Place]] = set()

    @property
    def has_changes(self) -> bool:
        return bool(self._changed)

    def set_port(self, key: PortKey, state: PortState | None) -> None:
        if state is None:
            self._wanted.pop(key, None)
        else:
            self._wanted[key] = state
        self._changed[key] = None

    def describe(self, key: PortKey) -> Iterator[str]:
        """A Service port's elements of the maps."""
        port = self._ports.get(key)
        if port is None:
            return
        group, count = port.group.number, len(port.group)
        value = f"group {group}, {count} endpoints, affinity {port.affinity_seconds} s"
        yield f"map services {{ {layout.show(port.place)} : {value} }}"
        for index, place in enumerate(port.group.places):
            yield f"map endpoints {{ {group} . {index} : {layout.show(place)} }}"

    def adopt(self, maps: Maps) -> None:
        """Start from what the maps hold. Raises BpfError."""
        found = self._found = _Found()
        self._ports.clear()
        self._claims.clear()
        self._services = dict(maps.services.elements())
        for place, value in self._services.items():
            found.services[place] = layout.parse_service(value)
        for key, place in maps.endpoints.elements():
            group, index = layout.parse_slot(key)
            found.slots.setdefault(group, {})[index] = place
        for key, _ in maps.members.elements():
            group, place = layout.parse_member(key)
            found.members.setdefault(group, set()).add(place)
        numbers = [*found.slots, *found.members, *(group for group, _, _ in found.services.values())]
        self._last_group = max(numbers, default=0)
        self._changed = dict.fromkeys(self._wanted)

    def changes(self) -> Writes:
        """What to write for all that was set since last time."""
        writes = Writes()
        affected: dict[Place, None] = {}
        for key in self._changed:
            self._change(key, affected, writes)
        self._changed = {}
        self._write_services(affected, writes)
        return writes

    def leftovers(self) -> Writes:
        """What to delete that was in the maps at ``adopt`` and nobody wanted until now."""
        writes = Writes()
        for place, (group, _, _) in self._found.services.items():
            del self._services[place]
            writes.no_services[place] = None
            if place[-2] == socket.IPPROTO_UDP:
                self._lost |= {(place, each) for each in self._found.slots.get(group, {}).values()}
        for group, slots in self._found.slots.items():
            writes.no_slots |= {layout.slot(group, index): None for index in slots}
        for group, members in self._found.members.items():
            writes.no_members |= {layout.member(group, place): None for place in members}
        self._found = _Found()
        return writes

    def take_lost(self) -> set[tuple[Place, Place]]:
        """Pairs of a UDP Service's address and an endpoint that serves it no more, since last asked.

        A socket that is connected to such an endpoint would send to nobody for ever.
        """
        lost, self._lost = self._lost, set()
        return lost

    def _change(self, key: PortKey, affected: dict[Place, None], writes: Writes) -> None:
        state = self._wanted.get(key)
        endpoints = _endpoints(state) if state is not None else ()
        port = self._ports.get(key)
        place = _frontend(state.port) if state is not None and endpoints else None
        if port is None:
            if place is None:
                return
            port = self._ports[key] = _Port(self._group_of(place), place)
        before = port.place
        port.affinity_seconds = state.port.affinity_seconds if state is not None else 0
        udp = key.protocol == socket.IPPROTO_UDP
        gone = port.group.set(
            map(layout.endpoint, endpoints),
            remembers=bool(endpoints) and (udp or port.affinity_seconds > 0),
            writes=writes,
        )
        if udp:
            serving = set(map(layout.endpoint, state.serving)) if state is not None else set()
            port.former.update(gone)
            self._lost |= {(before, each) for each in port.former - serving}
            port.former &= serving
        if place != before:
            self._claims.get(before, set()).discard(key)
            affected[before] = None
        if place is None:
            del self._ports[key]
        else:
            port.place = place
            self._claims.setdefault(place, set()).add(key)
            affected[place] = None

    def _write_services(self, affected: Iterable[Place], writes: Writes) -> None:
        for place in affected:
            owners = self._claims.get(place, set())
            if not owners:
                self._claims.pop(place, None)
            value = None
            if len(owners) == 1:  # of several that want it nftables knows who has it
                port = self._ports[next(iter(owners))]
                value = layout.service(port.group.number, len(port.group), port.affinity_seconds)
            if value is None:
                if self._services.pop(place, None) is not None:
                    writes.no_services[place] = None
            elif self._services.get(place) != value:
                self._services[place] = value
                writes.services[place] = value
            self._found.services.pop(place, None)

    def _group_of(self, place: Place) -> Group:
        """The group that the maps have for an address already, or a new one."""
        number, count, _ = self._found.services.get(place, (0, 0, 0))
        slots = self._found.slots.get(number, {})
        kept = [slots[index] for index in range(len(slots)) if index in slots]
        members = self._found.members.get(number, set())
        # What was written only in part is made anew.
        if not kept or len(kept) != count or len(kept) != len(slots) or members not in (set(), set(kept)):
            self._last_group += 1
            return Group(self._last_group)
        del self._found.slots[number]
        self._found.members.pop(number, None)
        return Group(number, kept, remembers=bool(members))


def _endpoints(state: PortState) -> tuple[Destination, ...]:
    """Where connections to the ClusterIP go. Without any, nftables refuses or drops them."""
    return state.choice.local if state.port.internal_local else state.choice.cluster


def _frontend(port: ServicePort) -> Place:
    return layout.frontend(port.cluster_ip, port.port, port.key.protocol)
