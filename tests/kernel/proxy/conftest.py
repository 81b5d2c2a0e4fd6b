"""A network with a node whose proxy is driven by Services and EndpointSlices given in the test."""

from __future__ import annotations

import ipaddress
import itertools
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
from proxy_network import NODE4, NODE6, POD_CIDRS, Network
from proxy_process import SERVICES, SLICES, Node, web, web_slice
from proxy_world import Thing, World

from clusterip.kernel import namespaces
from clusterip.proxy.backend import BackendOptions, PodDetection
from clusterip.proxy.model import NodeAddresses, pack_address

SERVICE_CIDRS = [ipaddress.ip_network("10.96.0.0/16"), ipaddress.ip_network("fd00:96::/112")]
_numbers = itertools.count(1)


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network()
    yield network
    network.close()


@pytest.fixture
def namespace() -> Iterator[Path]:
    """An empty network namespace."""
    name = f"px{os.getpid()}-bare-{next(_numbers)}"
    yield namespaces.create_named(name)
    namespaces.delete_named(name)


@pytest.fixture
async def world(network: Network) -> AsyncIterator[World]:
    """The proxy of the node, with two Pods here and one elsewhere: ``here-1``, ``here-2``, ``away``."""
    network.add_pod("here-1", 2)
    network.add_pod("here-2", 3)
    network.add_pod("away", 4, here=False)
    world = await started(network.node)
    yield world
    world.close()


async def started(
    node: Path, *, masquerade_all: bool = False, mode: str = "nftables", objects: Sequence[Thing] = ()
) -> World:
    """A proxy on a node that knew ``objects`` before it first looked at the kernel; its rules in place."""
    cidrs = tuple(ipaddress.ip_network(cidr) for cidr in POD_CIDRS)
    options = BackendOptions(PodDetection(cidrs), masquerade_all=masquerade_all)
    world = World(node, options, mode)
    own = tuple(filter(None, (pack_address(NODE4), pack_address(NODE6))))
    world.backend.set_node(NodeAddresses(own, own))
    world.backend.set_service_cidrs(SERVICE_CIDRS)
    world.learn(*objects)
    await world.start()
    return world


@pytest.fixture
def node(network: Network, tmp_path: Path) -> Iterator[Node]:
    """An API server on the network's node, and no proxy yet."""
    node = Node(network, tmp_path)
    yield node
    node.close()


@pytest.fixture
async def serving(node: Node) -> Node:
    """With a running proxy and the Service ``web`` (10.96.0.10) of one Pod, ``here-1``."""
    pod = node.network.add_pod("here-1", 2)
    node.network.add_pod("here-2", 3)
    node.add_node()
    node.request("POST", SERVICES, web())
    node.request("POST", SLICES, web_slice(pod.ip))
    await node.start_proxy()
    return node
