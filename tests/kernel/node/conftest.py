"""A machine's network of its own, and Pods' sandboxes in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterip.kernel import namespaces
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.node.network.bridge import ensure_bridge
from clusterip.node.network.ipam import AddressPools
from clusterip.node.sandbox import sandbox as sandboxes
from clusterip.node.sandbox.sandbox import Sandbox
from tests.support.sandboxes import NETWORKS, NODE, NODE6, OUTSIDE, OUTSIDE6, make


@pytest.fixture
def machine() -> Iterator[Path]:
    """A machine's network, which the test is in."""
    name = f"ct-sandbox-{os.getpid()}"
    path = namespaces.create_named(name)
    with namespaces.enter(path):
        with RouteSocket() as route:
            route.set_link("lo", up=True)
        yield path
    namespaces.delete_named(name)


@pytest.fixture
def pools(machine: Path) -> AddressPools:
    ensure_bridge(NETWORKS)
    return AddressPools(NETWORKS)


@pytest.fixture
def two(tmp_path: Path, pools: AddressPools) -> Iterator[tuple[Sandbox, Sandbox]]:
    made = make(tmp_path, pools, "uid-a"), make(tmp_path, pools, "uid-b")
    yield made
    for each in made:
        sandboxes.delete(each.directory, pools)


@pytest.fixture
def outside(machine: Path) -> Iterator[Path]:
    """Another machine on the node's network."""
    name = f"ct-outside-{os.getpid()}"
    path = namespaces.create_named(name)
    for where in (None, path):
        namespaces.write_sysctl(
            "net/ipv6/conf/default/accept_dad", 0, where
        )  # nobody else has an address here
    with RouteSocket() as node, RouteSocket(path) as away:
        node.add_veth("uplink", "eth0", peer_namespace=path)
        for side, link, addresses in (
            (node, "uplink", (f"{NODE}/24", f"{NODE6}/64")),
            (away, "eth0", (f"{OUTSIDE}/24", f"{OUTSIDE6}/64")),
        ):
            for address in addresses:
                side.add_address(side.index(link), address)
            side.set_link(link, up=True)
    yield path
    namespaces.delete_named(name)
