"""What is to change in the kernel: for each element, what it holds and what it shall hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from clusterip.kernel.nftables import Batch, Set, Table

Value = bytes | None
"""An element's value: ``b""`` in a set, None if there is no such element."""


class Change(NamedTuple):
    """One element: what the kernel holds, and what it shall hold."""

    set: Set
    key: bytes
    old: Value
    new: Value


class Changes:
    """Changes collected since the last write; several of one element become one.

    Elements that the kernel refused are remembered with what it holds instead, so that later changes of
    them begin there.
    """

    def __init__(self) -> None:
        self.recording = True
        """False while everything will be compared with the kernel anyway."""
        self.refused: dict[tuple[Set, bytes], tuple[Value, Value]] = {}
        """What the kernel holds against our will, and what was wanted."""
        self._sets: dict[Set, dict[bytes, tuple[Value, Value]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, set_: Set, key: bytes, old: Value, new: Value) -> None:
        """``old`` must be what the element holds after the changes before this one."""
        if old == new or not self.recording:
            return
        self._put(set_, key, old, new)

    def _put(self, set_: Set, key: bytes, old: Value, new: Value) -> None:
        changes = self._sets.setdefault(set_, {})
        first = changes.pop(key, None)
        if first is not None:
            old = first[0]
            self._count -= 1
        elif self.refused:
            old, _ = self.refused.pop((set_, key), (old, None))
        if old != new:
            changes[key] = (old, new)
            self._count += 1

    def take(self) -> list[Change]:
        """All changes, which are no more pending then."""
        taken = [
            Change(set_, key, old, new)
            for set_, changes in self._sets.items()
            for key, (old, new) in changes.items()
        ]
        self.clear()
        return taken

    def refuse(self, change: Change) -> None:
        """The kernel did not take this one."""
        self.refused[change.set, change.key] = change.old, change.new

    def retry(self) -> None:
        """Try again what was refused."""
        refused, self.refused = self.refused, {}
        for (set_, key), (held, wanted) in refused.items():
            self._put(set_, key, held, wanted)

    def clear(self) -> None:
        self._sets.clear()
        self._count = 0


def write(batch: Batch, table: Table, changes: Iterable[Change], *, singly: bool = False) -> None:
    """Add changes to a batch.

    A changed value is a deletion and an addition: the kernel cannot replace a value.
    """
    gone: dict[Set, list[bytes]] = {}
    there: dict[Set, list[tuple[bytes, bytes]]] = {}
    for set_, key, old, new in changes:
        if old is not None:
            gone.setdefault(set_, []).append(key)
        if new is not None:
            there.setdefault(set_, []).append((key, new))
    for set_, keys in gone.items():
        batch.delete_elements(table, set_, keys, singly=singly)
    for set_, elements in there.items():
        batch.add_elements(table, set_, elements, singly=singly)
