"""By which way other nodes' Pods are reached."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from clusterip.node.network import vxlan
from clusterip.node.network.ipam import Address
from clusterip.node.network.masquerade import _ranges
from clusterip.node.network.peers import Remote, Vtep, remote_of
from clusterip.node.network.ways import Direct, Mode, Tunnel, Ways, decide
from tests.support.podnetwork import peer

OWN = Vtep("192.0.2.1", "0a:00:00:00:00:01", 4097, 4789)
THEIRS = Vtep("203.0.113.2", "0a:00:00:00:00:02", 4097, 4789, needed=True)


def near(address: Address) -> bool:
    return address in ip_network("192.0.2.0/24") or address in ip_network("2001:db8::/64")


def remote(name: str, cidrs: list[str], addresses: list[str], vtep: Vtep | None = None) -> Remote:
    return Remote(name, tuple(map(ip_network, cidrs)), tuple(map(ip_address, addresses)), vtep)


def ways(mode: Mode, *remotes: Remote) -> Ways:
    return decide(mode, remotes, OWN, near)


NEAR = remote("near", ["10.244.1.0/24", "fd00:1::/64"], ["192.0.2.2", "2001:db8::2"])
FAR = remote("far", ["10.244.2.0/24"], ["203.0.113.2"], THEIRS)
DIRECT = {
    ip_network("10.244.1.0/24"): Direct(ip_address("192.0.2.2")),
    ip_network("fd00:1::/64"): Direct(ip_address("2001:db8::2")),
}
TUNNEL = {ip_network("10.244.2.0/24"): Tunnel(ip_address("10.244.2.1"), THEIRS)}


def test_auto_takes_the_direct_way_where_there_is_one() -> None:
    assert ways("auto", NEAR) == Ways(DIRECT, neighbours=set(NEAR.addresses))
    assert ways("auto", NEAR, FAR).routes == DIRECT | TUNNEL
    assert ways("auto", NEAR, FAR).needed


def test_host_gw_never_tunnels() -> None:
    found = ways("host-gw", NEAR, FAR)
    assert found.routes == DIRECT
    assert not found.needed
    assert not found.asked
    assert found.lacking == {
        "far": "203.0.113.2 is on no network of this node, and the mode host-gw needs that: use auto or vxlan"
    }


def test_vxlan_always_tunnels() -> None:
    found = ways("vxlan", NEAR, FAR)
    assert found.routes == TUNNEL
    assert found.lacking == {"near": "it has no VXLAN device yet"}
    assert found.neighbours == set()  # from them no answer would come back directly


def test_a_family_without_an_address_of_the_node_is_tunnelled() -> None:
    one = remote("one", ["10.244.1.0/24", "fd00:1::/64"], ["192.0.2.2"], THEIRS)
    assert ways("auto", one).routes == {
        ip_network("10.244.1.0/24"): Direct(ip_address("192.0.2.2")),
        ip_network("fd00:1::/64"): Tunnel(ip_address("fd00:1::1"), THEIRS),
    }
    assert ways("host-gw", one).lacking == {"one": "it has no address of its own to route fd00:1::/64 by"}


@pytest.mark.parametrize(
    ("theirs", "problem"),
    [
        (Vtep("203.0.113.2", "0a:00:00:00:00:02", 4097, 8472), "network 4097 on port 8472"),
        (Vtep("203.0.113.2", "0a:00:00:00:00:02", 1, 4789), "network 1 on port 4789"),
        (Vtep("2001:db8:9::2", "0a:00:00:00:00:02", 4097, 4789), "different families"),
    ],
)
def test_ends_that_do_not_fit(theirs: Vtep, problem: str) -> None:
    found = ways("auto", remote("far", ["10.244.2.0/24"], ["203.0.113.2"], theirs))
    assert found.routes == {}
    assert problem in found.lacking["far"]


def test_what_cannot_be_understood_of_a_node_is_left_out() -> None:
    odd = remote_of(peer("odd", ["10.244.1.0/24", "nonsense"], "192.0.2.2", "?", vxlan='{"mac": 1}'))
    assert odd == remote("odd", ["10.244.1.0/24"], ["192.0.2.2"])
    text = '{"address":"203.0.113.2","mac":"0a:0","vni":1,"port":2}'
    assert remote_of(peer("odd", [], vxlan=text)).vtep is None
    assert remote_of(peer("new", [])) == Remote("new", (), ())


def test_a_node_s_mac_stays_and_is_its_own() -> None:
    first = vxlan.mac_of(ip_address("192.0.2.1"))
    assert first == vxlan.mac_of(ip_address("192.0.2.1")) != vxlan.mac_of(ip_address("192.0.2.2"))
    assert int(first[:2], 16) & 3 == 2  # locally administered, for one device


def test_ranges_that_touch_are_one() -> None:
    networks = map(ip_network, ("10.244.2.0/24", "10.244.0.0/24", "10.244.1.0/24", "224.0.0.0/4"))
    found = [(ip_address(e.key), e.flags) for e in _ranges(networks, 4)]
    assert [(str(address), flags) for address, flags in found] == [
        ("10.244.0.0", 0),
        ("10.244.3.0", 1),
        ("224.0.0.0", 0),
        ("240.0.0.0", 1),
    ]
    assert [e.flags for e in _ranges([ip_network("ff00::/8")], 16)] == [0]  # up to the last address
