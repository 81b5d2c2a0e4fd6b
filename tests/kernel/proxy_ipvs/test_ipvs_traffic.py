"""Who reaches what through IPVS, with real connections."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ipvs_world import World
from proxy_network import NODE4, NODE6, PORT, Connection, Network, Refused, ask

from clusterip.kernel import namespaces
from clusterip.kernel.conntrack import Conntrack
from clusterip.kernel.ipvs import Destination, Ipvs, Server, Settings
from clusterip.kernel.nftables import Family
from clusterip.proxy.backend import BackendOptions, IpvsOptions
from clusterip.proxy.ipvs.cleanup import clean_up
from clusterip.proxy.ipvs.link import NAME
from clusterip.proxy.model import pack_address
from tests.support.proxy_objects import endpoint, service, slice_of

VIP = "10.96.0.10"
HERE1, HERE2, AWAY = "10.244.1.2", "10.244.1.3", "10.244.2.4"
OTHER = "node-2"
UDP = {"ports": [{"port": 80, "protocol": "UDP"}]}
UDP_ENDPOINTS = (("", "UDP", PORT),)
ALL = {"here-1", "here-2", "away"}


@pytest.fixture
async def network(ipvs_kernel: None) -> AsyncIterator[Network]:
    network = Network()
    network.add_pod("here-1", 2)
    network.add_pod("here-2", 3)
    network.add_pod("away", 4, here=False)
    network.add_pod("client", 9, serves=False)
    yield network
    network.close()


@pytest.fixture
async def world(network: Network) -> AsyncIterator[World]:
    world = World(network.node)
    await world.start()
    yield world
    world.close()


def everyone(name: str = "web") -> object:
    return slice_of(name, endpoint(HERE1), endpoint(HERE2), endpoint(AWAY, OTHER))


async def ask_many(source: Path, address: str, port: int, times: int, protocol: str = "TCP") -> set[str]:
    """Who answered so many connections."""
    return {(await ask(source, address, port, protocol=protocol))[0] for _ in range(times)}


def server(address: str = VIP, port: int = 80, protocol: int = socket.IPPROTO_TCP) -> Server:
    packed = pack_address(address)
    assert packed is not None
    return Server(protocol, packed, port)


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
async def test_cluster_ip_reaches_all(world: World, network: Network, protocol: str) -> None:
    ports = (("", protocol, PORT),)
    await world.apply(
        service(ports=[{"port": 80, "protocol": protocol}]),
        slice_of("web", endpoint(HERE1), endpoint(HERE2), endpoint(AWAY, OTHER), ports=ports),
    )
    for source in (network.pods["client"].namespace, network.node, network.outside):
        assert await ask_many(source, VIP, 80, 12, protocol) == ALL


async def test_ipv6(world: World, network: Network) -> None:
    pods = [pod for pod in network.pods.values() if pod.name != "client"]
    await world.apply(
        service(ip=(VIP, "fd00:96::10"), ports=[{"port": 80, "nodePort": 30080}], type="NodePort"),
        slice_of("web", *(endpoint(pod.ip6) for pod in pods), family="IPv6"),
    )
    for source in (network.pods["client"].namespace, network.outside):
        assert await ask_many(source, "fd00:96::10", 80, 12) == ALL
    assert await ask_many(network.outside, NODE6, 30080, 12) == ALL
    with pytest.raises(Refused):  # it has no IPv4 endpoints
        await ask(network.pods["client"].namespace, VIP, 80)


async def test_node_port_external_ip_and_load_balancer(world: World, network: Network) -> None:
    web = service(
        type="LoadBalancer",
        ports=[{"port": 80, "nodePort": 30080}],
        externalIPs=["198.51.100.1"],
        ingress=["198.51.100.2"],
    )
    await world.apply(web, everyone())
    for address, port in ((NODE4, 30080), ("198.51.100.1", 80), ("198.51.100.2", 80)):
        assert await ask_many(network.outside, address, port, 12) == ALL
    await world.delete(web)
    assert world.ipvs.servers() == {}
    assert world.backend._node_link.bound() == set()


async def test_local_policy_keeps_to_this_node(world: World, network: Network) -> None:
    web = service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}], externalTrafficPolicy="Local")
    await world.apply(web, everyone())
    assert await ask_many(network.outside, NODE4, 30080, 12) == {"here-1", "here-2"}
    assert await ask_many(network.pods["client"].namespace, VIP, 80, 12) == ALL
    await world.apply(service(internalTrafficPolicy="Local"))
    assert await ask_many(network.pods["client"].namespace, VIP, 80, 12) == {"here-1", "here-2"}


async def test_without_endpoints_it_refuses(world: World, network: Network) -> None:
    await world.apply(service())
    for source in (network.pods["client"].namespace, network.node, network.outside):
        with pytest.raises(Refused):
            await ask(source, VIP, 80)


async def test_affinity(world: World, network: Network) -> None:
    await world.apply(service(sessionAffinity="ClientIP"), everyone())
    client = network.pods["client"].namespace
    (chosen,) = await ask_many(client, VIP, 80, 12)
    others = [endpoint(pod.ip) for pod in network.pods.values() if pod.name not in (chosen, "client")]
    await world.apply(slice_of("web", *others))
    assert chosen not in await ask_many(client, VIP, 80, 6)


async def test_a_removed_endpoint_finishes_its_connections(world: World, network: Network) -> None:
    long = service("long", "10.96.0.20")
    ports = (("", "TCP", PORT),)
    await world.apply(long, slice_of("long", endpoint(HERE1), ports=ports))
    connection = await Connection.open(network.pods["client"].namespace, "10.96.0.20", 80)
    await world.apply(slice_of("long", endpoint(HERE2), ports=ports))
    found = {each.address: state for each, state in world.ipvs.destinations(server("10.96.0.20")).items()}
    assert found[pack_address(HERE1) or b""].weight == 0
    assert found[pack_address(HERE2) or b""].weight == 1
    assert (await connection.ask())[0] == "here-1"
    # It comes back before they have ended: nothing happens to them.
    await world.apply(slice_of("long", endpoint(HERE1), ports=ports))
    assert (await connection.ask())[0] == "here-1"
    assert world.ipvs.destinations(server("10.96.0.20"))[_destination(HERE1, PORT)].weight == 1
    connection.close()


def _destination(address: str, port: int) -> Destination:
    return Destination(pack_address(address) or b"", port)


async def test_what_has_ended_goes(world: World, network: Network) -> None:
    await world.apply(service(), slice_of("web", endpoint(HERE1)))
    await ask(network.pods["client"].namespace, VIP, 80)
    await world.apply(slice_of("web", endpoint(HERE2)))
    assert len(world.ipvs.destinations(server())) == 2  # the connection has ended, and is remembered
    assert world.backend._look_again.is_set
    await world.backend._thread.run(world.backend.writer.finish_ended)
    assert len(world.ipvs.destinations(server())) == 2
    world.ipvs.delete_destination(server(), _destination(HERE1, PORT))
    await world.backend._thread.run(world.backend.writer.finish_ended)
    assert not world.backend.writer.ending


async def test_udp_clients_move_on_at_once(world: World, network: Network) -> None:
    await world.apply(service(**UDP), slice_of("web", endpoint(HERE1), ports=UDP_ENDPOINTS))
    client = network.pods["client"].namespace
    assert (await ask(client, VIP, 80, protocol="UDP", source_port=20_001))[0] == "here-1"
    await world.apply(slice_of("web", endpoint(HERE2), ports=UDP_ENDPOINTS))
    assert (await ask(client, VIP, 80, protocol="UDP", source_port=20_001))[0] == "here-2"


async def test_a_restart_keeps_connections_and_removes_what_is_gone(world: World, network: Network) -> None:
    ports = (("", "TCP", PORT),)
    kept = (service("kept", "10.96.0.20"), slice_of("kept", endpoint(HERE1), ports=ports))
    await world.apply(*kept, service("gone", "10.96.0.21"))
    connection = await Connection.open(network.pods["client"].namespace, "10.96.0.20", 80)
    world.close()
    again = World(network.node)
    await again.start(*kept)
    assert (await connection.ask())[0] == "here-1"
    assert again.ipvs.servers().keys() == {server("10.96.0.20")}
    assert again.backend._node_link.bound() == {pack_address("10.96.0.20")}
    connection.close()
    again.close()


async def test_excluded_servers_are_left_alone(network: Network) -> None:
    options = BackendOptions(
        ipvs=IpvsOptions(excluded=(ipaddress.ip_network("203.0.113.0/24"),), scheduler="wlc")
    )
    world = World(network.node, options)
    world.ipvs.add_server(server("203.0.113.5", 99), Settings())
    world.ipvs.add_server(server("203.0.114.5", 99), Settings())
    await world.start(service(), everyone())
    found = world.ipvs.servers()
    assert found.keys() == {server("203.0.113.5", 99), server()}
    assert found[server()].scheduler == "wlc"
    world.close()


async def test_clean_up_removes_every_trace(world: World, network: Network) -> None:
    await world.apply(service(), everyone())
    world.close()
    removed = namespaces.run_in(network.node, clean_up)
    assert removed == ["1 virtual servers", f"interface {NAME}"]
    with namespaces.enter(network.node):
        ipvs = Ipvs()
    with ipvs:
        assert ipvs.servers() == {}
    assert namespaces.run_in(network.node, clean_up) == []


async def test_connections_are_tracked(world: World, network: Network) -> None:
    """Without that they could not be masqueraded."""
    await world.apply(service(), everyone())
    await ask(network.pods["client"].namespace, VIP, 80)
    path = Path("/proc/sys/net/ipv4/vs/conntrack")
    assert namespaces.run_in(network.node, path.read_text).strip() == "1"
    with namespaces.enter(network.node):
        conntrack = Conntrack()
    conntrack.forget_all(Family.IPV4)
    conntrack.close()
