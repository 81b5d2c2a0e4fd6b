"""One node's part in the Pod network, as the kernel has it afterwards."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from clusterip.kernel.rtmessages import Vxlan
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


def test_a_foreign_route_is_left_alone_until_it_goes(uplink: None) -> None:
    nodes = Nodes(OWN, peer("a", ["10.244.1.0/24"], "192.0.2.2"))
    with RouteSocket() as route:
        route.add_route("10.244.1.0/24", gateway="192.0.2.77")
        route.add_route("10.244.2.0/24", gateway="192.0.2.77", metric=5)
        part = Part(nodes, "own")
        part.network.sync()
        assert routes() == {}
        route.delete_route("10.244.1.0/24", gateway="192.0.2.77")
        part.network.sync()
        assert routes() == {"10.244.1.0/24": "192.0.2.2"}
        nodes.set(peer("b", ["10.244.2.0/24"], "192.0.2.4"))
        part.network.sync()
        nodes.remove("b")
        part.network.sync()
        assert [str(r.gateway) for r in route.routes() if str(r.destination) == "10.244.2.0/24"] == [
            "192.0.2.77"  # at another metric it does not stand in the way, nor does it go with ours
        ]


def test_the_device_is_there_while_somebody_needs_it(uplink: None) -> None:
    nodes = Nodes(OWN, peer("near", ["10.244.1.0/24"], "192.0.2.2", vxlan=vtep("192.0.2.2")))
    part = Part(nodes, "own")
    part.network.sync()
    with RouteSocket() as route:
        assert route.find_link(vxlan.DEVICE) is None  # the other has one, for reasons of its own
        nodes.set(peer("near", ["10.244.1.0/24"], "192.0.2.2", vxlan=vtep("192.0.2.2", needed=True)))
        part.network.sync()
        device = route.link(vxlan.DEVICE)
        assert (device.mtu, device.up, device.address) == (1450, True, part.network.vtep.mac)
        assert route.vxlan(vxlan.DEVICE) == Vxlan(
            vxlan.DEFAULT_VNI, ip_address("192.0.2.1"), route.index("eth0"), vxlan.DEFAULT_PORT, False
        )
        assert routes() == {"10.244.1.0/24": "192.0.2.2"}
        assert not part.network.vtep.needed
        assert part.mtu == 1450
        nodes.set(peer("near", ["10.244.1.0/24"], "192.0.2.2", vxlan=vtep("192.0.2.2", always=True)))
        part.network.sync()
        assert routes() == {"10.244.1.0/24": "10.244.1.1"}
        assert route.forwarding(vxlan.DEVICE) == [("0a:00:00:00:00:09", ip_address("192.0.2.2"))]
        nodes.set(peer("near", ["10.244.1.0/24"], "192.0.2.2"))
        part.network.sync()
        assert routes() == {"10.244.1.0/24": "192.0.2.2"}
        assert route.find_link(vxlan.DEVICE) is None
        assert part.mtu == 1500


def test_a_device_made_otherwise_is_made_right(uplink: None) -> None:
    far = peer("far", ["10.244.1.0/24", "fd00:1::/64"], "203.0.113.1", vxlan=vtep("203.0.113.1"))
    nodes = Nodes(peer("own", ["10.244.0.0/24", "fd00:0::/64"], "192.0.2.1"), far)
    Part(nodes, "own", port=8472).network.sync()
    assert routes() == {}  # the other one's is on another port
    part = Part(nodes, "own")
    part.network.sync()
    with RouteSocket() as route:
        first = route.link(vxlan.DEVICE)
        assert routes() == {"10.244.1.0/24": "10.244.1.1", "fd00:1::/64": "fd00:1::1"}
        own = {str(a.address) for a in route.addresses(vxlan.DEVICE) if not a.address.is_link_local}
        assert own == {"10.244.0.1/32", "fd00::1/128"}
        route.add_address(vxlan.DEVICE, "10.9.9.9/32")
        route.replace_neighbour(vxlan.DEVICE, "10.9.9.8", "0a:00:00:00:00:08")
        route.append_forwarding(vxlan.DEVICE, "00:00:00:00:00:00", "203.0.113.8")
        route.replace_forwarding(vxlan.DEVICE, "0a:00:00:00:00:09", "203.0.113.8")
        route.replace_neighbour(vxlan.DEVICE, "10.244.1.1", "0a:00:00:00:00:08")
        route.set_link(vxlan.DEVICE, mtu=1400)
        route.set_link("eth0", mtu=1480)
        Part(nodes, "own").network.sync()
        assert route.forwarding(vxlan.DEVICE) == [("0a:00:00:00:00:09", ip_address("203.0.113.1"))]
        known = {str(n.address): n.link_address for n in route.neighbours(vxlan.DEVICE) if n.link_address}
        known = {a: m for a, m in known.items() if not a.startswith(("ff", "224."))}
        assert known == {"10.244.1.1": "0a:00:00:00:00:09", "fd00:1::1": "0a:00:00:00:00:09"}
        assert route.link(vxlan.DEVICE) == replace(first, mtu=1430)
        assert "10.9.9.9/32" not in {str(a.address) for a in route.addresses(vxlan.DEVICE)}


def test_masquerading_can_be_switched_off(uplink: None) -> None:
    nodes = Nodes(OWN, peer("a", ["10.244.1.0/24"], "192.0.2.2"))
    Part(nodes, "own").network.sync()
    shown = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    assert "10.244.0.0/23" in shown
    assert "192.0.2.2" in shown
    Part(nodes, "own", masquerades=False).network.sync()
    assert not subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
