"""Pod networks without agents: Nodes as the agent sees them, and one node's part in a namespace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from clusterip.kernel import namespaces
from clusterip.node.network.bridge import ensure_bridge
from clusterip.node.network.ipam import AddressPools
from clusterip.node.network.peers import VXLAN_ANNOTATION, Peer, encode
from clusterip.node.network.podnetwork import PodNetwork, Settings
from clusterip.node.sandbox import sandbox as sandboxes
from clusterip.node.sandbox.sandbox import Sandbox
from clusterip.objects import codec
from tests.support.machines import Lab, Machine
from tests.support.sandboxes import make


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
        self.name = name
        self.annotations: dict[str, str | None] = {}
        self.mtu = 0
        own = nodes.objects[name]
        self.settings = Settings(
            name=name,
            mode=mode,
            networks=[ip_network(cidr) for cidr in own.spec.podCIDRs],
            addresses=[each.address for each in own.status.addresses],
            **settings,
        )
        self.network = PodNetwork(
            self.settings,
            nodes,  # type: ignore[arg-type]
            self._annotate,
            self._set_mtu,
        )

    async def _annotate(self, annotations: dict[str, str | None]) -> None:
        self.annotations |= annotations

    def _set_mtu(self, mtu: int) -> None:
        self.mtu = mtu


@dataclass
class Place:
    """A machine with its part in the Pod network, and a Pod."""

    machine: Machine
    part: Part
    sandbox: Sandbox

    @property
    def pod(self) -> Path:
        """The Pod's network namespace."""
        return Path(self.sandbox.namespaces()["network"])


class Machines:
    """A lab's machines as nodes without agents, each with a Pod. What one writes of itself is passed on."""

    def __init__(self, lab: Lab, root: Path, *, mode: Any = "auto", families: Sequence[int] = (4, 6)) -> None:
        self.lab = lab
        self.mode = mode
        self._families = families
        self._root = root
        self._pools: dict[str, AddressPools] = {}
        self._sandboxes: list[tuple[str, Sandbox]] = []
        self.nodes = Nodes()
        self.places: dict[str, Place] = {}
        for number, machine in enumerate(lab.machines.values()):
            self.nodes.set(self._node(machine, [f"10.244.{number}.0/24", f"fd00:{number:x}::/64"]))
        parts = {name: self.part(name) for name in lab.machines}
        for part in parts.values():
            with namespaces.enter(lab.machines[part.name].path):
                ensure_bridge(part.settings.networks)
        self._settle(parts)
        for name, part in parts.items():
            with namespaces.enter(lab.machines[name].path):
                self._pools[name] = AddressPools(part.settings.networks)
            self.places[name] = Place(lab.machines[name], part, self.pod(name, part.mtu))

    def part(self, name: str) -> Part:
        """A node's part as a new agent begins it."""
        return Part(self.nodes, name, mode=self.mode)

    def pod(self, name: str, mtu: int) -> Sandbox:
        """One more Pod on a machine."""
        with namespaces.enter(self.lab.machines[name].path):
            sandbox = make(self._root / name, self._pools[name], f"uid-{name}-{mtu}", mtu=mtu)
        self._sandboxes.append((name, sandbox))
        return sandbox

    def close(self) -> None:
        for name, sandbox in self._sandboxes:
            with namespaces.enter(self.lab.machines[name].path):
                sandboxes.delete(sandbox.directory, self._pools[name])

    def _settle(self, parts: Mapping[str, Part]) -> None:
        """Let each see what the others have written, until nobody has news."""
        is_changing = True
        while is_changing:
            is_changing = False
            for name, part in parts.items():
                with namespaces.enter(self.lab.machines[name].path):
                    assert part.network.sync()
                vtep = part.network.vtep
                text = encode(vtep) if vtep else ""
                old = self.nodes.objects[name]
                if old.metadata.annotations.get(VXLAN_ANNOTATION, "") != text:
                    self.nodes.set(self._node(self.lab.machines[name], old.spec.podCIDRs, text))
                    is_changing = True

    def _node(self, machine: Machine, cidrs: Sequence[str], text: str = "") -> Peer:
        own = [a for a, version in zip(machine.addresses, (4, 6), strict=True) if version in self._families]
        return peer(machine.name, cidrs, *own, vxlan=text)
