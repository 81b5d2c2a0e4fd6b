"""Who answers changes; that somebody answers does not."""

from __future__ import annotations

from tests.support.cluster import TestCluster
from tests.support.load import RequestLoop


def _settle(cluster: TestCluster, loop: RequestLoop) -> set[str]:
    """The names of the Pods that run once a rollout is complete and old ones are gone."""
    cluster.kubectl("rollout", "status", "deployment/my-app", "--timeout=60s", timeout=70)
    wanted = {pod["metadata"]["name"] for pod in cluster.pods()}
    gone = [pod["metadata"]["name"] for pod in cluster.get("pods")["items"]]
    for name in set(gone) - wanted:
        cluster.kubectl("wait", "--for=delete", f"pod/{name}", "--timeout=60s", timeout=70)
    loop.forget()
    loop.wait_for(100)
    return wanted


def test_scaling_up_and_down_loses_no_request(cluster: TestCluster, address: str) -> None:
    with RequestLoop(address) as loop:
        for replicas in (5, 2, 3):
            cluster.kubectl("scale", "deployment/my-app", f"--replicas={replicas}")
            cluster.kubectl("rollout", "status", "deployment/my-app", "--timeout=60s", timeout=70)
            loop.wait_for(100)
            assert not loop.failures
            assert len(cluster.pods()) == replicas
        wanted = _settle(cluster, loop)
    assert not loop.failures
    assert set(loop.answers) == wanted


def test_deleting_a_pod_loses_no_request(cluster: TestCluster, address: str) -> None:
    with RequestLoop(address) as loop:
        for pod in cluster.pods()[:2]:
            cluster.kubectl("delete", "pod", pod["metadata"]["name"])
            cluster.kubectl("rollout", "status", "deployment/my-app", "--timeout=60s", timeout=70)
            assert not loop.failures
        wanted = _settle(cluster, loop)
    assert not loop.failures
    assert set(loop.answers) == wanted


def test_a_rolling_restart_loses_no_request(cluster: TestCluster, address: str) -> None:
    before = {pod["metadata"]["name"] for pod in cluster.pods()}
    with RequestLoop(address) as loop:
        cluster.kubectl("rollout", "restart", "deployment/my-app")
        cluster.kubectl("rollout", "status", "deployment/my-app", "--timeout=60s", timeout=70)
        assert not loop.failures
        wanted = _settle(cluster, loop)
    assert not loop.failures
    assert set(loop.answers) == wanted
    assert not wanted & before
