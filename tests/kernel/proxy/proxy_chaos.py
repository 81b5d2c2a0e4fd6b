"""Random Services and slices, and what must hold after any change of them."""

from __future__ import annotations

import random

from conftest import started
from proxy_world import Thing, World

from clusterip.kernel import namespaces
from clusterip.proxy.nftables import snapshot
from tests.support.proxy_objects import NODE, service, slice_of
from tests.support.proxy_objects import endpoint as endpoint_of


class Chaos:
    """Few names and addresses, so that they meet in every way."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def number(self, most: int) -> int:
        """A number from 1 to ``most``."""
        return self._random.randint(1, most)

    def chance(self, of: float) -> bool:
        return self._random.random() < of

    def pick(self) -> Thing:
        name = self._random.choice(["a", "b", "c"])
        return self._service(name) if self.chance(0.5) else self._slice(name)

    def some(self, things: list[Thing]) -> list[Thing]:
        return self._random.sample(things, self._random.randint(0, min(len(things), 3)))

    def _service(self, name: str) -> Thing:
        choose = self._random.choice
        number = ord(name) - ord("a")
        ports = [
            {"port": choose([80, 81]), "name": port_name, "protocol": choose(["TCP", "UDP", "SCTP"])}
            for port_name in choose([[""], ["x"], ["x", ""]])
        ]
        if ports[-1]["port"] == ports[0]["port"]:
            del ports[1:]
        kind = choose(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"])
        spec: dict[str, object] = {
            "type": kind,
            "externalIPs": choose([[], [], ["198.51.100.1"], ["198.51.100.1", f"10.96.0.{number}", "odd"]]),
            "sessionAffinity": choose(["", "", "ClientIP"]),
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": choose([60, 3600])}},
            "internalTrafficPolicy": choose(["Cluster", "Cluster", "Local"]),
            "created": choose([None, "2026-01-01T00:00:00Z", f"2026-02-0{number + 1}T00:00:00Z"]),
        }
        if kind != "ClusterIP":
            spec["externalTrafficPolicy"] = choose(["Cluster", "Local"])
            ports[0]["nodePort"] = choose([30000, 30001 + number])
        if kind == "LoadBalancer":
            spec["ingress"] = choose([[], ["198.51.100.2"], ["198.51.100.2", "2001:db8::2"]])
            spec["loadBalancerSourceRanges"] = choose([[], ["192.0.2.0/24"], ["192.0.2.0/25", "10.0.0.0/8"]])
        ip = [f"10.96.0.{number}"] + ([f"fd00:96::{number}"] if self.chance(0.5) else [])
        return service(name, ip, ports=ports, **spec)

    def _slice(self, name: str) -> Thing:
        choose = self._random.choice
        family = choose(["IPv4", "IPv4", "IPv6"])
        addresses = [f"10.244.1.{n}" if family == "IPv4" else f"fd00::{n}" for n in range(1, 9)]
        states: list[dict[str, object]] = [
            {},
            {},
            {},
            {"ready": False, "serving": True, "terminating": True},
            {"ready": False, "serving": False},
            {"zones": ["zone-a"]},
            {"zones": ["zone-b"], "nodes": [NODE]},
        ]
        some = choose([states[:1], states[:5], states, states[5:]])
        chosen = self._random.sample(addresses, self._random.randint(0, 8))
        return slice_of(
            name,
            *(endpoint_of(address, choose([NODE, NODE, "node-2"]), **choose(some)) for address in chosen),
            ports=[
                (port, choose(["TCP", "UDP", "SCTP"]), choose([8080, 9090]))
                for port in choose([[""], ["x"], ["x", ""]])
            ],
            slice_name=f"{name}-{choose(['one', 'two', 'three'])}-{family}",
            family=family,
        )


async def equals_fresh_load(world: World) -> None:
    """The kernel has what a proxy that starts now would write, and what this one believes it has."""
    equals_belief(world)
    path = namespaces.create_named(f"{world.namespace.name}-fresh")
    try:
        fresh = await started(path, objects=world.objects)
        assert fresh.contents() == world.contents()
        fresh.close()
    finally:
        namespaces.delete_named(path.name)


def equals_belief(world: World) -> None:
    """The kernel has what this proxy believes it has."""
    for plane in world.nftables.planes.values():
        found = snapshot.read(world.nftables.nftables, plane.layout)
        assert found.condition is snapshot.Condition.WHOLE
        for set_, elements in found.sets.items():
            assert dict(plane.wanted(set_)) == elements, set_.name
