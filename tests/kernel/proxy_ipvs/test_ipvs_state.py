"""What IPVS has is what is wanted, whatever came before."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest
from ipvs_world import World
from proxy_network import NODE4, Network

from clusterip.kernel import namespaces
from clusterip.kernel.nftables import Family
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.proxy.backend import BackendOptions, IpvsOptions
from clusterip.proxy.ipvs import sysctls
from clusterip.proxy.ipvs.cleanup import clean_up
from clusterip.trace.machine import Found
from clusterip.trace.story import join
from clusterip.trace.watching import ipvs_entry
from tests.support.proxy_objects import endpoint, service, slice_of

Contents = tuple[dict[object, object], set[bytes]]


@pytest.fixture
def network(ipvs_kernel: None) -> Iterator[Network]:
    network = Network()
    yield network
    network.close()


def contents(world: World) -> Contents:
    """Virtual servers with settings and destinations that take connections, and the bound addresses."""
    servers: dict[object, object] = {}
    for server, settings in world.ipvs.servers().items():
        states = world.ipvs.destinations(server)
        servers[server] = settings, {each for each, state in states.items() if state.weight}
    return servers, world.backend._node_link.bound()


async def test_any_sequence_of_changes_ends_as_a_fresh_load(network: Network) -> None:
    chance = random.Random(11)
    world = World(network.node)
    await world.start()
    for _ in range(30):
        number = chance.randint(1, 5)
        name = f"svc-{number}"
        if chance.random() < 0.2 and (found := world.find(name)):
            await world.delete(found)
            continue
        more: dict[str, object] = {}
        if chance.random() < 0.5:
            ports = [{"port": 80, "nodePort": 30000 + number, "protocol": "TCP"}]
            more |= {"type": "NodePort", "ports": ports}
        if chance.random() < 0.4:
            more["externalIPs"] = [f"198.51.100.{chance.randint(1, 3)}"]
        if chance.random() < 0.3:
            more["sessionAffinity"] = "ClientIP"
        addresses = [f"10.244.1.{each}" for each in chance.sample(range(2, 9), chance.randint(0, 4))]
        await world.apply(
            service(name, f"10.96.0.{number}", **more), slice_of(name, *map(endpoint, addresses))
        )
    changed, objects = contents(world), world.objects
    assert changed[0]
    world.close()
    namespaces.run_in(network.node, clean_up)
    fresh = World(network.node)
    await fresh.start(*objects)
    assert contents(fresh) == changed
    fresh.close()


@pytest.mark.parametrize(
    ("address", "pods"), [("10.96.0.1", "10.244.1."), ("fd00:10:96::1", "fd00:10:244:1::")]
)
async def test_what_is_said_of_a_service_is_what_there_is(network: Network, address: str, pods: str) -> None:
    """By the proxy (`/services?rules=true`) and by a trace, in the words of ipvsadm."""
    world = World(network.node)
    family = "IPv6" if ":" in address else "IPv4"
    found = service("web", address, ipFamilies=[family])
    slice_ = slice_of("web", endpoint(f"{pods}2"), endpoint(f"{pods}3"), family=family)
    await world.start(found, slice_)
    tracker = world.sync.tracker
    [key] = {state.port.key for each in tracker.services() for state in tracker.states_of(each)}
    said = [line for line in world.backend.describe(key) if line.startswith("-")]
    place = Found(network.node, frozenset(), is_own=False)
    seen = ipvs_entry(place, address, 80, socket.IPPROTO_TCP)
    assert sorted(said) == sorted(seen)
    assert seen[0] == f"-A -t {join(address, 80)} -s rr"
    assert len(seen) == 3
    world.close()


async def test_timeouts_are_set(network: Network) -> None:
    world = World(network.node, BackendOptions(ipvs=IpvsOptions(timeouts=(777, 0, 55))))
    before = world.ipvs.timeouts()
    await world.start()
    assert world.ipvs.timeouts() == before._replace(tcp=777, udp=55)
    world.ipvs.set_timeouts(before)
    world.close()


async def test_strict_arp(network: Network) -> None:
    def value(name: str) -> str:
        return namespaces.read_sysctl(f"net.ipv4.conf.all.{name}", network.node)

    world = World(network.node)
    assert (value("arp_ignore"), value("arp_announce")) == ("0", "0")
    namespaces.run_in(network.node, lambda: sysctls.apply(strict_arp=True))
    assert (value("arp_ignore"), value("arp_announce")) == ("1", "2")
    world.close()


async def test_node_ports_on_all_addresses_follow_them(network: Network) -> None:
    """The kernel tells when the node has one more."""
    world = World(network.node, BackendOptions(all_node_addresses=frozenset(Family)))
    web = service(type="NodePort", ports=[{"port": 80, "nodePort": 30080, "protocol": "TCP"}])
    await world.start(web, slice_of("web", endpoint("10.244.1.2")))
    assert NODE4 in world.addresses(30080)
    assert "192.0.2.99" not in world.addresses(30080)
    with RouteSocket(network.node) as routes:
        routes.add_address("outside", "192.0.2.99/24")
    await world.repaired()
    assert "192.0.2.99" in world.addresses(30080)
    assert not world.addresses(30080) & {"127.0.0.1", "10.96.0.10"}
    world.close()
