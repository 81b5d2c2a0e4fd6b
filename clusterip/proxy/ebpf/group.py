"""The endpoints that one draw is made of: slots numbered without holes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from clusterip.proxy.ebpf import layout
from clusterip.proxy.ebpf.layout import Place
from clusterip.proxy.ebpf.writes import Writes


class Group:
    """What the maps hold of a group. A change writes only the slots that change."""

    def __init__(self, number: int, slots: Sequence[Place] = (), *, remembers: bool = False) -> None:
        """``slots`` are those that are in the map already; ``remembers``: so are its members."""
        self.number = number
        self.remembers = remembers
        self._slots: list[Place] = list(slots)
        self._index = {place: index for index, place in enumerate(self._slots)}

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def places(self) -> Sequence[Place]:
        return self._slots

    def set(self, places: Iterable[Place], *, remembers: bool, writes: Writes) -> list[Place]:
        """Have these endpoints; those that there were and are no more."""
        wanted = dict.fromkeys(places)
        if len(self._index) != len(self._slots):  # read from a map that somebody else wrote
            self._renumber(writes)
        gone = [place for place in self._slots if place not in wanted]
        fresh = [place for place in wanted if place not in self._index]
        self._set_members(wanted, gone, fresh, remembers, writes)
        for old, new in zip(gone, fresh, strict=False):
            self._put(self._index.pop(old), new, writes)
        for new in fresh[len(gone) :]:
            self._slots.append(new)
            self._put(len(self._slots) - 1, new, writes)
        for old in gone[len(fresh) :]:
            hole = self._index.pop(old)
            last = self._slots.pop()
            if hole < len(self._slots):
                self._put(hole, last, writes)
            self._drop(len(self._slots), writes)
        return gone

    def _put(self, index: int, place: Place, writes: Writes) -> None:
        self._slots[index] = place
        self._index[place] = index
        key = layout.slot(self.number, index)
        writes.no_slots.pop(key, None)
        writes.slots[key] = place

    def _drop(self, index: int, writes: Writes) -> None:
        key = layout.slot(self.number, index)
        writes.slots.pop(key, None)
        writes.no_slots[key] = None

    def _set_members(
        self,
        wanted: Iterable[Place],
        gone: Iterable[Place],
        fresh: Iterable[Place],
        remembers: bool,
        writes: Writes,
    ) -> None:
        if remembers:
            # A number that no member of this group had before, not even one of another process.
            birth = layout.birth(time.monotonic_ns() >> 10)
            for place in fresh if self.remembers else wanted:
                key = layout.member(self.number, place)
                writes.no_members.pop(key, None)
                writes.members[key] = birth
        if self.remembers:
            for place in gone if remembers else self._slots:
                key = layout.member(self.number, place)
                writes.members.pop(key, None)
                writes.no_members[key] = None
        self.remembers = remembers

    def _renumber(self, writes: Writes) -> None:
        distinct = list(self._index)
        for index in range(len(distinct), len(self._slots)):
            self._drop(index, writes)
        self._slots = [b""] * len(distinct)
        for index, place in enumerate(distinct):
            self._put(index, place, writes)
