"""Whole clusters, each test module with one of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Machine, TestCluster, machine

NAME = f"ct{os.getpid()}"  # so that two runs at once do not share namespaces
OPTIONS = [
    "--subnet=172.31.250.0/24",
    "--cluster-cidr=10.250.0.0/16",
    "--service-cluster-ip-range=10.97.0.0/16",
]


@pytest.fixture(scope="module", name="machine")
def machine_fixture() -> Iterator[Machine]:
    with machine(f"{NAME}-machine-{os.getpid()}") as made:
        yield made


@pytest.fixture(scope="module")
def stopped_cluster(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    """A cluster that is not up yet; whatever becomes of it is removed at the end."""
    directory = tmp_path_factory.mktemp("cluster") / "state"
    cluster = TestCluster(NAME, Path(directory), OPTIONS)
    try:
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture(scope="module")
def cluster(stopped_cluster: TestCluster) -> TestCluster:
    """A cluster that is up."""
    stopped_cluster.up()
    return stopped_cluster


@pytest.fixture(scope="module")
def address(cluster: TestCluster) -> str:
    """The ClusterIP of the example, which runs."""
    return cluster.apply_example()
