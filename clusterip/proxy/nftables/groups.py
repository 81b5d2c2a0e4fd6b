"""Groups of endpoints: their numbers, their slots and, with session affinity, their handles."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from clusterip.kernel.nftables import Set
from clusterip.proxy.model import Destination
from clusterip.proxy.nftables import target
from clusterip.proxy.nftables.changes import Changes
from clusterip.proxy.slots import rearrange

_FIRST_SIZE = 1 << 12


class Exhausted(Exception):
    """There are more groups or kinds of groups than a target has room for."""


class Numbers:
    """Hands out even numbers, each for the two groups of a Service port.

    A freed one is used again only after all others.
    """

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
            if found * 2 >= target.MAX_GROUPS:
                raise Exhausted(f"more than {target.MAX_GROUPS // 2 - 1} Service ports")
            self._grow(found)
        self._used[found] = 1
        self._next = found + 1
        return found * 2

    def reserve(self, number: int) -> None:
        half = number // 2
        while half >= len(self._used):
            self._grow(len(self._used))
        self._used[half] = 1

    def free(self, number: int) -> None:
        self._used[number // 2] = 0

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
    """The endpoints of a Service port under one policy, in slots 0 to N - 1."""

    __slots__ = ("number", "slots")

    def __init__(self, number: int, slots: list[Destination] | None = None) -> None:
        self.number = number
        self.slots = slots if slots is not None else []

    def update(
        self,
        wanted: Collection[Destination],
        changes: Changes,
        set_of: Callable[[int], Set],
        value_of: Callable[[Destination], bytes],
    ) -> None:
        """Make the group hold these endpoints.

        ``set_of`` tells which map has the slots of a group of some size; ``value_of`` what a slot holds.
        """
        if not self.slots and not changes.recording:
            self.slots = list(wanted)
            return
        set_ = set_of(len(wanted) or len(self.slots))
        if self.slots and set_of(len(self.slots)) is not set_:
            self._move(wanted, changes, set_of(len(self.slots)), set_, value_of)
            return
        for slot, old, new in rearrange(self.slots, wanted):
            changes.put(
                set_,
                self._key(slot),
                None if old is None else value_of(old),
                None if new is None else value_of(new),
            )

    def _move(
        self,
        wanted: Collection[Destination],
        changes: Changes,
        old: Set,
        new: Set,
        value_of: Callable[[Destination], bytes],
    ) -> None:
        """Have the slots in another map from now on."""
        for key, value in self.elements(value_of):
            changes.put(old, key, value, None)
        self.slots = list(wanted)
        for key, value in self.elements(value_of):
            changes.put(new, key, None, value)

    def elements(self, value_of: Callable[[Destination], bytes]) -> Iterator[tuple[bytes, bytes]]:
        """The elements of its slots."""
        number = target.number(self.number)
        for slot, destination in zip(_slot_keys(len(self.slots)), self.slots, strict=False):
            yield number + slot, value_of(destination)

    def _key(self, slot: int) -> bytes:
        return target.number(self.number) + target.number(slot)


_known_slot_keys: list[bytes] = []


def _slot_keys(count: int) -> list[bytes]:
    """The ends of the keys of at least the first ``count`` slots."""
    for slot in range(len(_known_slot_keys), count):
        _known_slot_keys.append(target.number(slot))
    return _known_slot_keys


def plainly(destination: Destination) -> bytes:
    """What a slot holds without session affinity: the endpoint itself."""
    return destination
