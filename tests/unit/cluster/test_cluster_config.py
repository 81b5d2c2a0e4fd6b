"""A cluster's shape: names, addresses, and which shapes are refused."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Address, IPv4Network, IPv6Network

import pytest

from clusterip.cluster import config as configs
from clusterip.cluster.config import ClusterConfig
from clusterip.cluster.errors import ClusterError


def test_names_and_addresses_follow_from_the_name_and_networks() -> None:
    config = ClusterConfig(name="blue", nodes=2, subnet=IPv4Network("172.30.4.0/24"))
    assert config.link == "blue0"
    assert config.node_names == ["node-1", "node-2"]
    assert config.namespace_of("node-2") == "blue-node-2"
    assert config.address_of("node-2") == IPv4Address("172.30.4.12")
    assert config.api_url == "https://172.30.4.1:6443"
    assert config.dns_address == IPv4Address("10.96.0.10")


def test_networks_of_ipv6_are_the_clusters_own() -> None:
    config = ClusterConfig(name="blue", nodes=2, dual_stack=True)
    ipv6 = config.ipv6
    assert ipv6 is not None
    assert ipv6 == ClusterConfig(name="blue", nodes=3, dual_stack=True).ipv6, "the same again"
    assert ipv6.subnet.subnet_of(IPv6Network("fd00::/8"))
    assert not any(a.overlaps(b) for a, b in itertools.combinations(ipv6, 2))
    assert config.addresses_of("node-2") == ("172.30.0.12", str(ipv6.subnet[12]))
    assert config.pod_cidrs == f"10.244.0.0/16,{ipv6.pods}"
    other = ClusterConfig(name="green", dual_stack=True).ipv6
    assert other is not None
    assert not ipv6.subnet.overlaps(other.subnet)
    assert ClusterConfig().addresses_of("node-1") == ("172.30.0.11",)


def test_a_config_survives_being_written_down() -> None:
    config = ClusterConfig(name="blue", pod_cidr=IPv4Network("10.9.0.0/16"))
    assert configs.decode(configs.encode(config)) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Blue"}, "cannot name a cluster"),
        ({"name": "a-very-long-name"}, "cannot name a cluster"),
        ({"nodes": 0}, "has room for 1 to"),
        ({"nodes": 500}, "has room for 1 to"),
        ({"subnet": IPv4Network("172.30.0.0/30")}, "too small"),
        ({"service_cidr": IPv4Network("10.96.0.0/28")}, "/12 to /24"),
        ({"pod_cidr": IPv4Network("10.244.0.0/24")}, "no /24 for each"),
        ({"pod_cidr": IPv4Network("10.96.128.0/17")}, "overlap"),
    ],
)
def test_shapes_that_cannot_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ClusterError, match=message):
        ClusterConfig(**changes).check()  # type: ignore[arg-type]


def test_the_first_free_subnet_is_taken() -> None:
    taken = [IPv4Network("172.30.0.0/23"), IPv4Network("192.168.0.0/16")]
    assert configs.free_subnet(taken) == IPv4Network("172.30.2.0/24")
    with pytest.raises(ClusterError, match="--subnet"):
        configs.free_subnet([IPv4Network("172.16.0.0/12")])
