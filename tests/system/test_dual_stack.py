"""``clusterip up --dual-stack``: IPv6 beside IPv4 for nodes, Pods and Services, and nothing of it left."""

from __future__ import annotations

import ipaddress
import subprocess

import pytest

from clusterip.kernel import namespaces
from tests.support.cluster import TestCluster
from tests.support.traces import state

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: both}
spec:
  type: NodePort
  ipFamilyPolicy: RequireDualStack
  selector: {app: my-app}
  ports: [{port: 80, targetPort: 8080}]
"""


@pytest.fixture(scope="module")
def cluster(stopped_cluster: TestCluster) -> TestCluster:
    stopped_cluster.up("--dual-stack")
    stopped_cluster.apply_example()
    stopped_cluster.kubectl("apply", "-f", "-", stdin=SERVICE)
    return stopped_cluster


@pytest.fixture(scope="module")
def address(cluster: TestCluster) -> str:
    """The Service's address of IPv6."""
    families = [ipaddress.ip_address(each) for each in cluster.get("service", "both")["spec"]["clusterIPs"]]
    assert [each.version for each in families] == [4, 6]
    return str(families[1])


def curl(url: str) -> str:
    command = ["curl", "-sS", "--max-time", "10", url]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_nodes_and_pods_have_both(cluster: TestCluster) -> None:
    for node in cluster.get("nodes")["items"]:
        found = [each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP"]
        assert [ipaddress.ip_address(each).version for each in found] == [4, 6]
        networks = [ipaddress.ip_network(each) for each in node["spec"]["podCIDRs"]]
        assert [(each.version, each.prefixlen) for each in networks] == [(4, 24), (6, 64)]
    for pod in cluster.pods():
        assert [ipaddress.ip_address(each["ip"]).version for each in pod["status"]["podIPs"]] == [4, 6]


def test_a_service_answers_by_ipv6_to_everybody(cluster: TestCluster, address: str) -> None:
    names = {pod["metadata"]["name"] for pod in cluster.pods()}
    assert {curl(f"http://[{address}]") for _ in range(30)} == names, "the machine, by all nodes"
    inside = ("exec", "deploy/my-app", "--", "curl", "-sS", "--max-time", "10", "-6")
    assert cluster.kubectl(*inside, "http://both").strip() in names
    assert cluster.kubectl(*inside, f"http://[{address}]").strip() in names
    for node in cluster.config.node_names:
        answer = namespaces.run_in(
            namespaces.path_of(cluster.config.namespace_of(node)), lambda: curl(f"http://[{address}]")
        )
        assert answer in names


def test_node_ports_and_pods_answer_by_ipv6(cluster: TestCluster) -> None:
    port = cluster.get("service", "both")["spec"]["ports"][0]["nodePort"]
    names = {pod["metadata"]["name"] for pod in cluster.pods()}
    for node in cluster.config.node_names:
        _, address = cluster.config.addresses_of(node)
        assert curl(f"http://[{address}]:{port}") in names
    for pod in cluster.pods():
        address = pod["status"]["podIPs"][1]["ip"]
        assert curl(f"http://[{address}]:8080") == pod["metadata"]["name"]


def test_up_again_is_harmless(cluster: TestCluster) -> None:
    assert cluster.up("--dual-stack").count("runs already") == 1
    assert cluster.up().count("runs already") == 1


def test_down_leaves_nothing_of_it(stopped_cluster: TestCluster) -> None:
    again = stopped_cluster
    again.down()
    before = state(again)
    again.up("--dual-stack")
    again.apply_example()
    again.down()
    assert state(again) == before
    again.up()
    assert "there is a cluster with dual stack False, not True" in again.fails("up", "--dual-stack")
