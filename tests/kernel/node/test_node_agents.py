"""Node agents of several machines: they come, go and come back, and traffic between their Pods goes on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.node.network import vxlan
from clusterip.node.network.peers import VXLAN_ANNOTATION
from clusterip.node.network.podnetwork import ROUTE_PROTOCOL
from tests.support.agents import Agents, running_agents
from tests.support.machines import lab, tcp_source
from tests.support.nodes import eventually


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agents]:
    directory = tmp_path_factory.mktemp("agents")
    with lab(["a1", "a2", "b1"]) as machines, running_agents(machines, directory) as running:
        for one in running.agents:
            eventually(lambda name=one: len(routes(running, name)) == 4)
        yield running


def routes(agents: Agents, name: str) -> dict[str, str]:
    with RouteSocket(agents.lab.machines[name].path) as route:
        return {str(r.destination): str(r.gateway) for r in route.routes() if r.protocol == ROUTE_PROTOCOL}


def check_traffic(agents: Agents) -> None:
    places = {name: agents.place(name) for name in agents.agents}
    for server, client in itertools.permutations(places.values(), 2):
        for to, own in zip(server[1], client[1], strict=True):
            assert tcp_source(server[0], client[0], to) == own


def test_pods_reach_each_other(agents: Agents) -> None:
    check_traffic(agents)
    assert routes(agents, "a1") == {
        "10.244.1.0/24": "198.18.1.2",
        "fd00:0:0:2::/64": "fd18:1::2",
        "10.244.2.0/24": "10.244.2.1",
        "fd00:0:0:3::/64": "fd00:0:0:3::1",
    }


def test_a_node_shows_that_its_network_is_there(agents: Agents) -> None:
    conditions = {each["type"]: each for each in agents.node("b1")["status"]["conditions"]}
    assert conditions["Ready"]["status"] == "True"
    assert conditions["NetworkUnavailable"]["status"] == "False"
    assert VXLAN_ANNOTATION in agents.node("b1")["metadata"]["annotations"]


def test_what_others_take_away_comes_back(agents: Agents) -> None:
    before = routes(agents, "b1")
    with RouteSocket(agents.lab.machines["b1"].path) as route:
        route.delete_link(vxlan.DEVICE)
    eventually(lambda: routes(agents, "b1") == before)
    before = routes(agents, "a1")
    with RouteSocket(agents.lab.machines["a1"].path) as route:
        route.delete_route("10.244.1.0/24", protocol=ROUTE_PROTOCOL)
        eventually(lambda: routes(agents, "a1") == before)
        addresses = [a.address for a in route.addresses("eth0") if not a.address.is_link_local]
        route.set_link("eth0", up=False)
        assert routes(agents, "a1") != before
        for address in addresses:
            route.replace_address("eth0", address)  # the kernel forgets IPv6 ones
        route.set_link("eth0", up=True)
        for gateway in agents.lab.router_addresses("a"):
            route.replace_route(None, gateway=gateway)
    eventually(lambda: routes(agents, "a1") == before)
    check_traffic(agents)


def test_a_killed_agent_s_pods_stay_reachable_and_it_catches_up(agents: Agents) -> None:
    agents.agents["b1"].kill()
    check_traffic(agents)
    code, _ = agents.api.request("DELETE", "/api/v1/nodes/a2")
    assert code == 200
    eventually(lambda: set(routes(agents, "a1")) == {"10.244.2.0/24", "fd00:0:0:3::/64"})
    agents.agents["b1"].start()
    eventually(lambda: set(routes(agents, "b1")) == {"10.244.0.0/24", "fd00:0:0:1::/64"})
    with RouteSocket(agents.lab.machines["b1"].path) as route:
        assert len(route.forwarding(vxlan.DEVICE)) == 1
