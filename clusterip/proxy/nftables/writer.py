"""Writing changes so that the kernel is never locked for long, and one bad element spoils nothing."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from clusterip.kernel.nftables import Batch, Nftables, NftablesError, Set
from clusterip.process import log
from clusterip.proxy import metrics
from clusterip.proxy.backend import BackendError, Refusal
from clusterip.proxy.nftables import changes as changing
from clusterip.proxy.nftables.changes import Change
from clusterip.proxy.nftables.plane import Plane

_log = log.get("proxy")

BATCH_ELEMENTS = 8_000
"""The kernel holds its ruleset's lock for a batch as a whole; this many elements take it about 15 ms."""

_CAREFUL_ELEMENTS = 1_000
"""So many in messages of their own, to learn at once of all that are refused."""

_ATTEMPTS = 8
_NOT_AS_BELIEVED = (errno.ENOENT, errno.EEXIST, errno.EBUSY)
_UNKNOWN = b"?"


@dataclass
class Statistics:
    """What went to the kernel so far."""

    batches: int = 0
    elements: int = 0
    longest_seconds: float = 0.0
    longest_cpu_seconds: float = 0.0
    """Of that what the kernel worked: on a busy machine the rest is waiting."""


class Writer:
    """Commits batches for the planes of all families."""

    def __init__(self, nftables: Nftables) -> None:
        self.statistics = Statistics()
        self.surprised: Callable[[], None] | None = None
        """Called when the kernel did not hold what it should: more may be wrong."""
        self._nftables = nftables
        self._reasons: dict[tuple[Plane, Set, bytes], str] = {}

    def refusals(self, planes: Iterable[Plane]) -> list[Refusal]:
        """All that is refused by now."""
        found = []
        for plane in planes:
            table = plane.layout.table
            for set_, key in plane.changes.refused:
                reason = self._reasons.get((plane, set_, key), "it refused it before")
                where = f"{set_.name} (table {table.family.keyword} {table.name})"
                found.append(Refusal(f"element {set_.show(key)} of {where}", reason))
        if not found:
            self._reasons.clear()
        return found

    async def write(self, planes: Sequence[Plane]) -> None:
        """Write all pending changes: at one instant if they fit a batch, else so that all rules work.

        Raises BackendError.
        """
        taken = {plane: plane.changes.take() for plane in planes}
        if sum(map(len, taken.values())) <= BATCH_ELEMENTS:
            await self._write_together(taken)
            return
        for plane, changes in taken.items():
            async for part in _paced(_in_working_order(plane, changes)):
                await self._write_together({plane: part})

    async def write_parts(self, plane: Plane, parts: Iterator[list[Change]]) -> None:
        """Write parts one after another. Raises BackendError."""
        async for part in _paced(parts):
            await self._write_together({plane: part})

    async def _write_together(self, taken: dict[Plane, list[Change]]) -> None:
        batch = Batch()
        for plane, changes in taken.items():
            plane.begin(batch)
            changing.write(batch, plane.layout.table, changes)
        try:
            self.commit(batch)
        except NftablesError as error:
            if not all(refused.key for refused in error.refused):
                raise BackendError(str(error)) from error
            _log.debug("a batch was refused; finding out which elements", reason=str(error))
        else:
            for plane in taken:
                plane.finish()
            return
        for plane, changes in taken.items():
            async for part in _paced(_pieces(changes, _CAREFUL_ELEMENTS)):
                self._write_carefully(plane, part)

    def _write_carefully(self, plane: Plane, changes: list[Change]) -> None:
        """Write what can be written, and note the rest as refused."""
        pending = {(change.set, change.key): change for change in changes}
        corrected: set[tuple[Set, bytes]] = set()
        for _ in range(_ATTEMPTS):
            batch = Batch()
            plane.begin(batch)
            changing.write(batch, plane.layout.table, pending.values(), singly=True)
            try:
                self.commit(batch)
            except NftablesError as error:
                for refused in error.refused:
                    subject = refused.subject
                    if subject is None or subject.set is None or not refused.key:
                        raise BackendError(str(error)) from error
                    place = subject.set, refused.key
                    change = pending.get(place)
                    if change is None:
                        continue  # its deletion and its addition were both refused
                    if refused.errno in _NOT_AS_BELIEVED and place not in corrected:
                        corrected.add(place)
                        held = None if refused.errno == errno.ENOENT else _UNKNOWN
                        pending[place] = change._replace(old=held)
                        continue
                    del pending[place]
                    plane.changes.refuse(change)
                    self._reasons[plane, *place] = refused.message
            else:
                plane.finish()
                break
        else:
            raise BackendError("the kernel kept refusing parts of a batch")
        if corrected and self.surprised is not None:
            self.surprised()

    def commit(self, batch: Batch) -> None:
        """Commit a batch and keep count.

        Raises:
            NftablesError: as ``Nftables.commit``.
            BackendError: it could not be sent.
        """
        if not batch:
            return
        started, cpu = time.monotonic(), time.thread_time()
        try:
            self._nftables.commit(batch)
        except OSError as error:
            raise BackendError(f"cannot talk to the kernel's nftables: {error}") from error
        seconds = time.monotonic() - started
        cpu = time.thread_time() - cpu
        self.statistics.batches += 1
        self.statistics.longest_cpu_seconds = max(self.statistics.longest_cpu_seconds, cpu)
        if seconds > self.statistics.longest_seconds:
            self.statistics.longest_seconds = seconds
            metrics.longest_batch_seconds.set(seconds)
        self.statistics.elements += sum(len(subject.keys) for subject in batch.subjects)


def _in_working_order(plane: Plane, changes: list[Change]) -> Iterator[list[Change]]:
    """Changes in parts, each of which leaves working rules.

    New and replaced slots come before what counts on them, slots that are given up after it. In between
    is what must be at one instant; it is not much, because ports are handed over few at a time.
    """
    order = {set_: place for place, set_ in enumerate(plane.layout.slot_sets)}
    early = [change for change in changes if change.set in order and change.new is not None]
    late = [change for change in changes if change.set in order and change.new is None]
    early.sort(key=lambda change: order[change.set])
    late.sort(key=lambda change: -order[change.set])
    yield from _pieces(early, BATCH_ELEMENTS)
    yield [change for change in changes if change.set not in order]
    yield from _pieces(late, BATCH_ELEMENTS)


def _pieces(changes: list[Change], size: int) -> Iterator[list[Change]]:
    for start in range(0, len(changes), size):
        yield changes[start : start + size]


async def _paced(parts: Iterator[list[Change]]) -> AsyncIterator[list[Change]]:
    """Let others run between two parts."""
    for part in parts:
        yield part
        await asyncio.sleep(0)
