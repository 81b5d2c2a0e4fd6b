"""Making the kernel hold what is wanted, whatever it holds."""

from __future__ import annotations

from collections.abc import Iterator

from clusterip.kernel.nftables import Batch, NftablesError
from clusterip.process import log
from clusterip.proxy.backend import BackendError
from clusterip.proxy.nftables import changes as changing
from clusterip.proxy.nftables import sources
from clusterip.proxy.nftables.changes import Change
from clusterip.proxy.nftables.plane import Plane
from clusterip.proxy.nftables.ranges import interval_elements
from clusterip.proxy.nftables.snapshot import Condition, Snapshot
from clusterip.proxy.nftables.writer import BATCH_ELEMENTS, Writer

_log = log.get("proxy")


async def reconcile(writer: Writer, plane: Plane, found: Snapshot) -> None:
    """Write the difference between what is wanted and what was found, in bounded batches.

    Slots come before the entries that need them and go after, so connections find working rules in
    between. ``found`` is used up.

    Raises BackendError.
    """
    layout = plane.layout
    plane.chains.expect(found.dispatch, found.orphans)
    plane.expect_lengths(found.lengths)
    batch = Batch()
    replaced = found.condition is Condition.FOREIGN
    if found.condition is Condition.ABSENT:
        layout.create(batch)
    elif replaced:
        _log.info("replacing a table of another layout", table=layout.table.name)
        batch.delete_table(layout.table)
        layout.create(batch)
        # All at once, so that there always is one that works; it is rare enough to take its time.
        for part in _differences(plane, found):
            changing.write(batch, layout.table, part)
    elif found.condition is Condition.DAMAGED:
        _log.info("replacing the rules", table=layout.table.name)
        layout.clear_rules(batch, found.chains - found.linked)
        plane.chains.expect(found.dispatch, ())
        layout.create_rules(batch)
        plane.chains.write_rules(batch, layout)
        for length in found.lengths:
            sources.add_rule(batch, layout, length)
    _write_cidrs(batch, plane, found)
    plane.begin(batch)
    try:
        writer.commit(batch)
    except NftablesError as error:
        raise BackendError(str(error)) from error
    plane.finish()
    if replaced:
        return
    await writer.write_parts(plane, _differences(plane, found))
    await writer.write_parts(plane, _leftovers(plane, found))


def _write_cidrs(batch: Batch, plane: Plane, found: Snapshot) -> None:
    layout = plane.layout
    cidrs = interval_elements(plane.service_cidrs)
    held = found.service_cidrs
    if set(cidrs) != set(held):
        old = sorted(held, key=lambda element: element.key)
        batch.delete_ranges(layout.table, layout.service_cidrs, old)
        batch.add_ranges(layout.table, layout.service_cidrs, cidrs)
    plane.expect_cidrs()


def _differences(plane: Plane, found: Snapshot) -> Iterator[list[Change]]:
    """What is missing or different, in parts. What is wanted leaves ``found``; the rest is left over."""
    part: list[Change] = []
    for set_ in plane.layout.changing_sets:
        existing = found.sets.get(set_)
        if not existing:
            for key, value in plane.wanted(set_):
                part.append(Change(set_, key, None, value))
                if len(part) >= BATCH_ELEMENTS:
                    yield part
                    part = []
            continue
        for key, value in plane.wanted(set_):
            held = existing.pop(key, None)
            if held != value:
                part.append(Change(set_, key, held, value))
                if len(part) >= BATCH_ELEMENTS:
                    yield part
                    part = []
    yield part


def _leftovers(plane: Plane, found: Snapshot) -> Iterator[list[Change]]:
    for set_ in reversed(plane.layout.changing_sets):
        elements = list(found.sets.get(set_, {}).items())
        for start in range(0, len(elements), BATCH_ELEMENTS):
            yield [Change(set_, key, value, None) for key, value in elements[start : start + BATCH_ELEMENTS]]
