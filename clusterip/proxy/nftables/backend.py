"""The nftables data plane as the rest of the proxy sees it: a :class:`clusterip.proxy.backend.Backend`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator

from clusterip.kernel.nftables import Batch, Changes, Family, Nftables, NftablesError
from clusterip.process import log
from clusterip.proxy.alarm import Alarm
from clusterip.proxy.backend import BackendError, BackendOptions, Refusal
from clusterip.proxy.model import Network, NodeAddresses, PortKey, PortState, family_of
from clusterip.proxy.nftables import snapshot
from clusterip.proxy.nftables.adoption import Adoption
from clusterip.proxy.nftables.layout import Layout
from clusterip.proxy.nftables.pieces import TABLE_NAME
from clusterip.proxy.nftables.plane import Plane
from clusterip.proxy.nftables.reconcile import reconcile
from clusterip.proxy.nftables.snapshot import Snapshot
from clusterip.proxy.nftables.writer import BATCH_ELEMENTS, Statistics, Writer

_log = log.get("proxy")


TIDY_SECONDS = 2.0
"""How long after a chain was let go of to delete it."""


class NftablesBackend:
    """Programs the kernel of the network namespace it was opened in, through one table a family."""

    def __init__(
        self, families: Iterable[Family], options: BackendOptions, *, drop_invalid: bool = True
    ) -> None:
        self.nftables = Nftables()
        self.planes = {
            family: Plane(Layout(family, options, drop_invalid=drop_invalid)) for family in families
        }
        self._writer = Writer(self.nftables)
        self._events = Changes(self.nftables.port)
        self._watching = False
        self._later = Alarm(self._tidy)
        self._found: dict[Family, Snapshot] = {}

    @property
    def statistics(self) -> Statistics:
        return self._writer.statistics

    def close(self) -> None:
        if self._watching:
            asyncio.get_running_loop().remove_reader(self._events.fileno())
        self._later.cancel()
        self._events.close()
        self.nftables.close()

    # What is wanted.

    def set_port(self, key: PortKey, state: PortState | None) -> None:
        plane = self.planes.get(key.family)
        if plane is not None:
            plane.set_port(key, state)

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

    def describe(self, key: PortKey) -> Iterator[str]:
        plane = self.planes.get(key.family)
        return plane.describe(key) if plane is not None else iter(())

    @property
    def has_changes(self) -> bool:
        return any(plane.has_changes for plane in self.planes.values())

    # The kernel.

    async def adopt(self) -> None:
        for plane in self.planes.values():
            found = self._found[plane.layout.family] = self._read(plane)
            plane.chains.adopt(found.dispatch, found.orphans)
            plane.begin_adoption(Adoption(found, plane.layout))

    async def apply(self, *, retry: bool = False) -> Collection[Refusal]:
        planes = list(self.planes.values())
        if retry:
            for plane in planes:
                plane.retry()
        more = True
        while more:
            left = [plane.work(BATCH_ELEMENTS // len(planes)) for plane in planes]
            more = any(left)
            await self._writer.write(planes)
        self._tidy()
        return self._refusals()

    async def reconcile(self) -> Collection[Refusal]:
        for family, plane in self.planes.items():
            found = self._found.pop(family, None) or self._read(plane)
            plane.changes.clear()
            plane.changes.refused.clear()
            plane.changes.recording = False  # all of it will be compared
            try:
                more = True
                while more:
                    more = plane.work(1)
                    await asyncio.sleep(0)
            finally:
                plane.changes.recording = True
            await reconcile(self._writer, plane, found)
            plane.end_adoption()
        if self.has_changes:  # what was set meanwhile
            return await self.apply()
        self._tidy()
        return self._refusals()

    def _read(self, plane: Plane) -> Snapshot:
        try:
            return snapshot.read(self.nftables, plane.layout)
        except OSError as error:
            raise BackendError(f"cannot read the rules: {error}") from error

    def _refusals(self) -> list[Refusal]:
        no_room = (
            Refusal(f"Service port {key}", reason)
            for plane in self.planes.values()
            for key, (_, reason) in plane.no_room.items()
        )
        return [*self._writer.refusals(self.planes.values()), *no_room]

    def _tidy(self) -> None:
        """Delete count chains of sizes that nobody has any more."""
        for plane in self.planes.values():
            batch = Batch()
            plane.chains.write_unlinking(batch, plane.layout)
            try:
                self._writer.commit(batch)
                batch = Batch()
                plane.chains.write_deletions(batch, plane.layout)
                self._writer.commit(batch)
            except (NftablesError, BackendError) as error:
                # They are in nobody's way. What it means for the rest, the next change shows.
                _log.debug("cannot delete unused chains yet", reason=str(error))
                plane.chains.deleted(refused=True)
            else:
                plane.chains.deleted(refused=False)
            if plane.chains.has_leaving and not self._later.is_set:
                self._later.set(TIDY_SECONDS)

    # Others' changes.

    def watch(self, touched: Callable[[], None]) -> None:
        self._watching = True
        self._writer.surprised = touched
        asyncio.get_running_loop().add_reader(self._events.fileno(), self._look, touched)

    def _look(self, touched: Callable[[], None]) -> None:
        tables = self._events.drain(frozenset((TABLE_NAME,)))
        if tables is None or any(table.family in self.planes for table in tables):
            touched()
