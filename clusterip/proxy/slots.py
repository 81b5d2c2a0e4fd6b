"""Keeping a group's endpoints in slots 0 to N - 1, with as few moves as possible."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def rearrange(slots: list[T], wanted: Collection[T]) -> list[tuple[int, T | None, T | None]]:
    """Make ``slots`` hold exactly ``wanted``, in place.

    New ones take the places of those that go; what is left of the holes is filled from the end; so
    replacing one endpoint of a thousand changes one slot. Returns the slots that changed: (index, what it
    held, what it holds now), None for nothing.
    """
    keep, present = set(wanted), set(slots)
    if keep == present:
        return []
    gone = present - keep
    holes = [index for index, held in enumerate(slots) if held in gone] if gone else []
    fresh = [item for item in dict.fromkeys(wanted) if item not in present] if keep - present else []
    before = len(slots)
    changed: dict[int, T | None] = {}

    def put(index: int, item: T) -> None:
        if index == len(slots):
            changed.setdefault(index, None)
            slots.append(item)
        else:
            changed.setdefault(index, slots[index])
            slots[index] = item

    while holes and fresh:
        put(holes.pop(0), fresh.pop(0))
    while holes:
        last = len(slots) - 1
        if last == holes[-1]:
            holes.pop()
        else:
            put(holes.pop(0), slots[last])
        changed.setdefault(last, slots[last])
        slots.pop()
    for item in fresh:
        put(len(slots), item)
    return [
        (index, held if index < before else None, slots[index] if index < len(slots) else None)
        for index, held in sorted(changed.items())
    ]
