"""The machine is after ``down`` what it was before ``up``, whatever happened between."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable

import pytest

from clusterip.kernel.rtnetlink import RouteSocket
from tests.support.cluster import TestCluster
from tests.support.traces import read, state


def test_up_is_quick_and_down_leaves_nothing(stopped_cluster: TestCluster) -> None:
    cluster = stopped_cluster
    before = state(cluster)
    started = time.monotonic()
    printed = cluster.up()
    assert time.monotonic() - started < 10  # 3 s on a machine that has nothing else to do
    assert str(cluster.paths.admin_kubeconfig) in printed
    cluster.apply_example()
    assert "The cluster is gone." in cluster.down()
    assert state(cluster) == before
    assert "There is no cluster." in cluster.down()
    assert state(cluster) == before


def test_up_again_is_harmless(stopped_cluster: TestCluster) -> None:
    cluster = stopped_cluster
    cluster.up()
    records = cluster.records
    journal = cluster.paths.journal.read_bytes()
    assert "runs already" in cluster.up()
    assert cluster.records == records
    assert cluster.paths.journal.read_bytes() == journal
    assert "there is a cluster with nodes 3, not 5" in cluster.fails("up", "--nodes=5")
    cluster.down()


def test_status_says_what_runs_and_what_is_wrong(stopped_cluster: TestCluster) -> None:
    cluster = stopped_cluster
    done = cluster.run("status")
    assert done.returncode == 1
    assert "run `clusterip up`" in done.stdout
    cluster.up()
    done = cluster.run("status")
    assert done.returncode == 0, done.stdout
    assert "is running" in done.stdout
    proxy = cluster.records.parts["proxy@node-2"].process
    os.kill(proxy.pid, signal.SIGSTOP)
    done = cluster.run("status")
    assert done.returncode == 1
    assert "proxy@node-2 does not answer" in done.stdout
    os.kill(proxy.pid, signal.SIGCONT)
    cluster.down()


def test_a_kept_state_comes_back(stopped_cluster: TestCluster) -> None:
    cluster = stopped_cluster
    cluster.up()
    address = cluster.apply_example()
    cluster.down("--keep-state")
    cluster.up()
    assert cluster.get("service", "my-service")["spec"]["clusterIP"] == address
    cluster.kubectl("rollout", "status", "deployment/my-app", "--timeout=60s", timeout=70)
    cluster.down()
    assert not cluster.directory.exists()


Reached = Callable[[TestCluster], bool]


def _when_journal_has(lines: int) -> Reached:
    return lambda cluster: read(cluster.paths.journal).count(b"\n") >= lines


def _when_printed(text: bytes) -> Reached:
    return lambda cluster: text in read(cluster.printed)


def _when_parts_run(count: int) -> Reached:
    return lambda cluster: len(cluster.records.parts) >= count


@pytest.mark.parametrize(
    "reached",
    [
        pytest.param(lambda cluster: cluster.paths.run.exists(), id="first directory"),
        pytest.param(_when_journal_has(1), id="first namespace"),
        pytest.param(_when_journal_has(4), id="some of the network"),
        pytest.param(_when_printed(b"network"), id="all of the network"),
        pytest.param(_when_parts_run(1), id="first process"),
        pytest.param(_when_parts_run(5), id="some processes"),
        pytest.param(_when_printed(b"API server"), id="API server"),
        pytest.param(_when_printed(b"node-"), id="first node"),
    ],
)
def test_a_crash_in_the_middle_of_up_is_undone_by_down(
    stopped_cluster: TestCluster, reached: Reached
) -> None:
    cluster = stopped_cluster
    before = state(cluster)
    process = cluster.start()
    deadline = time.monotonic() + 30
    while not reached(cluster):
        assert time.monotonic() < deadline
        assert process.poll() is None, "up ended before it could be killed"
    process.kill()
    process.wait()
    cluster.down()
    assert state(cluster) == before


def test_after_a_crash_up_goes_on_where_it_was(stopped_cluster: TestCluster) -> None:
    cluster = stopped_cluster
    process = cluster.start()
    while read(cluster.paths.journal).count(b"\n") < 3:
        assert process.poll() is None
    process.kill()
    process.wait()
    cluster.up()
    assert cluster.status()["state"] == "running"
    cluster.down()


def test_a_network_in_use_is_refused(stopped_cluster: TestCluster) -> None:
    complaint = stopped_cluster.fails("up", "--service-cluster-ip-range=198.51.0.0/16")
    assert "--service-cluster-ip-range" in complaint
    assert not stopped_cluster.paths.config.exists()


def test_what_the_machine_uses_already_is_left_to_it(stopped_cluster: TestCluster) -> None:
    """Another program's port, and a network that the default would overlap."""
    cluster = TestCluster(
        stopped_cluster.name, stopped_cluster.directory, ["--cluster-cidr=10.250.0.0/16", "--nodes=1"]
    )
    with RouteSocket() as routes, socket.create_server(("127.0.0.1", 6443)):
        routes.add_route("172.30.0.0/24", gateway="198.51.100.1")
        try:
            assert "172.30.1.0/24" in cluster.up()
            assert cluster.get("nodes")["items"][0]["status"]["addresses"][0]["address"] == "172.30.1.11"
        finally:
            cluster.down()
            routes.delete_route("172.30.0.0/24")
