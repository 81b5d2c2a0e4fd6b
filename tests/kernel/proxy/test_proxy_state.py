"""What the kernel holds: after any changes, across restarts, and when others meddle with it."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import started
from proxy_chaos import equals_fresh_load
from proxy_network import Network, ask
from proxy_world import Thing

from clusterip.kernel import namespaces
from clusterip.proxy import modes
from tests.support.proxy_objects import NODE, endpoint, service, slice_of

SECONDS = 10.0


def nft(namespace: Path, *arguments: str) -> str:
    return namespaces.run_in(
        namespace,
        lambda: subprocess.run(["nft", *arguments], check=True, capture_output=True, text=True).stdout,
    )


def some_objects() -> list[Thing]:
    return [
        service("a", type="NodePort", ports=[{"port": 80, "nodePort": 30080}], externalTrafficPolicy="Local"),
        slice_of("a", *(endpoint(f"10.244.1.{n}", NODE if n < 4 else "node-2") for n in range(2, 8))),
        service("b", "10.96.0.11", sessionAffinity="ClientIP"),
        slice_of("b", endpoint("10.244.1.2"), endpoint("10.244.1.3")),
        service("c", "10.96.0.12"),
        service(
            "d",
            ("10.96.0.13", "fd00:96::13"),
            type="LoadBalancer",
            ingress=["198.51.100.2"],
            loadBalancerSourceRanges=["192.0.2.0/24"],
        ),
    ]


async def test_a_restart_writes_nothing(namespace: Path) -> None:
    first = await started(namespace)
    await first.apply(*some_objects())
    # So that slots are not in the order of the objects.
    await first.apply(slice_of("a", *(endpoint(f"10.244.1.{n}") for n in (9, 7, 4, 3, 2))))
    rules = nft(namespace, "list", "ruleset")
    objects = first.objects
    first.close()
    assert nft(namespace, "list", "ruleset") == rules
    second = await started(namespace, objects=objects)
    assert second.statistics.elements == 0
    assert sorted(nft(namespace, "list", "ruleset")) == sorted(rules)
    second.close()


async def test_a_restart_writes_what_changed_meanwhile(namespace: Path) -> None:
    first = await started(namespace)
    await first.apply(*some_objects())
    objects = first.objects
    first.close()
    changed = slice_of("b", endpoint("10.244.1.2"), endpoint("10.244.1.9"))
    kept = [held for held in objects if held.metadata.name != "b-ipv4"]
    second = await started(namespace, objects=[*kept, changed])
    # One endpoint instead of another: a slot, a handle and a hairpin, each taken away and added.
    assert second.statistics.elements <= 6
    await equals_fresh_load(second)
    second.close()


@pytest.mark.parametrize(
    "command",
    [
        "flush ruleset",
        "delete table ip clusterip",
        "flush map ip clusterip endpoints",
        "flush set ip clusterip cluster-ips",
        "add element ip clusterip cluster-ips { 192.0.2.99 }",
        "flush map ip clusterip dispatch",
        "flush chain ip clusterip services",
        "flush chain ip6 clusterip nat-postrouting",
        "delete chain ip clusterip nat-output",
        "flush chain ip clusterip pick.6",
    ],
)
async def test_what_others_change_is_restored(namespace: Path, command: str) -> None:
    world = await started(namespace)
    await world.apply(*some_objects())
    wanted = world.contents()
    nft(namespace, *command.split())
    await until(lambda: bool(world.sync.repairs) and world.contents() == wanted)
    await world.apply(slice_of("c", endpoint("10.244.1.2")))
    await equals_fresh_load(world)
    world.close()


async def test_others_tables_and_our_own_changes_do_not_wake_it(namespace: Path) -> None:
    world = await started(namespace)
    nft(namespace, "add", "table", "ip", "other")
    await world.apply(*some_objects())
    await asyncio.sleep(0.1)
    assert world.sync.repairs == 0
    world.close()


async def test_other_options_replace_the_rules(namespace: Path) -> None:
    first = await started(namespace)
    await first.apply(*some_objects())
    objects = first.objects
    first.close()
    second = await started(namespace, masquerade_all=True, objects=objects)
    assert "masquerade all" in nft(namespace, "list", "chain", "ip", "clusterip", "services")
    await equals_fresh_load(second)
    namespaces.run_in(namespace, modes.get("nftables").clean_up)
    assert nft(namespace, "list", "ruleset") == ""
    second.close()


async def test_no_connection_fails_across_restarts(network: Network) -> None:
    pod = network.add_pod("here-1", 2)
    world = await started(network.node)
    await world.apply(service(), slice_of("web", endpoint(pod.ip)))
    objects = world.objects
    answers: asyncio.Queue[str] = asyncio.Queue()

    async def keep_asking() -> None:
        while True:
            answers.put_nowait((await ask(network.outside, "10.96.0.10", 80))[0])

    client = asyncio.create_task(keep_asking())
    for masquerade_all in (False, False, True):  # the last one has other rules
        for _ in range(20):
            async with asyncio.timeout(SECONDS):
                assert await answers.get() == "here-1"
        world.close()
        world = await started(network.node, masquerade_all=masquerade_all, objects=objects)
    for _ in range(answers.qsize() + 20):
        async with asyncio.timeout(SECONDS):
            assert await answers.get() == "here-1"
    client.cancel()
    world.close()


async def test_udp_clients_of_endpoints_that_went_during_a_restart_move_on(network: Network) -> None:
    first, second = network.add_pod("here-1", 2), network.add_pod("here-2", 3)
    ports = (("", "UDP", 8080),)
    udp = service(ports=[{"port": 80, "protocol": "UDP"}])
    world = await started(network.node)
    await world.apply(udp, slice_of("web", endpoint(first.ip), ports=ports))
    for source_port in (5000, 5001):
        answer = await ask(network.outside, "10.96.0.10", 80, protocol="UDP", source_port=source_port)
        assert answer[0] == "here-1"
    world.close()
    world = await started(network.node, objects=[udp, slice_of("web", endpoint(second.ip), ports=ports)])
    for source_port in (5000, 5001):
        answer = await ask(network.outside, "10.96.0.10", 80, protocol="UDP", source_port=source_port)
        assert answer[0] == "here-2"
    world.close()


async def until(condition: Callable[[], bool]) -> None:
    """Look again until it holds: the kernel has no event for "as it was again"."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
