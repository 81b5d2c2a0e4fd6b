"""The nftables data plane as the rest of the proxy sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.nftables import Batch, Changes, Family, Nftables, Table
from clusterip.process import log
from clusterip.proxy.model import NOTHING, Address, Choice, Network, PortKey, ServicePort, family_of
from clusterip.proxy.nftables import snapshot
from clusterip.proxy.nftables.changes import add_elements, delete_elements
from clusterip.proxy.nftables.layout import TABLE_NAME, Layout
from clusterip.proxy.nftables.options import LayoutOptions
from clusterip.proxy.nftables.plane import Plane
from clusterip.proxy.nftables.ranges import interval_elements, range_key_of
from clusterip.proxy.nftables.snapshot import Snapshot

_log = log.get("proxy")

# The kernel holds its ruleset's lock for a batch as a whole; this many elements take it about 15 ms.
_ELEMENTS_PER_BATCH = 8_000


@dataclass
class Statistics:
    """What went to the kernel so far."""

    batches: int = 0
    elements: int = 0
    longest_seconds: float = 0.0
    repairs: int = 0


class Backend:
    """Programs the kernel of the network namespace it was opened in.

    First ``read``; then ``set_port`` for everything there is, and ``reconcile``; from then on ``set_port``
    for what changes, and ``commit``. The kernel's state outlives the object.
    """

    def __init__(self, families: Iterable[Family], options: LayoutOptions) -> None:
        self.nftables = Nftables()
        self.planes = {family: Plane(Layout(family, options)) for family in families}
        self.statistics = Statistics()
        self._events: Changes | None = None
        self._found: dict[Family, Snapshot] = {}

    def close(self) -> None:
        self.stop_watching()
        self.nftables.close()

    @property
    def ports(self) -> int:
        """How many Service ports there are, in all families."""
        return sum(len(plane) for plane in self.planes.values())

    # What is wanted.

    def set_port(self, key: PortKey, port: ServicePort | None, choice: Choice = NOTHING) -> None:
        """Make a Service port (None: no more) reach the chosen endpoints, with the next commit.

        Raises:
            Exhausted: the table has no room for it.
        """
        plane = self.planes.get(key.family)
        if plane is not None:
            plane.set_port(key, port, choice)

    def set_node_ips(self, addresses: Iterable[Address]) -> None:
        """The node's own addresses: where node ports answer, unless they do on all."""
        known = list(addresses)
        for family, plane in self.planes.items():
            plane.set_node_ips(address for address in known if family_of(address) is family)

    def set_service_cidrs(self, networks: Iterable[Network]) -> None:
        """The ranges ClusterIPs come from. Packets to addresses in them that no Service has are dropped."""
        known = list(networks)
        for family, plane in self.planes.items():
            version = 4 if family is Family.IPV4 else 6
            plane.set_service_cidrs(network for network in known if network.version == version)

    # The kernel.

    def read(self) -> None:
        """Read the tables and prepare to keep what is in them; ``reconcile`` goes on from there.

        Raises NetlinkError.
        """
        for family, plane in self.planes.items():
            found = self._found[family] = snapshot.read(self.nftables, plane.layout)
            plane.begin_adoption(found)

    @property
    def has_changes(self) -> bool:
        """Whether the kernel does not have everything yet."""
        return any(plane.has_changes for plane in self.planes.values())

    def commit(self) -> None:
        """Write the changes since the last commit, as one batch.

        Raises:
            NftablesError: the kernel refused; nothing was written. ``reconcile`` puts it right.
        """
        batch = Batch()
        for plane in self.planes.values():
            if plane.has_changes:
                plane.write(batch)
        self._commit(batch)

    async def reconcile(self) -> None:
        """Read the tables and write the difference to what is wanted, in bounded batches.

        Slots are added before the entries that need them and taken away after, so connections find
        working rules in between.

        Raises:
            NftablesError, NetlinkError: the kernel refused, or the tables could not be read.
        """
        for family, plane in self.planes.items():
            found = self._found.pop(family, None) or snapshot.read(self.nftables, plane.layout)
            await self._reconcile(plane, found)

    async def _reconcile(self, plane: Plane, found: Snapshot) -> None:
        layout = plane.layout
        batch = Batch()
        replaced = False
        if not found.exists:
            replaced = self.nftables.table_comment(layout.table) is not None
            if replaced:
                _log.info("replacing a table of another layout", table=layout.table.name)
                batch.delete_table(layout.table)
            layout.create(batch)
        plane.chains.write_difference(batch, layout, found.dispatch)
        # A table of another layout is replaced as a whole, so that there always is one that works.
        limit = _ELEMENTS_PER_BATCH if not replaced else 1 << 30
        batch = await self._fill(plane, found, batch, limit)
        self._commit(batch)
        await self._clear_leftovers(plane, found)
        plane.written_all()
        plane.end_adoption()

    async def _fill(self, plane: Plane, found: Snapshot, batch: Batch, limit: int) -> Batch:
        """Write what is missing or different. What is wanted leaves ``found``; the rest is left over."""
        table = plane.layout.table
        count = 0
        for set_ in plane.layout.changing_sets:
            existing = found.sets[set_]
            for wrong, missing in _differences(plane.wanted(set_), existing):
                if count + len(missing) > limit and count:
                    self._commit(batch)
                    batch, count = Batch(), 0
                    await asyncio.sleep(0)
                delete_elements(batch, table, set_, wrong)
                add_elements(batch, table, set_, missing)
                count += len(missing)
        self._fill_ranges(plane, found, batch)
        return batch

    def _fill_ranges(self, plane: Plane, found: Snapshot, batch: Batch) -> None:
        """Sources and service CIDRs. Ranges must not overlap, so what is left over goes at once."""
        layout = plane.layout
        existing = {range_key_of(element): b"" for element in found.ranges[layout.allowed_sources]}
        missing = [
            item for _, part in _differences(plane.wanted(layout.allowed_sources), existing) for item in part
        ]
        delete_elements(batch, layout.table, layout.allowed_sources, list(existing))
        add_elements(batch, layout.table, layout.allowed_sources, missing)
        cidrs = interval_elements(plane.service_cidrs)
        if set(cidrs) != set(found.ranges[layout.service_cidrs]):
            old = sorted(found.ranges[layout.service_cidrs], key=lambda element: element.key)
            batch.delete_ranges(layout.table, layout.service_cidrs, old)
            batch.add_ranges(layout.table, layout.service_cidrs, cidrs)

    async def _clear_leftovers(self, plane: Plane, found: Snapshot) -> None:
        for set_ in reversed(plane.layout.changing_sets):
            keys = list(found.sets[set_])
            for start in range(0, len(keys), _ELEMENTS_PER_BATCH):
                batch = Batch()
                delete_elements(batch, plane.layout.table, set_, keys[start : start + _ELEMENTS_PER_BATCH])
                self._commit(batch)
                await asyncio.sleep(0)

    def _commit(self, batch: Batch) -> None:
        if not batch:
            return
        started = time.monotonic()
        self.nftables.commit(batch)
        seconds = time.monotonic() - started
        self.statistics.batches += 1
        self.statistics.longest_seconds = max(self.statistics.longest_seconds, seconds)
        self.statistics.elements += sum(len(subject.keys) for subject in batch.subjects)

    def remove(self) -> None:
        """Remove the tables: connections to Services stop working."""
        remove_tables(self.nftables)

    # Others' changes.

    def watch(self) -> int:
        """From now on notice when others change the tables; a descriptor that is readable then."""
        if self._events is None:
            self._events = Changes(self.nftables.port)
        return self._events.fileno()

    def stop_watching(self) -> None:
        if self._events is not None:
            self._events.close()
            self._events = None

    def was_touched(self) -> bool:
        """Whether somebody else changed our tables, or may have, since last asked."""
        if self._events is None:
            return False
        touched = self._events.drain(frozenset((TABLE_NAME,)))
        return touched is None or any(table.family in self.planes for table in touched)


def remove_tables(nftables: Nftables) -> list[Table]:
    """Remove the proxy's tables of all families, of any layout; those there were."""
    batch = Batch()
    removed = []
    for family in Family:
        table = Table(family, TABLE_NAME)
        try:
            exists = nftables.table_comment(table) is not None
        except NetlinkError:
            continue  # the kernel does not know this family
        if exists:
            batch.delete_table(table)
            removed.append(table)
    nftables.commit(batch)
    return removed


def _differences(
    wanted: Iterator[tuple[bytes, bytes]], existing: dict[bytes, bytes], part: int = 2000
) -> Iterator[tuple[list[bytes], list[tuple[bytes, bytes]]]]:
    """In parts: keys with a wrong value, and elements to add. Takes what is wanted out of ``existing``."""
    wrong: list[bytes] = []
    missing: list[tuple[bytes, bytes]] = []
    for key, value in wanted:
        held = existing.pop(key, None)
        if held == value:
            continue
        if held is not None:
            wrong.append(key)
        missing.append((key, value))
        if len(missing) >= part:
            yield wrong, missing
            wrong, missing = [], []
    if missing:
        yield wrong, missing
