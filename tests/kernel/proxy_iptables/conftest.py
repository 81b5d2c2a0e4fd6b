"""Namespaces with the programs of both kinds of iptables."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from iptables_node import Node

from clusterip.kernel import iptables, namespaces
from clusterip.kernel.iptables import LEGACY, NFT
from clusterip.kernel.nftables import Family

_numbers = itertools.count(1)


@pytest.fixture(params=[NFT, LEGACY])
async def node(request: pytest.FixtureRequest, namespace: Path) -> AsyncIterator[Node]:
    kind: str = request.param
    for family in Family:
        found = [each for each in iptables.every(family) if each.kind == kind]
        if not found:
            pytest.skip(f"there is no iptables-{kind}")
        try:
            namespaces.run_in(namespace, lambda program=found[0]: program.check("nat"))
        except iptables.IptablesError as error:
            pytest.skip(f"this kernel: {error}")
    node = Node(namespace, kind)
    yield node
    node.close()


@pytest.fixture
def namespace() -> Iterator[Path]:
    name = f"ipt{os.getpid()}-{next(_numbers)}"
    yield namespaces.create_named(name)
    namespaces.delete_named(name)
