"""A proxy of the mode ipvs on a test network's node, without what takes nftables.

user-mode-linux has no nftables for IPv4 and IPv6. ``test_ipvs_rules.py`` tries that part on this kernel.
"""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path

from proxy_network import NODE4, NODE6, POD_CIDRS

from clusterip.kernel import namespaces
from clusterip.kernel.ipvs import Ipvs
from clusterip.kernel.nftables import Family
from clusterip.proxy import wire
from clusterip.proxy.backend import BackendOptions, PodDetection
from clusterip.proxy.ipvs import sysctls
from clusterip.proxy.ipvs.backend import IpvsBackend
from clusterip.proxy.model import NodeAddresses, pack_address
from clusterip.proxy.sync import Sync
from clusterip.proxy.tracker import Tracker
from tests.support.proxy_objects import NODE

SECONDS = 30.0
Thing = wire.Service | wire.EndpointSlice
OWN = tuple(filter(None, map(pack_address, (NODE4, NODE6))))
PODS = PodDetection(tuple(map(ipaddress.ip_network, POD_CIDRS)))


class World:
    """``apply`` and ``delete`` objects; the kernel has them when the call returns."""

    def __init__(self, namespace: Path, options: BackendOptions | None = None) -> None:
        self.namespace = namespace
        with namespaces.enter(namespace):
            sysctls.apply(strict_arp=False)
            self.ipvs = Ipvs()  # to look with
            self.backend = IpvsBackend(Ipvs(), Family, options or BackendOptions(PODS), with_tables=False)
            self.sync = Sync(Tracker(NODE), self.backend)
        self.backend.set_node(NodeAddresses(OWN, OWN))
        self._objects: dict[tuple[type, str], Thing] = {}
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._touched = asyncio.Event()
        told = self.sync.touched

        def touched() -> None:
            told()
            self._touched.set()

        self.sync.touched = touched  # type: ignore[method-assign]

    async def start(self, *objects: Thing) -> None:
        """Start with these objects known."""
        for obj in objects:
            self._tell(obj)
        self._task = asyncio.create_task(self.sync.run())
        async with asyncio.timeout(SECONDS):
            await self.sync.synced.wait()

    async def apply(self, *objects: Thing) -> None:
        for obj in objects:
            self._tell(obj)
        await self._written()

    async def delete(self, obj: Thing) -> None:
        self._change(self._objects.pop((type(obj), obj.metadata.name)), None)
        await self._written()

    @property
    def objects(self) -> list[Thing]:
        return list(self._objects.values())

    def find(self, name: str) -> wire.Service | None:
        """The Service of that name, if it is known."""
        found = self._objects.get((wire.Service, name))
        return found if isinstance(found, wire.Service) else None

    def addresses(self, port: int) -> set[str]:
        """The addresses of virtual servers with that port."""
        servers = (server for server in self.ipvs.servers() if server.port == port)
        return {str(ipaddress.ip_address(server.address)) for server in servers}

    async def repaired(self) -> None:
        """Return once the proxy has noticed something and written everything anew."""
        async with asyncio.timeout(SECONDS):
            await self._touched.wait()
            await self.sync.settled()

    async def _written(self) -> None:
        self.sync.flush()
        async with asyncio.timeout(SECONDS):
            await self.sync.settled()
        assert not self.sync.failing, self.sync.failing
        assert not self.sync.refused, self.sync.refused

    def _tell(self, obj: Thing) -> None:
        key = (type(obj), obj.metadata.name)
        self._change(self._objects.get(key), obj)
        self._objects[key] = obj

    def _change(self, old: Thing | None, new: Thing | None) -> None:
        if isinstance(new or old, wire.Service):
            self.sync.tracker.service_changed(old, new)  # type: ignore[arg-type]
        else:
            self.sync.tracker.slice_changed(old, new)  # type: ignore[arg-type]

    def close(self) -> None:
        """End the proxy, unless it has ended; the kernel keeps what it has."""
        if self._closed:
            return
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        self.sync.close()
        self.ipvs.close()
