"""A real API server, the real controllers, and three nodes that only say that they run their Pods."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from clusterip.client.rest import Client
from tests.support.apiserver import RunningApiServer, running_apiserver
from tests.support.controllers import HollowNode, RunningControllers, client_of
from tests.support.kubectl import Kubectl


@pytest.fixture
def apiserver(tmp_path: Path) -> Iterator[RunningApiServer]:
    with running_apiserver(tmp_path) as server:
        yield server


@pytest.fixture
def controllers(apiserver: RunningApiServer, tmp_path: Path) -> Iterator[RunningControllers]:
    controllers = RunningControllers(apiserver.kubeconfig, tmp_path / "controllers.log")
    controllers.start()
    yield controllers
    assert controllers.stop() == 0


@pytest.fixture
async def client(apiserver: RunningApiServer) -> AsyncIterator[Client]:
    async with client_of(apiserver.kubeconfig) as client:
        yield client


@pytest.fixture
async def nodes(client: Client, controllers: RunningControllers) -> AsyncIterator[list[HollowNode]]:
    nodes = [HollowNode(client, f"node-{i}") for i in (1, 2, 3)]
    for node in nodes:
        await node.start()
    yield nodes
    for node in nodes:
        await node.stop()


@pytest.fixture
def kubectl(apiserver: RunningApiServer, tmp_path: Path, nodes: list[HollowNode]) -> Kubectl:
    return Kubectl(apiserver.kubeconfig, tmp_path)
