"""Groups of endpoints: their numbers, their slots and, with session affinity, their handles."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from clusterip.proxy.model import Destination
from clusterip.proxy.nftables import target
from clusterip.proxy.nftables.changes import Changes
from clusterip.proxy.nftables.layout import Layout
from clusterip.proxy.slots import rearrange

_FIRST_SIZE = 1 << 12


class Exhausted(Exception):
    """There are more groups or kinds of groups than a target has room for."""


class Numbers:
    """Hands out the numbers of groups. A freed one is used again only after all others."""

    def __init__(self) -> None:
        self._used = bytearray(_FIRST_SIZE)
        self._used[0] = 1  # so that no target is zero
        self._next = 1

    def take(self) -> int:
        found = self._used.find(0, self._next)
        if found < 0:
            found = self._used.find(0)
        if found < 0:
            found = len(self._used)
            if found >= target.MAX_GROUPS:
                raise Exhausted(f"more than {target.MAX_GROUPS - 1} groups of endpoints")
            self._grow(found)
        self._used[found] = 1
        self._next = found + 1
        return found

    def reserve(self, number: int) -> None:
        while number >= len(self._used):
            self._grow(len(self._used))
        self._used[number] = 1

    def free(self, number: int) -> None:
        self._used[number] = 0

    def _grow(self, by: int) -> None:
        self._used += bytes(by)


class Handles:
    """Hands out the 32-bit handles of endpoints with session affinity.

    They count up and are not used again for as long as possible: a client may be remembered with one whose
    endpoint has gone.
    """

    def __init__(self) -> None:
        self._next = 1

    def take(self) -> int:
        handle = self._next
        self._next = self._next % 0xFFFFFFFF + 1
        return handle

    def skip(self, handle: int) -> None:
        """Do not hand out this one or any before it."""
        self._next = max(self._next, handle % 0xFFFFFFFF + 1)


class Group:
    """The endpoints of a Service port under one policy."""

    __slots__ = ("handles", "number", "slots")

    def __init__(self, number: int, *, sticky: bool) -> None:
        self.number = number
        self.slots: list[Destination] = []
        self.handles: dict[Destination, int] | None = {} if sticky else None

    def __len__(self) -> int:
        return len(self.slots)

    def update(
        self, wanted: Collection[Destination], layout: Layout, handles: Handles, changes: Changes
    ) -> None:
        """Make the group hold these endpoints."""
        moved = rearrange(self.slots, wanted)
        if not moved:
            return
        if self.handles is None:
            for slot, old, new in moved:
                changes.put(layout.endpoints, self._key(slot), old, new)
            return
        before = dict(self.handles)
        present = set(self.slots)
        for destination in present:
            if destination not in before:
                handle = self.handles[destination] = handles.take()
                changes.put(layout.handles, target.number(handle), None, destination)
        for slot, old, new in moved:
            changes.put(
                layout.choices,
                self._key(slot),
                None if old is None else target.number(before[old]),
                None if new is None else target.number(self.handles[new]),
            )
        for destination, handle in before.items():
            if destination not in present:
                del self.handles[destination]
                changes.put(layout.handles, target.number(handle), destination, None)

    def endpoint_elements(self) -> Iterator[tuple[bytes, bytes]]:
        """Its elements of ``endpoints``."""
        if self.handles is None:
            for slot, destination in enumerate(self.slots):
                yield self._key(slot), destination

    def choice_elements(self) -> Iterator[tuple[bytes, bytes]]:
        """Its elements of ``choices``."""
        if self.handles is not None:
            for slot, destination in enumerate(self.slots):
                yield self._key(slot), target.number(self.handles[destination])

    def handle_elements(self) -> Iterator[tuple[bytes, bytes]]:
        """Its elements of ``handles``."""
        for destination, handle in (self.handles or {}).items():
            yield target.number(handle), destination

    def _key(self, slot: int) -> bytes:
        return target.number(self.number) + target.number(slot)
