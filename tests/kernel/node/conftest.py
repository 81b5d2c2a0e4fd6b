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
from tests.support.sandboxes import NETWORKS, make


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
