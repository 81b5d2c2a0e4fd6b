"""What a new user does, from the first command on."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from clusterip.kernel import namespaces
from tests.support.cluster import TestCluster
from tests.support.load import fetch
from tests.support.tables import ageless


def columns(text: str) -> list[list[str]]:
    return [re.split(r" {2,}", line.strip()) for line in text.strip().splitlines()]


def test_services_are_listed_as_kubernetes_lists_them(cluster: TestCluster, address: str) -> None:
    header, *rows = columns(cluster.kubectl("get", "svc"))
    assert header == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert [row[:5] for row in rows] == [
        ["kubernetes", "ClusterIP", "10.97.0.1", "<none>", "443/TCP"],
        ["my-service", "ClusterIP", address, "<none>", "80/TCP"],
    ]
    assert ageless(cluster("get", "services")) == ageless(cluster.kubectl("get", "services"))


def test_pods_run_on_every_node(cluster: TestCluster, address: str) -> None:
    header, *rows = columns(cluster.kubectl("get", "pods", "-o", "wide"))
    assert header[:7] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]
    assert [row[1:4] for row in rows] == [["1/1", "Running", "0"]] * 3
    assert sorted(row[6] for row in rows) == ["node-1", "node-2", "node-3"]


def test_slices_and_nodes_have_kubernetes_columns(cluster: TestCluster, address: str) -> None:
    header, *rows = columns(cluster.kubectl("get", "endpointslices"))
    assert header == ["NAME", "ADDRESSTYPE", "PORTS", "ENDPOINTS", "AGE"]
    (mine,) = [row for row in rows if row[0].startswith("my-service-")]
    ips = {pod["status"]["podIP"] for pod in cluster.pods()}
    assert mine[1:3] == ["IPv4", "8080"]
    assert set(mine[3].split(",")) == ips
    header, *rows = columns(cluster.kubectl("get", "nodes"))
    assert header == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert [row[:2] for row in rows] == [["node-1", "Ready"], ["node-2", "Ready"], ["node-3", "Ready"]]


def test_describe_lists_the_endpoints(cluster: TestCluster, address: str) -> None:
    text = cluster.kubectl("describe", "svc", "my-service")
    for pod in cluster.pods():
        assert f"{pod['status']['podIP']}:8080" in text


@pytest.mark.parametrize("host", ["my-service", "my-service.default.svc.cluster.local"])
def test_by_name_from_pods_on_every_node_spread_over_all(
    cluster: TestCluster, address: str, host: str
) -> None:
    pods = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in cluster.pods()}
    assert set(pods.values()) == {"node-1", "node-2", "node-3"}
    for pod in pods:
        script = (
            f"for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do curl -sSf -m 5 {host}; done"
        )
        answers = cluster.kubectl("exec", pod, "--", "sh", "-c", script).split()
        assert len(answers) == 20
        assert set(answers) == set(pods)


def test_by_address_from_nodes_and_the_machine(cluster: TestCluster, address: str) -> None:
    pods = {pod["metadata"]["name"] for pod in cluster.pods()}
    for node in cluster.config.node_names:
        path = namespaces.path_of(cluster.config.namespace_of(node))
        assert {namespaces.run_in(path, lambda: fetch(address)) for _ in range(20)} == pods
    assert {fetch(address) for _ in range(20)} == pods


def test_the_machine_reaches_pods_themselves(cluster: TestCluster, address: str) -> None:
    for pod in cluster.pods():
        assert fetch(pod["status"]["podIP"], 8080) == pod["metadata"]["name"]


def test_a_pod_reaches_itself_through_its_service(cluster: TestCluster, address: str) -> None:
    (pod, *_rest) = cluster.pods()
    name = pod["metadata"]["name"]
    script = f"for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do curl -sSf -m 5 {address}; done"
    assert name in cluster.kubectl("exec", name, "--", "sh", "-c", script).split()


def test_pods_reach_the_api_server_and_the_outside(cluster: TestCluster, address: str) -> None:
    version = cluster.kubectl(
        "exec", "deploy/my-app", "--", "curl", "-sSk", "-m5", "https://kubernetes/version"
    )
    assert json.loads(version)["major"] == "1"
    reply = cluster.kubectl("exec", "deploy/my-app", "--", "ping", "-c1", "-W5", "198.51.100.1")
    assert "1 received" in reply


def test_the_cluster_s_dns_answers_the_machine_by_its_service_address(
    cluster: TestCluster, address: str
) -> None:
    for protocol in ("+notcp", "+tcp"):
        answer = subprocess.run(
            ["dig", "+short", protocol, "@10.97.0.10", "my-service.default.svc.cluster.local"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert answer.stdout.strip() == address


def test_logs(cluster: TestCluster, address: str) -> None:
    (pod, *_rest) = cluster.pods()
    name = pod["metadata"]["name"]
    assert cluster("logs", name) == cluster.kubectl("logs", name)
    assert len(cluster("logs", name, "--tail", "1").splitlines()) == 1


def test_memory_is_modest(cluster: TestCluster, address: str) -> None:
    status = cluster.status()
    assert sum(part["memory"] for part in status["parts"]) < 400e6
