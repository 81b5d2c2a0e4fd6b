"""A network with a node whose proxy is driven by Services and EndpointSlices given in the test."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Iterator

import pytest
from proxy_network import NODE4, NODE6, POD_CIDRS, Network
from proxy_objects import NODE
from proxy_world import World

from clusterip.kernel.nftables import Family
from clusterip.proxy.model import pack_address
from clusterip.proxy.nftables.layout import LayoutOptions


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network()
    yield network
    network.close()


@pytest.fixture
async def world(network: Network) -> AsyncIterator[World]:
    """The proxy of the node, with two Pods here and one elsewhere: ``here-1``, ``here-2``, ``away``."""
    await network.add_pod("here-1", 2)
    await network.add_pod("here-2", 3)
    await network.add_pod("away", 4, here=False)
    options = LayoutOptions(pod_cidrs=tuple(ipaddress.ip_network(cidr) for cidr in POD_CIDRS))
    world = World(network, NODE, tuple(Family), options)
    world.backend.set_node_ips(filter(None, (pack_address(NODE4), pack_address(NODE6))))
    world.backend.set_service_cidrs(
        [ipaddress.ip_network("10.96.0.0/16"), ipaddress.ip_network("fd00:96::/112")]
    )
    await world.start()
    yield world
    world.close()
