"""kill -9 of any part, while requests flow: they go on flowing, and the part comes back."""

from __future__ import annotations

import time

import pytest

from tests.support.cluster import TestCluster
from tests.support.load import RequestLoop

PARTS = [
    "apiserver",
    "controllers",
    *(f"{part}@{node}" for part in ("node", "proxy", "dns") for node in ("node-1", "node-2", "node-3")),
    "supervisor",
    "guardian",
]


def wait_until_well(cluster: TestCluster, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while problems := cluster.status()["problems"]:
        assert time.monotonic() < deadline, f"{problems}{cluster.logs()}"


@pytest.mark.parametrize("part", PARTS)
def test_traffic_goes_on_and_the_part_comes_back(cluster: TestCluster, address: str, part: str) -> None:
    before = {name: known.process for name, known in cluster.records.parts.items()}
    with RequestLoop(address) as loop:
        cluster.kill(part)
        wait_until_well(cluster)
        loop.wait_for(100)
    assert not loop.failures
    after = {name: known.process for name, known in cluster.records.parts.items()}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {part} - {"supervisor", "guardian"}


def test_nothing_was_lost_and_the_cluster_still_works(cluster: TestCluster, address: str) -> None:
    assert cluster.get("service", "my-service")["spec"]["clusterIP"] == address
    pods = cluster.pods()
    assert [status["restartCount"] for pod in pods for status in pod["status"]["containerStatuses"]] == [
        0
    ] * 3
    with RequestLoop(address) as loop:
        cluster.kubectl("rollout", "restart", "deployment/my-app")
        cluster.kubectl("rollout", "status", "deployment/my-app", "--timeout=60s", timeout=70)
    assert not loop.failures


def test_no_acknowledged_write_is_lost(cluster: TestCluster) -> None:
    """Write, kill the API server right after the answer, and look whether it is still there."""
    for number in range(5):
        cluster.kubectl("create", "configmap", f"kept-{number}", f"--from-literal=number={number}")
        cluster.kill("apiserver")
        assert cluster.get("configmap", f"kept-{number}")["data"] == {"number": str(number)}


def test_names_resolve_while_dns_is_killed_again_and_again(cluster: TestCluster, address: str) -> None:
    """The supervisor holds the socket: queries wait in it for the next server."""
    (pod, *_rest) = cluster.pods()
    script = "for i in $(seq 20); do curl -sSf -m 10 http://my-service || echo FAILED; done"
    for node in ("node-1", "node-2", "node-3"):
        cluster.kill(f"dns@{node}")
    answers = cluster.kubectl("exec", pod["metadata"]["name"], "--", "sh", "-c", script).split()
    assert len(answers) == 20
    assert "FAILED" not in answers


def test_a_cluster_without_supervisors_goes_on_and_up_watches_it_again(
    cluster: TestCluster, address: str
) -> None:
    before = {name: known.process for name, known in cluster.records.parts.items()}
    with RequestLoop(address) as loop:
        supervisor, guardian = cluster.records.supervisor, cluster.records.guardian
        assert supervisor is not None
        assert guardian is not None
        cluster.kill("guardian")
        cluster.kill("supervisor")
        deadline = time.monotonic() + 10
        while cluster.records.is_supervised and time.monotonic() < deadline:
            if cluster.records.supervisor != supervisor or cluster.records.guardian != guardian:
                pytest.skip("one half was quicker than we")
        assert any("up" in problem for problem in cluster.status()["problems"])
        cluster.up()
        assert not cluster.status()["problems"]
        cluster.kill("proxy@node-1")
        wait_until_well(cluster)
    assert not loop.failures
    after = {name: known.process for name, known in cluster.records.parts.items()}
    assert {name for name in after if after[name] != before[name]} == {"proxy@node-1"}
