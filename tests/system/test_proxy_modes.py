"""Whole clusters whose proxies program the kernel in other ways."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterip.kernel import namespaces
from clusterip.kernel.bpf.filesystem import cgroup_root
from clusterip.proxy import modes
from clusterip.proxy.ebpf.mode import pins
from tests.support.cluster import TestCluster


@pytest.mark.parametrize("mode", ["ebpf", "iptables"])
def test_services_work_and_nothing_is_left(stopped_cluster: TestCluster, mode: str) -> None:
    if reason := modes.get(mode).missing():
        pytest.skip(reason)
    cluster = stopped_cluster
    cluster.up(f"--proxy-mode={mode}")
    address = cluster.apply_example()
    pods = {pod.split("/")[1] for pod in cluster.kubectl("get", "pods", "-o", "name").split()}
    curl = ("exec", "deploy/my-app", "--", "curl", "-s")
    answers = {cluster.kubectl(*curl, address).strip() for _ in range(12)}
    assert answers <= pods
    assert len(answers) > 1
    by_name = cluster.kubectl(*curl, "http://my-service").strip()
    assert by_name in pods
    nodes = [namespaces.path_of(cluster.config.namespace_of(name)) for name in cluster.config.node_names]
    left: list[Path] = []
    if mode == "ebpf":
        left = [namespaces.run_in(node, pins) for node in nodes]
        assert all(path.exists() for path in left)
        root = cgroup_root()
        assert root is not None
        left.append(root / Path(cluster.config.cgroup_of("node-1")).parent)
    cluster("down")
    assert not [path for path in left if path.exists()]


def test_a_mode_that_there_is_not(stopped_cluster: TestCluster) -> None:
    assert "there is no proxy mode 'userspace'" in stopped_cluster.fails("up", "--proxy-mode=userspace")
