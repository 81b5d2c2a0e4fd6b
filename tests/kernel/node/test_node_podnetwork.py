"""One node's part in the Pod network, as the kernel has it afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.node.network import vxlan
from clusterip.node.network.peers import Vtep, encode
from clusterip.node.network.podnetwork import ROUTE_PROTOCOL
from tests.support.podnetwork import Nodes, Part, peer


@pytest.fixture
def uplink(machine: Path) -> None:
    """The machine's own network."""
    with RouteSocket() as route:
        route.add_bridge("eth0", mtu=1500)
        route.add_address("eth0", "192.0.2.1/24")
        route.add_address("eth0", "2001:db8::1/64")
        route.set_link("eth0", up=True)
        route.add_route(None, gateway="192.0.2.254")


def routes() -> dict[str, str]:
    with RouteSocket() as route:
        return {str(r.destination): str(r.gateway) for r in route.routes() if r.protocol == ROUTE_PROTOCOL}


def vtep(address: str, mac: str = "0a:00:00:00:00:09", **more: bool) -> str:
    return encode(Vtep(address, mac, vxlan.DEFAULT_VNI, vxlan.DEFAULT_PORT, **more))


OWN = peer("own", ["10.244.0.0/24"], "192.0.2.1")


def test_routes_follow_the_nodes(uplink: None) -> None:
    nodes = Nodes(OWN, peer("a", ["10.244.1.0/24"], "192.0.2.2"))
    nodes.set(peer("far", ["10.244.9.0/24"], "203.0.113.1"))  # not on our network: the others stand
    part = Part(nodes, "own", mode="host-gw")
    assert part.network.sync()
    assert routes() == {"10.244.1.0/24": "192.0.2.2"}
    nodes.set(peer("a", ["10.244.1.0/24"], "192.0.2.3"))
    nodes.set(peer("b", ["10.244.2.0/24"], "192.0.2.4"))
    part.network.sync()
    assert routes() == {"10.244.1.0/24": "192.0.2.3", "10.244.2.0/24": "192.0.2.4"}
    nodes.remove("a")
    Part(nodes, "own", mode="host-gw").network.sync()  # a new agent removes what is stale
    assert routes() == {"10.244.2.0/24": "192.0.2.4"}
    assert part.mtu == 1500
