"""Links, addresses, routes and neighbours, checked against what iproute2 says."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest

from clusterip.kernel import namespaces, netlink
from clusterip.kernel.netlink import NETLINK_ROUTE, NetlinkError, NetlinkSocket
from clusterip.kernel.rtmessages import RTM_NEWLINK, RTNLGRP_LINK, Vxlan
from clusterip.kernel.rtnetlink import RouteSocket


def _name(suffix: str) -> str:
    return f"ct-rt-{os.getpid()}-{suffix}"


def ip(suffix: str, *arguments: str) -> Any:
    command = ["ip", "-n", _name(suffix), "-j", "-d", *arguments]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout or "[]")


@pytest.fixture
def two() -> Iterator[tuple[RouteSocket, RouteSocket]]:
    paths = [namespaces.create_named(_name(suffix)) for suffix in "ab"]
    with RouteSocket(paths[0]) as a, RouteSocket(paths[1]) as b:
        yield a, b
    for suffix in "ab":
        namespaces.delete_named(_name(suffix))


def test_veth_with_its_peer_straight_in_another_namespace(two: tuple[RouteSocket, RouteSocket]) -> None:
    a, b = two
    a.add_veth("left", "right", peer_namespace=namespaces.path_of(_name("b")), mtu=1400)
    assert a.find_link("right") is None
    assert a.link("left").kind == "veth"
    assert b.link("right").mtu == 1400
    a.set_link("left", up=True)
    b.set_link("right", up=True, name="eth0", address="02:00:00:00:00:07")
    a.add_address("left", "10.1.0.1/24")
    b.add_address("eth0", "10.1.0.2/24")
    assert ip("b", "link", "show", "eth0")[0]["address"] == "02:00:00:00:00:07"
    subprocess.run(["ip", "netns", "exec", _name("a"), "ping", "-c1", "-W2", "10.1.0.2"], check=True)


def test_moving_a_link_to_another_namespace(two: tuple[RouteSocket, RouteSocket]) -> None:
    a, b = two
    a.add_veth("roamer", "stays")
    a.set_link("roamer", namespace=namespaces.path_of(_name("b")))
    assert a.find_link("roamer") is None
    assert b.link("roamer").kind == "veth"


def test_bridge_and_ports(two: tuple[RouteSocket, RouteSocket]) -> None:
    a, _b = two
    a.add_bridge("br0", address="02:00:00:00:00:01")
    a.add_veth("port", "end", master="br0")
    bridge = a.link("br0")
    assert (bridge.kind, bridge.address) == ("bridge", "02:00:00:00:00:01")
    assert a.link("port").master == bridge.index
    a.set_hairpin("port")
    assert ip("a", "link", "show", "port")[0]["linkinfo"]["info_slave_data"]["hairpin"] is True
    a.set_link("port", master=0)
    assert a.link("port").master == 0
    assert a.delete_link("port")
    assert a.find_link("end") is None
    assert not a.delete_link("port")


def test_vxlan(two: tuple[RouteSocket, RouteSocket]) -> None:
    a, _b = two
    a.add_vxlan("vx", 7, local="10.1.0.1", port=8472)
    data = ip("a", "link", "show", "vx")[0]["linkinfo"]["info_data"]
    assert (data["id"], data["local"], data["port"], data["learning"]) == (7, "10.1.0.1", 8472, False)
    a.append_forwarding("vx", "00:00:00:00:00:00", "10.1.0.9")
    shown = subprocess.run(
        ["bridge", "-n", _name("a"), "fdb", "show", "dev", "vx"], capture_output=True, text=True, check=True
    ).stdout
    assert "dst 10.1.0.9" in shown
    a.delete_forwarding("vx", "00:00:00:00:00:00", "10.1.0.9")


def test_addresses(two: tuple[RouteSocket, RouteSocket]) -> None:
    a, _b = two
    a.add_bridge("d0")
    a.set_link("d0", up=True)
    a.add_address("d0", "10.2.0.1/24")
    a.add_address("d0", "fd00:2::1/64")
    with pytest.raises(NetlinkError) as refused:
        a.add_address("d0", "10.2.0.1/24")
    assert refused.value.errno == errno.EEXIST
    a.replace_address("d0", "10.2.0.1/24")
    found = {address.address for address in a.addresses("d0")}
    assert {ip_interface("10.2.0.1/24"), ip_interface("fd00:2::1/64")} <= found
    a.delete_address("d0", "10.2.0.1/24")
    assert ip_interface("10.2.0.1/24") not in {address.address for address in a.addresses()}


def test_routes(two: tuple[RouteSocket, RouteSocket]) -> None:
    a, _b = two
    a.add_bridge("d0")
    a.set_link("d0", up=True)
    a.add_address("d0", "10.2.0.1/24")
    a.add_route("10.96.0.0/16", gateway="10.2.0.11")
    with pytest.raises(NetlinkError) as refused:
        a.add_route("10.96.0.0/16", gateway="10.2.0.12")
    assert refused.value.errno == errno.EEXIST
    a.replace_route("10.96.0.0/16", gateway="10.2.0.12")
    a.add_route(None, gateway="10.2.0.254", source="10.2.0.1")
    a.add_route("10.3.0.0/24", link="d0", table=1000, metric=5)
    a.add_route("fd00:96::/112", link="d0")
    (service,) = [r for r in a.routes() if r.destination == ip_network("10.96.0.0/16")]
    assert service.gateway == ip_address("10.2.0.12")
    (default,) = [r for r in a.routes() if r.destination is None]
    assert (default.gateway, default.source) == (ip_address("10.2.0.254"), ip_address("10.2.0.1"))
    (other,) = a.routes(table=1000)
    assert (other.destination, other.metric) == (ip_network("10.3.0.0/24"), 5)
    assert ip("a", "route", "show", "10.96.0.0/16")[0]["gateway"] == "10.2.0.12"
    assert a.delete_route("10.96.0.0/16")
    assert not a.delete_route("10.96.0.0/16")
    assert a.delete_route(None)
    assert a.delete_route("fd00:96::/112", link="d0")


def test_routes_by_a_gateway_said_to_be_on_the_link(two: tuple[RouteSocket, RouteSocket]) -> None:
    a, _b = two
    a.add_bridge("d0")
    a.set_link("d0", up=True)
    a.add_address("d0", "10.2.0.1/24")
    a.add_route("10.4.0.0/24", gateway="10.4.0.1", link="d0", onlink=True, mtu=1400, protocol=0x99)
    (route,) = [r for r in a.routes() if r.destination == ip_network("10.4.0.0/24")]
    assert (route.onlink, route.mtu, route.protocol) == (True, 1400, 0x99)
    assert ip("a", "route", "show", "10.4.0.0/24")[0]["flags"] == ["onlink"]
    assert not a.delete_route("10.4.0.0/24", protocol=0x98)
    assert a.delete_route("10.4.0.0/24", protocol=0x99)
    assert a.route_to("10.2.0.9").gateway is None
    a.add_route(None, gateway="10.2.0.254")
    assert a.route_to("192.0.2.1").gateway == ip_address("10.2.0.254")
    with pytest.raises(NetlinkError) as refused:
        a.route_to("2001:db8::1")
    assert refused.value.errno == errno.ENETUNREACH


def test_where_a_vxlan_device_sends(two: tuple[RouteSocket, RouteSocket]) -> None:
    a, _b = two
    assert a.vxlan("vx") is None
    a.add_vxlan("vx", 7, local="fd00::1", port=4789)
    assert a.vxlan("vx") == Vxlan(7, ip_address("fd00::1"), 0, 4789, False)
    a.replace_forwarding("vx", "0a:00:00:00:00:01", "fd00::2")
    a.replace_forwarding("vx", "0a:00:00:00:00:01", "fd00::3")
    assert a.forwarding("vx") == [("0a:00:00:00:00:01", ip_address("fd00::3"))]
    a.delete_forwarding("vx", "0a:00:00:00:00:01", "fd00::3")
    assert a.forwarding("vx") == []
    a.add_bridge("br0")
    assert a.vxlan("br0") is None


def test_neighbours(two: tuple[RouteSocket, RouteSocket]) -> None:
    a, _b = two
    a.add_bridge("d0")
    a.set_link("d0", up=True)
    a.replace_neighbour("d0", "10.2.0.9", "02:00:00:00:00:09")
    (found,) = [n for n in a.neighbours("d0") if n.address == ip_address("10.2.0.9")]
    assert found.link_address == "02:00:00:00:00:09"
    a.delete_neighbour("d0", "10.2.0.9")


def test_errors_carry_the_kernel_s_explanation(two: tuple[RouteSocket, RouteSocket]) -> None:
    a, _b = two
    a.add_bridge("d0")
    with pytest.raises(NetlinkError) as refused:
        a.add_route("10.9.0.0/24", gateway="10.8.0.1")
    assert refused.value.errno == errno.ENETUNREACH
    assert refused.value.message == "Nexthop has invalid gateway"
    with pytest.raises(NetlinkError, match="no network interface 'nope'"):
        a.link("nope")


def test_events_arrive_on_a_subscribed_socket(two: tuple[RouteSocket, RouteSocket]) -> None:
    a, _b = two
    with namespaces.enter(namespaces.path_of(_name("a"))):
        events = NetlinkSocket(NETLINK_ROUTE, groups=[RTNLGRP_LINK])
    with events:
        assert events.receive(block=False) == []
        a.add_bridge("d1")
        names = [
            netlink.text(netlink.parse_attributes(message.payload, 16)[3])
            for message in events.receive()
            if message.type == RTM_NEWLINK
        ]
    assert "d1" in names
