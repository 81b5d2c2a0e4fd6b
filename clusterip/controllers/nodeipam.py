"""Gives every node a network for its Pods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_network

from clusterip.client.errors import ApiError
from clusterip.controllers.context import Context
from clusterip.controllers.controller import Controller
from clusterip.controllers.options import Network
from clusterip.objects.core.node import NODES, Node


class NodeIpamController(Controller[str]):
    """One key stands for all nodes: networks are given out one after the other, the oldest node first."""

    name = "node-ipam-controller"
    component = "cidrAllocator"
    workers = 1

    def __init__(
        self,
        context: Context,
        cluster_cidrs: Sequence[Network],
        mask_sizes: tuple[int, int],
        service_ranges: Sequence[Network],
    ) -> None:
        super().__init__(context)
        self._pools = [Pool(cidr, _mask_size(cidr, mask_sizes), service_ranges) for cidr in cluster_cidrs]
        self._nodes = self.informer(NODES)
        self._nodes.on_change(self._node_changed)

    async def sync(self, key: str) -> None:
        nodes = self._nodes.objects.values()
        used = [ip_network(cidr) for node in nodes for cidr in node.spec.podCIDRs]
        for node in by_creation(node for node in nodes if not node.spec.podCIDRs):
            networks = [pool.lowest_free(used) for pool in self._pools]
            found = [network for network in networks if network is not None]
            if len(found) != len(self._pools):
                message = "Node " + node.metadata.name + " status is now: CIDRNotAvailable"
                self.events.event(node, "Normal", "CIDRNotAvailable", message)
                self.log.error("no pod network left", node=node.metadata.name)
                continue
            used += found
            await self._assign(key, node, found)

    async def _assign(self, key: str, node: Node, networks: Sequence[Network]) -> None:
        cidrs = [str(network) for network in networks]
        # The UID keeps a node that was replaced under its name from getting the other's network.
        patch = {
            "metadata": {"uid": node.metadata.uid},
            "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs},
        }
        try:
            written = await self.client.patch(Node, node.metadata.name, "", patch)
        except ApiError as error:
            if error.is_not_found or error.is_conflict:
                return  # gone or replaced, which the informer is about to tell
            raise
        self.wrote(key, self._nodes, written)
        self.log.info("pod network assigned", node=node.metadata.name, cidr=",".join(cidrs))

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        # A node that goes leaves its network to one that may be waiting.
        if new is None or not new.spec.podCIDRs:
            self.queue.add("nodes")


class Pool:
    """A cluster CIDR cut into networks of one size, without those that Services use."""

    def __init__(self, cidr: Network, mask_size: int, excluded: Iterable[Network]) -> None:
        self.cidr, self.mask_size = cidr, mask_size
        self._excluded = [network for network in excluded if network.version == cidr.version]
        self._span = 1 << (cidr.max_prefixlen - mask_size)
        self._count = 1 << (mask_size - cidr.prefixlen)

    def lowest_free(self, used: Iterable[Network]) -> Network | None:
        """The first network that overlaps none of ``used``, or None if all do."""
        taken: set[int] = set()
        for network in [*used, *self._excluded]:
            if network.version == self.cidr.version:
                taken.update(self._blocks(network))
        block = next((i for i in range(self._count) if i not in taken), None)
        if block is None:
            return None
        start = int(self.cidr.network_address) + block * self._span
        return ip_network((start, self.mask_size))

    def _blocks(self, network: Network) -> range:
        first = (int(network.network_address) - int(self.cidr.network_address)) // self._span
        last = (int(network.broadcast_address) - int(self.cidr.network_address)) // self._span
        return range(max(first, 0), min(last, self._count - 1) + 1)


def by_creation(nodes: Iterable[Node]) -> list[Node]:
    """Oldest first. Creation times are whole seconds; within one the order of names, numbers by value."""
    return sorted(nodes, key=lambda n: (n.metadata.creationTimestamp or "", _natural(n.metadata.name)))


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """``node-10`` after ``node-9``."""
    parts: list[str] = []
    for character in name:
        if parts and parts[-1][-1].isdecimal() == character.isdecimal():
            parts[-1] += character
        else:
            parts.append(character)
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts)


def _mask_size(cidr: Network, sizes: tuple[int, int]) -> int:
    return sizes[0] if cidr.version == 4 else sizes[1]
