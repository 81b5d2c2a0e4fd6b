"""Pod networks without agents: Nodes as the agent sees them, and one node's part in a namespace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import Any

from clusterip.node.network.peers import VXLAN_ANNOTATION, Peer
from clusterip.node.network.podnetwork import PodNetwork, Settings
from clusterip.objects import codec


def peer(name: str, cidrs: Sequence[str], *addresses: str, vxlan: str = "") -> Peer:
    tree = {
        "metadata": {"name": name, "annotations": {VXLAN_ANNOTATION: vxlan} if vxlan else {}},
        "spec": {"podCIDR": cidrs[0] if cidrs else "", "podCIDRs": list(cidrs)},
        "status": {"addresses": [{"type": "InternalIP", "address": each} for each in addresses]},
    }
    return codec.convert(tree, Peer)


class Nodes:
    """An informer's surface: the objects, and those who are told of changes."""

    def __init__(self, *peers: Peer) -> None:
        self._handlers: list[Callable[[Peer | None, Peer | None], None]] = []
        self.objects: dict[str, Peer] = {}
        for each in peers:
            self.set(each)

    def on_change(self, handler: Callable[[Peer | None, Peer | None], None]) -> None:
        self._handlers.append(handler)
        for each in self.objects.values():
            handler(None, each)

    def get(self, _namespace: str, name: str) -> Peer | None:
        return self.objects.get(name)

    def set(self, node: Peer) -> None:
        old = self.objects.get(node.metadata.name)
        self.objects[node.metadata.name] = node
        for handler in self._handlers:
            handler(old, node)

    def remove(self, name: str) -> None:
        old = self.objects.pop(name)
        for handler in self._handlers:
            handler(old, None)


class Part:
    """One node's part. ``annotations`` and ``mtu`` are what it has told."""

    def __init__(self, nodes: Nodes, name: str, *, mode: Any = "auto", **settings: Any) -> None:
        self.annotations: dict[str, str | None] = {}
        self.mtu = 0
        own = nodes.objects[name]
        self.network = PodNetwork(
            Settings(
                name=name,
                mode=mode,
                networks=[ip_network(cidr) for cidr in own.spec.podCIDRs],
                addresses=[each.address for each in own.status.addresses],
                **settings,
            ),
            nodes,  # type: ignore[arg-type]
            self._annotate,
            self._set_mtu,
        )

    async def _annotate(self, annotations: dict[str, str | None]) -> None:
        self.annotations |= annotations

    def _set_mtu(self, mtu: int) -> None:
        self.mtu = mtu
