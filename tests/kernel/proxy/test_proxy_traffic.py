"""Who reaches what through Services, with real connections."""

from __future__ import annotations

import pytest
from proxy_network import NODE4, NODE6, OUTSIDE4, PORT, Network, Refused, Silent, ask, ask_many
from proxy_world import World

from tests.support.proxy_objects import endpoint, service, slice_of

UDP_PORT = [{"port": 80, "protocol": "UDP"}]
UDP_ENDPOINTS = (("", "UDP", PORT),)
HERE1, HERE2, AWAY = "10.244.1.2", "10.244.1.3", "10.244.2.4"
OTHER = "node-2"


def all_three(name: str = "web") -> object:
    return slice_of(name, endpoint(HERE1), endpoint(HERE2), endpoint(AWAY, OTHER))


@pytest.mark.parametrize("udp", [False, True])
async def test_cluster_ip_is_spread_evenly_for_pods_node_and_outside(
    world: World, network: Network, udp: bool
) -> None:
    ports = {"ports": UDP_PORT} if udp else {}
    slice_ = slice_of(
        "web",
        endpoint(HERE1),
        endpoint(HERE2),
        endpoint(AWAY, OTHER),
        ports=UDP_ENDPOINTS if udp else (("", "TCP", PORT),),
    )
    await world.apply(service(**ports), slice_)
    for source in (network.pods["here-1"].namespace, network.node, network.outside):
        answers = await ask_many(source, "10.96.0.10", 80, 90, udp=udp)
        assert set(answers) == {"here-1", "here-2", "away"}
        assert min(answers.values()) >= 12


async def test_cluster_ip_keeps_a_pods_address_and_masquerades_others(world: World, network: Network) -> None:
    await world.apply(service(), slice_of("web", endpoint(HERE1)))
    assert await ask(network.pods["away"].namespace, "10.96.0.10", 80) == ("here-1", AWAY)
    assert (await ask(network.outside, "10.96.0.10", 80))[1] != OUTSIDE4


async def test_ipv6(world: World, network: Network) -> None:
    pods = network.pods
    await world.apply(
        service(ip=("10.96.0.10", "fd00:96::10"), ports=[{"port": 80, "nodePort": 30080}], type="NodePort"),
        slice_of("web", *(endpoint(pod.ip6) for pod in pods.values()), family="IPv6"),
    )
    for source in (pods["here-1"].namespace, network.node, network.outside):
        assert set(await ask_many(source, "fd00:96::10", 80)) == set(pods)
    assert set(await ask_many(network.outside, NODE6, 30080)) == set(pods)
    with pytest.raises(Refused):  # it has no IPv4 endpoints
        await ask(pods["here-1"].namespace, "10.96.0.10", 80)


async def test_node_port_external_ip_and_load_balancer(world: World, network: Network) -> None:
    await world.apply(
        service(
            type="LoadBalancer",
            ports=[{"port": 80, "nodePort": 30080}],
            externalIPs=["198.51.100.1"],
            ingress=["198.51.100.2", {"ip": "198.51.100.3", "ipMode": "Proxy"}],
        ),
        all_three(),
    )
    for address, port in ((NODE4, 30080), ("198.51.100.1", 80), ("198.51.100.2", 80)):
        for source in (network.outside, network.node, network.pods["here-1"].namespace):
            assert set(await ask_many(source, address, port)) == {"here-1", "here-2", "away"}
        _, seen = await ask(network.outside, address, port)
        assert seen != OUTSIDE4
    with pytest.raises((Refused, Silent, OSError)):
        await ask(network.outside, "198.51.100.3", 80)


async def test_external_traffic_policy_local(world: World, network: Network) -> None:
    web = service(
        type="LoadBalancer",
        ports=[{"port": 80, "nodePort": 30080}],
        externalTrafficPolicy="Local",
        ingress=["198.51.100.2"],
    )
    await world.apply(web, all_three())
    for address, port in ((NODE4, 30080), ("198.51.100.2", 80)):
        assert set(await ask_many(network.outside, address, port)) == {"here-1", "here-2"}
        assert (await ask(network.outside, address, port))[1] == OUTSIDE4
        # Pods and the node itself are not bound by it.
        for source in (network.node, network.pods["here-1"].namespace):
            assert set(await ask_many(source, address, port)) == {"here-1", "here-2", "away"}
    await world.apply(slice_of("web", endpoint(AWAY, OTHER)))
    with pytest.raises(Silent):
        await ask(network.outside, NODE4, 30080)
    assert (await ask(network.node, NODE4, 30080))[0] == "away"
    assert (await ask(network.pods["here-1"].namespace, "198.51.100.2", 80)) == ("away", HERE1)


async def test_internal_traffic_policy_local(world: World, network: Network) -> None:
    await world.apply(service(internalTrafficPolicy="Local"), all_three())
    pod = network.pods["away"].namespace
    assert set(await ask_many(pod, "10.96.0.10", 80)) == {"here-1", "here-2"}
    await world.apply(slice_of("web", endpoint(AWAY, OTHER)))
    with pytest.raises(Silent):
        await ask(pod, "10.96.0.10", 80)


@pytest.mark.parametrize("udp", [False, True])
async def test_no_endpoints_is_refused_at_once(world: World, network: Network, udp: bool) -> None:
    ports = [{"port": 80, "protocol": "UDP" if udp else "TCP", "nodePort": 30080}]
    await world.apply(service(type="NodePort", ports=ports))
    for source in (network.pods["here-1"].namespace, network.node, network.outside):
        with pytest.raises(Refused):
            await ask(source, "10.96.0.10", 80, udp=udp)
    with pytest.raises(Refused):
        await ask(network.outside, NODE4, 30080, udp=udp)


async def test_unknown_port_is_refused_and_unknown_address_dropped(world: World, network: Network) -> None:
    await world.apply(service(), all_three())
    pod = network.pods["here-1"].namespace
    with pytest.raises(Refused):
        await ask(pod, "10.96.0.10", 81)
    with pytest.raises(Silent):
        await ask(pod, "10.96.77.77", 80)


async def test_a_pod_reaches_itself(world: World, network: Network) -> None:
    await world.apply(service(), slice_of("web", endpoint(HERE1)))
    name, seen = await ask(network.pods["here-1"].namespace, "10.96.0.10", 80)
    assert name == "here-1"
    assert seen != HERE1


async def test_session_affinity_outlives_changes_and_dies_with_its_endpoint(
    world: World, network: Network
) -> None:
    sticky = service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}], sessionAffinity="ClientIP")
    await world.apply(sticky, all_three())
    pod = network.pods["here-1"].namespace
    for source, address, port in (
        (pod, "10.96.0.10", 80),
        (network.outside, NODE4, 30080),
        (network.node, "10.96.0.10", 80),
    ):
        await world.apply(all_three())
        (first,) = await ask_many(source, address, port, 30)
        others = [pod for pod in network.pods.values() if pod.name != first]
        chosen = network.pods[first]
        nodes = {pod.ip: OTHER if pod.name == "away" else "node-1" for pod in network.pods.values()}
        await world.apply(slice_of("web", endpoint(chosen.ip, nodes[chosen.ip])))
        await world.apply(slice_of("web", *(endpoint(ip, node) for ip, node in nodes.items())))
        assert set(await ask_many(source, address, port, 30)) == {first}
        await world.apply(slice_of("web", *(endpoint(pod.ip, nodes[pod.ip]) for pod in others)))
        (second,) = await ask_many(source, address, port, 30)
        assert second != first


async def test_source_ranges(world: World, network: Network) -> None:
    def balanced(*ranges: str) -> object:
        return service(
            type="LoadBalancer",
            ports=[{"port": 80, "nodePort": 30080}],
            ingress=["198.51.100.2"],
            loadBalancerSourceRanges=list(ranges),
        )

    outside = network.outside
    await world.apply(balanced("203.0.113.0/24"), all_three())
    with pytest.raises(Silent):
        await ask(outside, "198.51.100.2", 80)
    assert await ask(outside, NODE4, 30080)  # node ports are not subject to it
    await world.apply(balanced("203.0.113.0/24", "192.0.2.8/29", "192.0.2.0/28"))
    assert await ask(outside, "198.51.100.2", 80)
    await world.apply(balanced())
    assert await ask(outside, "198.51.100.2", 80)


async def test_terminating_endpoints_serve_when_nothing_is_ready(world: World, network: Network) -> None:
    leaving = {"ready": False, "serving": True, "terminating": True}
    await world.apply(service(), slice_of("web", endpoint(HERE1, **leaving), endpoint(HERE2)))
    pod = network.pods["away"].namespace
    assert set(await ask_many(pod, "10.96.0.10", 80, 20)) == {"here-2"}
    await world.apply(
        slice_of("web", endpoint(HERE1, **leaving), endpoint(HERE2, ready=False, serving=False))
    )
    assert set(await ask_many(pod, "10.96.0.10", 80, 20)) == {"here-1"}


async def test_udp_clients_move_on(world: World, network: Network) -> None:
    udp = service(ports=UDP_PORT)
    await world.apply(udp, slice_of("web", endpoint(HERE1), ports=UDP_ENDPOINTS))
    pod = network.pods["away"].namespace
    assert (await ask(pod, "10.96.0.10", 80, udp=True, source_port=5000))[0] == "here-1"
    await world.apply(slice_of("web", endpoint(HERE2), ports=UDP_ENDPOINTS))
    assert (await ask(pod, "10.96.0.10", 80, udp=True, source_port=5000))[0] == "here-2"


async def test_named_ports_that_differ_by_slice_and_several_slices(world: World, network: Network) -> None:
    network.serve("here-2", 9090)
    await world.apply(
        service(ports=[{"name": "http", "port": 80}]),
        slice_of("web", endpoint(HERE1), ports=(("http", "TCP", PORT),), slice_name="web-a"),
        slice_of("web", endpoint(HERE2), ports=(("http", "TCP", 9090),), slice_name="web-b"),
    )
    pod = network.pods["away"].namespace
    assert set(await ask_many(pod, "10.96.0.10", 80)) == {"here-1", "here-2"}


@pytest.mark.parametrize(
    "labels", [{"service.kubernetes.io/service-proxy-name": "other"}, {"service.kubernetes.io/headless": ""}]
)
async def test_services_of_other_proxies_are_left_alone(
    world: World, network: Network, labels: dict[str, str]
) -> None:
    await world.apply(service(labels=labels), all_three())
    with pytest.raises(Silent):
        await ask(network.pods["here-1"].namespace, "10.96.0.10", 80)


async def test_deleted_service_is_gone(world: World, network: Network) -> None:
    web, slices = service(), all_three()
    await world.apply(web, slices)
    pod = network.pods["here-1"].namespace
    assert await ask(pod, "10.96.0.10", 80)
    await world.delete(web)
    with pytest.raises(Silent):
        await ask(pod, "10.96.0.10", 80)
