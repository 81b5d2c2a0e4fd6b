"""Where cases run: the network, a proxy of the mode under test, and connections from its machines."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from proxy_network import NODE4, NODE6, POD_CIDRS, Connection, ask, cgroups
from proxy_network import Network as TestNetwork
from proxy_world import Thing, World

from clusterip.kernel import namespaces
from clusterip.kernel.conntrack import Conntrack
from clusterip.kernel.nftables import Family
from clusterip.proxy import modes
from clusterip.proxy.backend import BackendOptions, PodDetection
from clusterip.proxy.model import Network, NodeAddresses, pack_address
from tests.kernel.proxy.cases.place import POD_NUMBERS
from tests.support.cgroups import ThreadCgroup

SERVICE_CIDRS = ("10.96.0.0/16", "fd00:96::/112")
PODS = PodDetection(cidrs=tuple(ipaddress.ip_network(cidr) for cidr in POD_CIDRS))
_source_ports = itertools.cycle(range(20_000, 30_000))


def build_network() -> TestNetwork:
    """The network of all cases."""
    network = TestNetwork()
    for name, (node, number) in POD_NUMBERS.items():
        network.add_pod(name, number, here=node == 1, serves=not name.endswith("client"))
    network.serve("here-2", 9090)
    return network


class Bed:
    """A running proxy on the network's node; it and its rules go with ``close``."""

    def __init__(self, network: TestNetwork, mode: str, protocol: str = "TCP") -> None:
        self.network = network
        self.mode = mode
        self.protocol = protocol
        self.world: World
        self._running = False
        self._cgroup: ThreadCgroup | None = None

    async def start(self, *, zone: str = "", **options: object) -> None:
        """Start the proxy. ``options`` are fields of ``BackendOptions``; ``zone`` is the node's."""
        self._zone, self._options = zone, options | self._cgroup_options()
        with namespaces.enter(self.network.node):
            conntrack = Conntrack()
        for family in Family:
            conntrack.forget_all(family)
        conntrack.close()
        await self._run(())

    def _cgroup_options(self) -> dict[str, object]:
        """With programs at sockets, those of the node and of its Pods are in a cgroup of their own."""
        if self.mode != "ebpf":
            return {}
        self._cgroup = ThreadCgroup("clusterip-bed")
        local = [self.network.node, *(pod.namespace for pod in self.network.pods.values() if pod.here)]
        cgroups.update(dict.fromkeys(local, self._cgroup))
        return {"cgroup": self._cgroup.path}

    async def restart(self, *changed: Thing) -> None:
        """End the proxy, rules left alone, and start one that is told of ``changed`` objects first."""
        new = {(type(obj), obj.metadata.name): obj for obj in changed}
        objects = [new.get((type(obj), obj.metadata.name), obj) for obj in self.world.objects]
        self.stop()
        await self._run(objects)

    def stop(self) -> None:
        """End the proxy, rules left alone."""
        if self._running:
            self._running = False
            self.world.close()

    async def _run(self, objects: Sequence[Thing]) -> None:
        self.world = World(
            self.network.node,
            BackendOptions(**{"pods": PODS} | self._options),  # type: ignore[arg-type]
            self.mode,
        )
        self.world.sync.tracker.zone = self._zone
        self._tell_node()
        self._tell_cidrs()
        self.world.learn(*objects)
        await self.world.start()
        self._running = True

    async def set_node(self, *node_ports: str) -> None:
        """On which of the node's addresses node ports answer: its InternalIPs unless told."""
        self._tell_node(*node_ports)
        await self.world.written()

    async def set_service_cidrs(self, *more: Network) -> None:
        """The ranges of Services, beside those that there are at the start."""
        self._tell_cidrs(*more)
        await self.world.written()

    def _tell_node(self, *node_ports: str) -> None:
        own = tuple(filter(None, map(pack_address, (NODE4, NODE6))))
        others = tuple(filter(None, map(pack_address, node_ports)))
        self.world.backend.set_node(NodeAddresses(own, others or own))

    def _tell_cidrs(self, *more: Network) -> None:
        self.world.backend.set_service_cidrs((*map(ipaddress.ip_network, SERVICE_CIDRS), *more))

    async def apply(self, *objects: Thing) -> None:
        await self.world.apply(*objects)

    async def delete(self, *objects: Thing) -> None:
        await self.world.delete(*objects)

    def namespace(self, client: str) -> Path:
        """Where a client is: ``node``, ``outside`` or the name of a Pod."""
        if client == "node":
            return self.network.node
        return self.network.outside if client == "outside" else self.network.pods[client].namespace

    async def ask(
        self, client: str, address: str, port: int = 80, *, source_port: int = 0, seconds: float = 10.0
    ) -> tuple[str, str]:
        """Who answered a new connection, and as whom it saw the client. Raises Refused, Silent."""
        if self.protocol != "TCP" and not source_port:  # a port that no flow is tracked of
            source_port = next(_source_ports)
        return await ask(
            self.namespace(client),
            address,
            port,
            protocol=self.protocol,
            source_port=source_port,
            seconds=seconds,
        )

    async def connect(self, client: str, address: str, port: int) -> Connection:
        """A TCP connection that stays open."""
        return await Connection.open(self.namespace(client), address, port)

    async def ask_often(self, client: str, address: str, port: int = 80, times: int = 20) -> Counter[str]:
        """Who answered how many of so many connections."""
        answers = await asyncio.gather(*(self.ask(client, address, port) for _ in range(times)))
        return Counter(name for name, _ in answers)

    def close(self) -> Sequence[str]:
        """End the proxy and remove its rules; what was removed."""
        self.stop()
        removed = namespaces.run_in(self.network.node, lambda: modes.clean_up(self.mode))
        if self._cgroup is not None:
            cgroups.clear()
            self._cgroup.close()
        return removed
