"""The nftables data plane as the rest of the proxy sees it: a :class:`clusterip.proxy.backend.Backend`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.nftables import Batch, Changes, Family, Nftables, NftablesError
from clusterip.process import log
from clusterip.proxy import metrics
from clusterip.proxy.backend import BackendError, BackendOptions, Refusal
from clusterip.proxy.model import Network, NodeAddresses, PortKey, PortState, family_of
from clusterip.proxy.nftables import snapshot
from clusterip.proxy.nftables.changes import add_elements, delete_elements
from clusterip.proxy.nftables.groups import Exhausted
from clusterip.proxy.nftables.layout import TABLE_NAME, Layout
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


class NftablesBackend:
    """Programs the kernel of the network namespace it was opened in, through one table a family."""

    def __init__(self, families: Iterable[Family], options: BackendOptions) -> None:
        self.nftables = Nftables()
        self.planes = {family: Plane(Layout(family, options)) for family in families}
        self.statistics = Statistics()
        self._events = Changes(self.nftables.port)
        self._watching = False
        self._found: dict[Family, Snapshot] = {}
        self._no_room: dict[PortKey, Refusal] = {}

    def close(self) -> None:
        if self._watching:
            asyncio.get_running_loop().remove_reader(self._events.fileno())
        self._events.close()
        self.nftables.close()

    # What is wanted.

    def set_port(self, key: PortKey, state: PortState | None) -> None:
        plane = self.planes.get(key.family)
        if plane is None:
            return
        self._no_room.pop(key, None)
        try:
            plane.set_port(key, state)
        except Exhausted as error:
            self._no_room[key] = Refusal(f"Service port {key}", str(error))

    def set_node(self, addresses: NodeAddresses) -> None:
        for family, plane in self.planes.items():
            plane.set_node(
                NodeAddresses(
                    tuple(address for address in addresses.primary if family_of(address) is family),
                    tuple(address for address in addresses.node_ports if family_of(address) is family),
                )
            )

    def set_service_cidrs(self, networks: Iterable[Network]) -> None:
        known = list(networks)
        for family, plane in self.planes.items():
            version = 4 if family is Family.IPV4 else 6
            plane.set_service_cidrs(network for network in known if network.version == version)

    @property
    def has_changes(self) -> bool:
        return any(plane.has_changes for plane in self.planes.values())

    # The kernel.

    async def adopt(self) -> None:
        try:
            for family, plane in self.planes.items():
                found = self._found[family] = snapshot.read(self.nftables, plane.layout)
                plane.begin_adoption(found)
        except OSError as error:
            raise BackendError(f"cannot read the rules: {error}") from error

    async def apply(self, *, retry: bool = False) -> Collection[Refusal]:
        batch = Batch()
        for plane in self.planes.values():
            if plane.has_changes:
                plane.write(batch)
        self._commit(batch)
        return tuple(self._no_room.values())

    async def reconcile(self) -> Collection[Refusal]:
        """Slots are added before the entries that need them and taken away after, in bounded batches."""
        for family, plane in self.planes.items():
            try:
                found = self._found.pop(family, None) or snapshot.read(self.nftables, plane.layout)
            except NetlinkError as error:
                raise BackendError(f"cannot read the rules: {error}") from error
            await self._reconcile(plane, found)
        return tuple(self._no_room.values())

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
        try:
            self.nftables.commit(batch)
        except (NftablesError, OSError) as error:
            raise BackendError(str(error)) from error
        seconds = time.monotonic() - started
        self.statistics.batches += 1
        if seconds > self.statistics.longest_seconds:
            self.statistics.longest_seconds = seconds
            metrics.longest_batch_seconds.set(seconds)
        self.statistics.elements += sum(len(subject.keys) for subject in batch.subjects)

    # Others' changes.

    def watch(self, touched: Callable[[], None]) -> None:
        self._watching = True
        asyncio.get_running_loop().add_reader(self._events.fileno(), self._look, touched)

    def _look(self, touched: Callable[[], None]) -> None:
        tables = self._events.drain(frozenset((TABLE_NAME,)))
        if tables is None or any(table.family in self.planes for table in tables):
            touched()


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
