"""Keeping groups, slots and handles as an earlier process left them in the kernel."""

from __future__ import annotations

from clusterip.proxy.model import Destination, ServicePort
from clusterip.proxy.nftables import target
from clusterip.proxy.nftables.elements import entries_of
from clusterip.proxy.nftables.groups import Group
from clusterip.proxy.nftables.layout import Layout
from clusterip.proxy.nftables.port import Programmed
from clusterip.proxy.nftables.sets import SMALL
from clusterip.proxy.nftables.snapshot import Snapshot


class Adoption:
    """Tells which Service port had which numbers, by where its addresses led."""

    def __init__(self, found: Snapshot, layout: Layout) -> None:
        self._found = found
        self._layout = layout
        self._slots = _slots_by_group(found.sets[layout.endpoints])
        for group, slots in _slots_by_group(found.sets[layout.large]).items():
            if len(slots) > SMALL:
                self._slots[group] = slots
        self._choices = _slots_by_group(found.sets[layout.choices])
        self._claimed: set[int] = set()

    def numbers(self) -> set[int]:
        """The numbers of all ports that have slots."""
        return {group & ~1 for group in (*self._slots, *self._choices)}

    def unclaimed(self) -> set[int]:
        return self.numbers() - self._claimed

    def handles(self) -> list[int]:
        layout, sets = self._layout, self._found.sets
        return [
            target.from_number(key) for set_ in (layout.handles, layout.local_handles) for key in sets[set_]
        ]

    def claim(self, port: ServicePort) -> int:
        """The number that the kernel has for a port; 0 if it has none, or it is another port's by now."""
        for local in (False, True):
            for entry, key in entries_of(port, local=local):
                value = self._found.sets[self._layout.entries[entry]].get(key)
                if value is None:
                    continue
                number = target.group_of(value) & ~1
                known = self._choices if port.affinity_seconds else self._slots
                if number not in self._claimed and (number in known or number + 1 in known):
                    self._claimed.add(number)
                    return number
        return 0

    def fill(self, programmed: Programmed) -> None:
        """Give a port the slots and handles that its numbers have, as far as they can be used."""
        if programmed.number not in self._claimed:
            return
        programmed.cluster = self._group(programmed, local=False)
        programmed.local = self._group(programmed, local=True)

    def _group(self, programmed: Programmed, *, local: bool) -> Group | None:
        number = programmed.number + local
        if programmed.handles is None:
            slots = self._slots.get(number, {})
        else:
            map_ = self._layout.local_handles if local else self._layout.handles
            known = self._found.sets[map_]
            slots = {}
            for slot, handle in self._choices.get(number, {}).items():
                if destination := known.get(handle):
                    slots[slot] = destination
                    programmed.handles.setdefault(destination, target.from_number(handle))
        found = list(dict.fromkeys(_without_gap(slots)))
        if programmed.handles is None and (len(found) > SMALL) != (len(slots) > SMALL):
            return None  # they would be believed to be in the other map
        return Group(number, found) if found else None


def _slots_by_group(elements: dict[bytes, bytes]) -> dict[int, dict[int, bytes]]:
    groups: dict[int, dict[int, bytes]] = {}
    for key, value in elements.items():
        groups.setdefault(target.from_number(key[:4]), {})[target.from_number(key[4:])] = value
    return groups


def _without_gap(slots: dict[int, bytes]) -> list[Destination]:
    found: list[Destination] = []
    while (destination := slots.get(len(found))) is not None:
        found.append(destination)
    return found
