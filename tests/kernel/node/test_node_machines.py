"""Pods of several machines, on one network and on two with a router between, reach each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterip.kernel import namespaces
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.node.network import vxlan
from tests.support.machines import lab, tcp_source, udp_source
from tests.support.podnetwork import Machines

CASES = {
    "auto": ({"mode": "auto"}, 1450),
    "vxlan": ({"mode": "vxlan"}, 1450),
    "auto on IPv6 machines": ({"mode": "auto", "families": (6,)}, 1430),
    "auto on IPv4 machines": ({"mode": "auto", "families": (4,)}, 1450),
}


@pytest.fixture(scope="module", params=CASES)
def machines(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    settings, mtu = CASES[request.param]
    with lab(["a1", "a2", "b1"]) as machines:
        made = Machines(machines, tmp_path_factory.mktemp("pods"), **settings)
        try:
            assert {place.part.mtu for place in made.places.values()} == {mtu}
            yield made
        finally:
            made.close()


def test_pods_reach_each_other_and_see_who_it_is(machines: Machines) -> None:
    for server, client in itertools.permutations(machines.places.values(), 2):
        for to, own in zip(server.sandbox.addresses, client.sandbox.addresses, strict=True):
            assert tcp_source(server.pod, client.pod, to) == own
            for size in (10, 1400, 1440, 9000):  # some in fragments
                assert udp_source(server.pod, client.pod, to, size=size) == own


def test_nodes_reach_other_nodes_pods(machines: Machines) -> None:
    for server, client in itertools.permutations(machines.places.values(), 2):
        for to in server.sandbox.addresses:
            tcp_source(server.pod, client.machine.path, to)


def test_the_outside_sees_the_node(machines: Machines) -> None:
    place = machines.places["a1"]
    for outside, own in zip(machines.lab.router_addresses("a"), place.machine.addresses, strict=True):
        assert tcp_source(machines.lab.router, place.pod, outside) == own


def test_nodes_see_pods_where_the_way_back_is_direct(machines: Machines) -> None:
    client = machines.places["a1"]
    for name in ("a2", "b1"):
        server = machines.places[name].machine
        known = {a.address for a in machines.nodes.objects[name].status.addresses}
        for index, to in enumerate(server.addresses):
            is_direct = machines.mode == "auto" and name == "a2" and to in known
            expected = client.sandbox.addresses[index] if is_direct else client.machine.addresses[index]
            assert tcp_source(server.path, client.pod, to) == expected


def test_a_pod_from_before_the_tunnel_is_told_what_is_too_big(machines: Machines) -> None:
    old = machines.pod("a1", mtu=1500)
    for server, client in itertools.permutations((old, machines.places["b1"].sandbox)):
        paths = [Path(each.namespaces()["network"]) for each in (server, client)]
        for to in server.addresses:
            tcp_source(*paths, to)


def test_nothing_is_flooded_or_learned(machines: Machines) -> None:
    for place in machines.places.values():
        with RouteSocket(place.machine.path) as route:
            found = route.vxlan(vxlan.DEVICE)
            assert found is not None
            assert not found.learning
            assert "00:00:00:00:00:00" not in dict(route.forwarding(vxlan.DEVICE))


def test_a_new_agent_changes_nothing(machines: Machines) -> None:
    for name, place in machines.places.items():
        before = _state(place.machine.path)
        with namespaces.enter(place.machine.path):
            machines.part(name).network.sync()
        assert _state(place.machine.path) == before


def _state(machine: Path) -> list[object]:
    with RouteSocket(machine) as route:
        links = [link for link in route.links() if link.kind != "veth"]
        return [links, route.routes(), sorted(map(str, route.addresses())), route.forwarding(vxlan.DEVICE)]
