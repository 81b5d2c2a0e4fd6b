"""What iptables has is what is wanted, whatever came before and whoever interferes."""

from __future__ import annotations

import asyncio
import random
import socket
from dataclasses import replace

import pytest
from iptables_node import OPTIONS, Node

from clusterip.kernel import namespaces
from clusterip.kernel.iptables import NFT, IptablesError, Rules
from clusterip.kernel.nftables import Family
from clusterip.proxy.iptables import names
from clusterip.proxy.iptables.backend import IptablesBackend
from clusterip.proxy.iptables.cleanup import clean_up, is_ours
from clusterip.proxy.iptables.constant import SHARED, Place
from clusterip.proxy.iptables.delta import Delta
from clusterip.proxy.model import (
    Choice,
    NodeAddresses,
    PortKey,
    PortState,
    ServiceKey,
    ServicePort,
    pack_destination,
)

HERE = bytes([192, 0, 2, 1])
ADDRESSES = NodeAddresses((HERE,), (HERE,))
SECONDS = 10.0


def key(name: str, family: Family = Family.IPV4) -> PortKey:
    return PortKey(ServiceKey("ns", name), "http", socket.IPPROTO_TCP, family)


def state(name: str, number: int, endpoints: int, **more: object) -> PortState:
    """A Service of IPv4 with so many endpoints; ``more`` are fields of ``ServicePort``."""
    port = ServicePort(key(name), bytes([10, 96, 0, number]), 80, **more)  # type: ignore[arg-type]
    found = tuple(pack_destination(bytes([10, 244, number, each]), 8080) for each in range(2, 2 + endpoints))
    local = found[:1] if port.uses_local else ()
    return PortState(port, Choice(found, local, bool(found), ()))


async def started(node: Node, *states: PortState) -> IptablesBackend:
    backend = node.backend()
    await backend.adopt()
    backend.set_node(ADDRESSES)
    for each in states:
        backend.set_port(each.port.key, each)
    assert not await backend.reconcile()
    return backend


def comparable(tables: dict[str, Rules]) -> dict[Place, list[str]]:
    """In chains that all Services share, the order does not count but for the rules that come last."""
    found = {}
    for table, chains in tables.items():
        for chain, rules in chains.items():
            place = Place(table, chain)
            found[place] = sorted(rules) if place in SHARED else rules
    return found


def spied_on(backend: IptablesBackend, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that is written from now on."""
    texts: list[str] = []
    for writer in backend.writers.values():
        original = writer._write

        def write(delta: Delta, original: object = original) -> None:
            if delta:
                texts.append(delta.text())
            original(delta)  # type: ignore[operator]

        monkeypatch.setattr(writer, "_write", write)
    return texts


SERVICES = (
    state("plain", 1, 3),
    state("none", 2, 0, node_port=30002, external_ips=(bytes([198, 51, 100, 2]),)),
    state("sticky", 3, 2, affinity_seconds=600, node_port=30003),
    state(
        "balanced", 4, 2, load_balancer_ips=(bytes([198, 51, 100, 4]),), external_local=True, node_port=30004
    ),
)


async def test_a_second_look_writes_nothing(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything reads back as it was written, so a restart finds nothing to do."""
    await started(node, *SERVICES)
    first = node.saved()
    again = node.backend()
    texts = spied_on(again, monkeypatch)
    again.set_node(ADDRESSES)
    for each in SERVICES:
        again.set_port(each.port.key, each)
    await again.reconcile()
    assert texts == []
    assert node.saved() == first


async def test_only_what_changes_is_written(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = await started(node, *SERVICES)
    texts = spied_on(backend, monkeypatch)
    backend.set_port(key("plain"), state("plain", 1, 4))
    await backend.apply()
    assert len(texts) == 1
    chains = [line for line in texts[0].splitlines() if line.startswith(":")]
    assert [line[1:10] for line in chains] == [names.CLUSTER, names.ENDPOINT]


async def test_any_sequence_of_changes_ends_as_a_fresh_load(node: Node) -> None:
    chance = random.Random(7)
    backend = await started(node)
    wanted: dict[PortKey, PortState] = {}
    for _ in range(12):
        for _ in range(chance.randint(1, 3)):
            number = chance.randint(1, 6)
            name = f"svc-{number}"
            if chance.random() < 0.2:
                wanted.pop(key(name), None)
                backend.set_port(key(name), None)
                continue
            more: dict[str, object] = {}
            if chance.random() < 0.5:
                more["node_port"] = 30000 + number
            if chance.random() < 0.3:
                more["external_local"] = True
            if chance.random() < 0.3:
                more["load_balancer_ips"] = (bytes([198, 51, 100, number]),)
            if chance.random() < 0.3:
                more["affinity_seconds"] = 100
            wanted[key(name)] = state(name, number, chance.randint(0, 3), **more)
            backend.set_port(key(name), wanted[key(name)])
        assert not await backend.apply()
    changed = comparable(node.saved())
    namespaces.run_in(node.namespace, clean_up)
    await started(node, *wanted.values())
    assert changed == comparable(node.saved())


async def test_node_ports_come_last(node: Node) -> None:
    backend = await started(node, *SERVICES)
    backend.set_port(key("late"), state("late", 9, 1))
    await backend.apply()
    assert node.saved()["nat"][names.SERVICES][-1].endswith(f"-j {names.NODE_PORTS}")


async def test_others_rules_stay(node: Node) -> None:
    other = "*nat\n:OTHER - [0:0]\n-A OTHER -d 10.9.9.9/32 -j RETURN\n-A PREROUTING -j OTHER\nCOMMIT\n"
    node.restore(other)
    backend = await started(node, *SERVICES)
    backend.set_port(key("plain"), None)
    await backend.apply()
    namespaces.run_in(node.namespace, clean_up)
    nat = node.saved()["nat"]
    assert nat["OTHER"] == ["-d 10.9.9.9/32 -j RETURN"]
    assert nat["PREROUTING"] == ["-j OTHER"]


async def test_clean_up_leaves_nothing(node: Node) -> None:
    await started(node, *SERVICES)
    assert namespaces.run_in(node.namespace, is_ours)
    removed = namespaces.run_in(node.namespace, clean_up)
    assert removed
    for family in Family:
        for chains in node.saved(family).values():
            assert not [chain for chain in chains if chain.startswith("KUBE-")]
            assert not any(chains.values())
    assert not namespaces.run_in(node.namespace, is_ours)
    assert namespaces.run_in(node.namespace, clean_up) == []


async def test_a_kubelets_chain_outlives_us(node: Node) -> None:
    node.restore("*mangle\n:KUBE-KUBELET-CANARY - [0:0]\nCOMMIT\n")
    await started(node, *SERVICES)
    namespaces.run_in(node.namespace, clean_up)
    assert names.KUBELET_FIREWALL in node.saved()["filter"]


@pytest.mark.parametrize(
    "harm",
    [
        "*nat\n:KUBE-SERVICES - [0:0]\nCOMMIT\n",
        '*nat\n-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES\nCOMMIT\n',
        "*nat\n-I KUBE-SERVICES -d 10.96.0.1/32 -j RETURN\nCOMMIT\n",
        "*filter\n:KUBE-FORWARD - [0:0]\nCOMMIT\n",
    ],
    ids=["emptied", "cut off", "disturbed", "constant"],
)
async def test_harm_is_repaired(node: Node, harm: str) -> None:
    backend = await started(node, *SERVICES)
    before = comparable(node.saved())
    node.restore(harm)
    assert comparable(node.saved()) != before
    if node.kind == NFT:
        async with asyncio.timeout(SECONDS):
            await node.touched.wait()
    await backend.reconcile()
    assert comparable(node.saved()) == before


async def test_a_flush_of_everything_is_noticed(node: Node) -> None:
    backend = await started(node, *SERVICES)
    before = comparable(node.saved())
    assert not await backend._is_gone()
    for table in ("mangle", "nat", "filter"):
        lines = [f"*{table}", *(f":{chain} - [0:0]" for chain in node.saved()[table] if "KUBE" in chain)]
        lines += [f"-F {chain}" for chain in node.saved()[table] if chain.isupper() and "KUBE" not in chain]
        lines += [f"-X {chain}" for chain in node.saved()[table] if "KUBE" in chain or chain == names.OWNER]
        node.restore("\n".join([*lines, "COMMIT", ""]))
    if node.kind == NFT:
        async with asyncio.timeout(SECONDS):
            await node.touched.wait()
    assert await backend._is_gone()
    await backend.reconcile()
    assert comparable(node.saved()) == before


async def test_what_we_write_ourselves_is_no_harm(node: Node) -> None:
    backend = await started(node, *SERVICES)
    for number in range(2, 5):
        backend.set_port(key("plain"), state("plain", 1, number))
        await backend.apply()
    # Of another program's harmless change we hear after all of our own.
    node.restore("*nat\n:OTHER - [0:0]\n-A OTHER -j RETURN\nCOMMIT\n")
    await asyncio.sleep(0)
    assert not node.touched.is_set()


async def test_a_port_that_is_refused_keeps_no_other_back(node: Node) -> None:
    backend = await started(node, *SERVICES[:2])
    broken = state("broken", 8, 1, node_port=70_000)  # no API server lets that through
    backend.set_port(key("broken"), broken)
    backend.set_port(key("late"), state("late", 9, 1))
    refused = await backend.reconcile()
    assert [refusal.subject for refusal in refused] == [
        f"Service port ns/broken:http ({node.programs[Family.IPV4].name})"
    ]
    assert any("ns/late" in rule for rule in node.saved()["nat"][names.SERVICES])
    backend.set_port(key("broken"), state("broken", 8, 1))
    assert not await backend.apply(retry=True)
    assert any("ns/broken" in rule for rule in node.saved()["nat"][names.SERVICES])


async def test_localhost_node_ports_need_the_kernels_leave(node: Node) -> None:
    node.backend(replace(OPTIONS, localhost_node_ports=True))
    assert namespaces.read_sysctl("net.ipv4.conf.all.route_localnet", node.namespace) == "1"


async def test_errors_say_what_is_wrong(node: Node) -> None:
    with pytest.raises(IptablesError, match="NOWHERE"):
        node.restore("*nat\n:OTHER - [0:0]\n-A OTHER -j NOWHERE\nCOMMIT\n")
