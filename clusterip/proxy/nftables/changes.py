"""What is to change in the kernel: for each element, what it holds and what it shall hold."""

from __future__ import annotations

from clusterip.kernel.nftables import Batch, Set, Table
from clusterip.proxy.nftables.ranges import range_element, range_keys

Value = bytes | None
"""An element's value: ``b""`` in a set, None if there is no such element."""


class Changes:
    """Changes collected since the last commit; several of one element become one."""

    def __init__(self) -> None:
        self._sets: dict[Set, dict[bytes, tuple[Value, Value]]] = {}

    def __bool__(self) -> bool:
        return any(self._sets.values())

    def put(self, set_: Set, key: bytes, old: Value, new: Value) -> None:
        """``old`` must be what the element holds after the changes before this one.

        In a set of ranges, ``key`` is what comes before the range and a value is all its ranges.
        """
        if old == new:
            return
        if set_.is_concatenated_range:
            size = set_.key[-1].length
            before, after = range_keys(key, old, size), range_keys(key, new, size)
            for each in before:
                if each not in after:
                    self._put(set_, each, b"", None)
            for each in after:
                if each not in before:
                    self._put(set_, each, None, b"")
            return
        self._put(set_, key, old, new)

    def _put(self, set_: Set, key: bytes, old: Value, new: Value) -> None:
        changes = self._sets.setdefault(set_, {})
        first = changes.pop(key, None)
        before = old if first is None else first[0]
        if before != new:
            changes[key] = (before, new)

    def clear(self) -> None:
        self._sets.clear()

    def write(self, batch: Batch, table: Table) -> None:
        """Add the changes to a batch.

        A changed value is a deletion and an addition: the kernel cannot replace a value.
        """
        for set_, changes in self._sets.items():
            gone = [key for key, (old, _) in changes.items() if old is not None]
            delete_elements(batch, table, set_, gone)
        for set_, changes in self._sets.items():
            there = [(key, new) for key, (_, new) in changes.items() if new is not None]
            add_elements(batch, table, set_, there)


def add_elements(batch: Batch, table: Table, set_: Set, elements: list[tuple[bytes, bytes]]) -> None:
    if not elements:
        return
    if set_.is_concatenated_range:
        batch.add_ranges(table, set_, [range_element(key) for key, _ in elements])
    else:
        batch.add_elements(table, set_, elements)


def delete_elements(batch: Batch, table: Table, set_: Set, keys: list[bytes]) -> None:
    if not keys:
        return
    if set_.is_concatenated_range:
        batch.delete_ranges(table, set_, [range_element(key) for key in keys])
    else:
        batch.delete_elements(table, set_, keys)
