"""A real API server, real kubectl and the official Python client."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import kubernetes
import pytest

from tests.support.apiserver import RunningApiServer, running_apiserver
from tests.support.cluster import TestCluster, machine
from tests.support.etcd import running_etcd
from tests.support.kubectl import NEW, OLD, Kubectl

ON_EVERY_STORE = frozenset(("test_allocation", "test_lists", "test_watch"))
"""Modules whose tests run on SQLite and on etcd, because they depend on what a store promises."""

STORE = os.environ.get("TEST_STORE", "sqlite")
"""The store of all other modules."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    stores = [STORE]
    if metafunc.module.__name__.rpartition(".")[2] in ON_EVERY_STORE:
        stores = ["sqlite", "etcd"]
    if "store" in metafunc.fixturenames:
        metafunc.parametrize("store", stores, indirect=True, scope="module")


@pytest.fixture(scope="module")
def store(request: pytest.FixtureRequest) -> str:
    """Which store the API servers use."""
    kind: str = request.param
    return kind


@pytest.fixture(scope="module")
def apiserver(store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApiServer]:
    """A server that the tests of one module share; each test uses a namespace of its own."""
    with _apiserver(store, tmp_path_factory.mktemp("apiserver")) as server:
        yield server


@pytest.fixture
def own_apiserver(store: str, tmp_path: Path) -> Iterator[RunningApiServer]:
    """A server for one test, which may kill it."""
    with _apiserver(store, tmp_path) as server:
        yield server


@contextmanager
def _apiserver(store: str, directory: Path) -> Iterator[RunningApiServer]:
    if store == "sqlite":
        with running_apiserver(directory) as server:
            yield server
        return
    with (
        running_etcd(directory) as etcd,
        running_apiserver(directory, f"--store=etcd://{etcd.endpoint}") as server,
    ):
        yield server


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    """A whole cluster of two nodes that runs Pods. The tests of its module are on its machine."""
    name = f"ca{os.getpid()}"
    options = [
        "--nodes=2",
        "--subnet=172.31.251.0/24",
        "--cluster-cidr=10.251.0.0/16",
        "--service-cluster-ip-range=10.96.0.0/16",
    ]
    with machine(name):
        made = TestCluster(name, tmp_path_factory.mktemp("cluster") / "state", options)
        try:
            made.up()
            yield made
        finally:
            made.remove()


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


@pytest.fixture(params=[NEW, OLD])
def any_kubectl(
    apiserver: RunningApiServer, namespace: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Kubectl:
    """kubectl as people use it now, and an old one."""
    config = tmp_path / "kubeconfig"
    text = apiserver.kubeconfig.read_text()
    config.write_text(text.replace("cluster: test\n", f"cluster: test\n    namespace: {namespace}\n", 1))
    return Kubectl(config, tmp_path, request.param)


@pytest.fixture(params=[NEW, OLD])
def any_kubectl_with_pods(
    cluster: TestCluster, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Kubectl]:
    """kubectl in a namespace of the test's own."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_"))[:63].strip("-")
    config = tmp_path / "kubeconfig"
    text = cluster.paths.admin_kubeconfig.read_text()
    config.write_text(text)
    kubectl = Kubectl(config, tmp_path, request.param)
    kubectl("create", "namespace", name)
    kubectl("config", "set-context", "--current", f"--namespace={name}")
    _await_account(kubectl)
    yield kubectl
    kubectl("delete", "namespace", name, "--wait=false")


def _await_account(kubectl: Kubectl) -> None:
    """A Pod cannot be created before its namespace has a service account."""
    deadline = time.monotonic() + 10
    while kubectl.run("get", "serviceaccount", "default").returncode:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def client(apiserver: RunningApiServer) -> Iterator[kubernetes.client.ApiClient]:
    """The official Python client."""
    with kubernetes.config.new_client_from_config(str(apiserver.kubeconfig)) as api_client:
        yield api_client
