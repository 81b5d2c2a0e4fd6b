"""A real API server, real kubectl and the official Python client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import kubernetes
import pytest

from tests.support.apiserver import RunningApiServer, running_apiserver
from tests.support.kubectl import Kubectl


@pytest.fixture(scope="module")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApiServer]:
    """A server that the tests of one module share; each test uses a namespace of its own."""
    with running_apiserver(tmp_path_factory.mktemp("apiserver")) as server:
        yield server


@pytest.fixture
def own_apiserver(tmp_path: Path) -> Iterator[RunningApiServer]:
    """A server for one test, which may kill it."""
    with running_apiserver(tmp_path) as server:
        yield server


@pytest.fixture
def namespace(apiserver: RunningApiServer, request: pytest.FixtureRequest) -> str:
    """A namespace for one test."""
    name = request.node.name.lower().replace("_", "-").translate(str.maketrans("", "", "[]/.:*"))[:63]
    code, body = apiserver.request("POST", "/api/v1/namespaces", {"metadata": {"name": name.strip("-")}})
    assert code == 201, body
    return name.strip("-")


@pytest.fixture
def kubectl(apiserver: RunningApiServer, namespace: str, tmp_path: Path) -> Kubectl:
    """kubectl whose default namespace is the test's own."""
    config = tmp_path / "kubeconfig"
    text = apiserver.kubeconfig.read_text()
    config.write_text(text.replace("cluster: test\n", f"cluster: test\n    namespace: {namespace}\n", 1))
    return Kubectl(config, tmp_path)


@pytest.fixture
def client(apiserver: RunningApiServer) -> Iterator[kubernetes.client.ApiClient]:
    """The official Python client."""
    with kubernetes.config.new_client_from_config(str(apiserver.kubeconfig)) as api_client:
        yield api_client
