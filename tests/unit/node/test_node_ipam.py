"""Giving out a podCIDR's addresses."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from clusterip.node.network.ipam import AddressPools, Exhausted, Pool, gateway_of


def test_the_first_address_is_the_bridges() -> None:
    network = ip_network("10.244.1.0/24")
    assert str(gateway_of(network)) == "10.244.1.1/24"
    assert str(Pool(network).take()) == "10.244.1.2"


def test_a_freed_address_rests_until_its_turn_comes() -> None:
    pool = Pool(ip_network("10.0.0.0/29"))  # .2 to .6
    first = pool.take()
    pool.free(first)
    assert [str(pool.take())[-1] for _ in range(5)] == ["3", "4", "5", "6", "2"]
    with pytest.raises(Exhausted, match=r"no IP addresses available in range set: 10\.0\.0\.0/29"):
        pool.take()


def test_reserved_addresses_are_not_given_out() -> None:
    pool = Pool(ip_network("10.0.0.0/29"))
    for last in (2, 3, 5):
        pool.reserve(ip_address(f"10.0.0.{last}"))
    assert sorted(str(pool.take()) for _ in range(2)) == ["10.0.0.4", "10.0.0.6"]


def test_both_families_or_neither() -> None:
    pools = AddressPools([ip_network("fd00::/64"), ip_network("10.0.0.0/30")])  # one IPv4 address
    assert [str(address) for address in pools.take()] == ["fd00::2", "10.0.0.2"]
    with pytest.raises(Exhausted):
        pools.take()
    pools.free([ip_address("10.0.0.2")])
    assert [address.version for address in pools.take()] == [6, 4]
