"""The proxy's process through what goes wrong around it."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable

import pytest
from proxy_chaos import equals_fresh_load
from proxy_network import NODE4, SECOND4, Connection, Network, Refused, Silent, ask
from proxy_process import SERVICES, SLICES, Node, move, until, until_answered, web, web_slice
from proxy_world import World

from clusterip.kernel import namespaces
from clusterip.kernel.rtnetlink import RouteSocket
from tests.support.proxy_objects import endpoint, service, slice_of


async def _keep_asking(network: Network, wanted: set[str], failures: list[str]) -> None:
    """Make connections for ever; note those that were not answered by one of ``wanted``."""
    while True:
        try:
            name, _ = await ask(network.outside, "10.96.0.10", 80)
        except (Refused, Silent) as error:
            failures.append(repr(error))
        else:
            if name not in wanted:
                failures.append(name)


async def test_killed_and_started_no_connection_notices(serving: Node) -> None:
    network = serving.network
    held = await Connection.open(network.outside, "10.96.0.10", 80)
    failures: list[str] = []
    client = asyncio.create_task(_keep_asking(network, {"here-1"}, failures))
    for _ in range(2):
        serving.stop_proxy(signal.SIGKILL)
        await serving.start_proxy()
    client.cancel()
    assert failures == []
    assert (await held.ask())[0] == "here-1"
    held.close()


async def test_killed_in_the_middle_of_changes(serving: Node) -> None:
    """Whatever it was doing when it was killed: connections work, and the next one puts all right."""
    network = serving.network
    failures: list[str] = []
    client = asyncio.create_task(_keep_asking(network, {"here-1", "here-2"}, failures))
    dice = random.Random(1)
    for round_ in range(3):
        for number in range(60):
            name = f"s{round_}-{number}"
            spec = {"ports": [{"port": 80}]}
            serving.request("POST", SERVICES, {"metadata": {"name": name}, "spec": spec})
            other = web_slice("10.244.1.2") | {
                "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}}
            }
            serving.request("POST", SLICES, other)
            move(serving, *dice.sample(["10.244.1.2", "10.244.1.3"], dice.randint(1, 2)))
            if number == 20 + 10 * round_:
                serving.stop_proxy(signal.SIGKILL)
            await asyncio.sleep(0)
        await serving.start_proxy()
    client.cancel()
    assert failures == []
    move(serving, "10.244.1.3")
    await until_answered(network.outside, "10.96.0.10", 80, "here-2")
    await until(lambda: "clusterip_proxy_refused_parts 0.0" in serving.page(10249, "/metrics")[1])
    ports = 1 + 3 * 60
    listing = serving.run("nft", "list", "map", "ip", "clusterip", "services")
    assert listing.count(". tcp . 80 :") == ports


async def test_without_an_api_server_for_long(serving: Node) -> None:
    network = serving.network
    serving.api.kill()
    for _ in range(20):  # long for its retries
        assert (await ask(network.outside, "10.96.0.10", 80))[0] == "here-1"
        await asyncio.sleep(0.1)
    # Others' changes are still put right.
    serving.run("nft", "flush", "ruleset")
    await until_answered(network.outside, "10.96.0.10", 80, "here-1")
    assert serving.page(10256, "/livez")[0] == 200
    with namespaces.enter(network.node):
        serving.api.start()
    move(serving, network.pods["here-2"].ip)
    await until_answered(network.outside, "10.96.0.10", 80, "here-2")


async def test_started_without_an_api_server_it_leaves_the_rules_alone(serving: Node) -> None:
    network = serving.network
    serving.stop_proxy(signal.SIGKILL)
    serving.api.kill()
    serving.spawn_proxy()
    await until(lambda: serving.page(10256, "/livez")[0] != 0)
    assert (await ask(network.outside, "10.96.0.10", 80))[0] == "here-1"
    assert serving.page(10256, "/readyz")[0] == 500
    with namespaces.enter(network.node):
        serving.api.start()
    await until(lambda: serving.page(10256, "/readyz")[0] == 200)
    assert (await ask(network.outside, "10.96.0.10", 80))[0] == "here-1"


@pytest.mark.parametrize("command", ["flush ruleset", "delete table ip clusterip"])
async def test_what_others_delete_is_back_at_once(serving: Node, command: str) -> None:
    serving.run("nft", *command.split())
    await until_answered(serving.network.outside, "10.96.0.10", 80, "here-1")


async def test_node_ports_follow_the_machines_addresses(serving: Node) -> None:
    network = serving.network
    serving.request("DELETE", f"{SERVICES}/web")
    port = {"port": 80, "nodePort": 30080}
    serving.request("POST", SERVICES, web(type="NodePort", ports=[port]))
    serving.stop_proxy(signal.SIGTERM)
    await serving.start_proxy("--nodeport-addresses=192.0.2.64/26")
    for address in (NODE4, SECOND4):
        with pytest.raises(Refused):
            await ask(network.outside, address, 30080)
    late = "192.0.2.65"
    with RouteSocket(network.node) as routes:
        routes.add_address("outside", f"{late}/24")
    await until_answered(network.outside, late, 30080, "here-1")
    with RouteSocket(network.node) as routes:
        routes.delete_address("outside", f"{late}/24")
    elements = ("nft", "list", "set", "ip", "clusterip", "node-port-ips")
    await until(lambda: late not in serving.run(*elements))


GARBAGE: list[dict[str, object]] = [
    {"addresses": []},
    {"addresses": None},
    {"addresses": [""]},
    {"addresses": ["10.244.1"]},
    {"addresses": ["10.244.1.2.3"]},
    {"addresses": ["fd00::1"]},
    {"addresses": ["a\0b"]},
    {"addresses": ["10.244.1.2"], "nodeName": None, "conditions": None, "hints": None},
    {"addresses": ["10.244.1.2"], "hints": {"forZones": None, "forNodes": [{"name": ""}]}},
    {"addresses": ["10.244.1.2"], "conditions": {"ready": None, "serving": None, "terminating": None}},
]


@pytest.fixture
async def garbage_world(world: World) -> World:
    await world.apply(service(), slice_of("web", endpoint("10.244.1.3")))
    return world


async def test_garbage_in_slices_harms_nobody(garbage_world: World, network: Network) -> None:
    world, client = garbage_world, network.pods["away"].namespace
    steps: list[Callable[[], Awaitable[None]]] = [
        lambda: world.apply(slice_of("web", *GARBAGE, slice_name="odd")),
        lambda: world.apply(slice_of("web", *GARBAGE, slice_name="odd", ports=[])),
        lambda: world.apply(
            slice_of(
                "web",
                *GARBAGE,
                slice_name="odd",
                ports=[("", "QUIC", 1), ("", "TCP", 0), ("", "TCP", 1 << 16)],
            )
        ),
        lambda: world.apply(slice_of("web", endpoint("pod.example"), slice_name="odd", family="FQDN")),
        lambda: world.apply(slice_of("", endpoint("10.244.1.2"), slice_name="odd")),
        lambda: world.apply(slice_of("nobody", endpoint("10.244.1.2"), slice_name="odd")),
        lambda: world.apply(service("bad", "10.96.0.99.1"), service("worse", "", ports=[])),
        lambda: world.apply(
            service("bad", "10.96.0.99", ports=[{"port": 0, "protocol": "TCP", "nodePort": -1}])
        ),
    ]
    for step in steps:
        await step()
        assert not world.sync.refused
        for _ in range(4):
            assert (await ask(client, "10.96.0.10", 80))[0] in ("here-1", "here-2")
        await equals_fresh_load(world)
