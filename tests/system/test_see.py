"""`clusterip explain` and `clusterip top` on a cluster with traffic."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterip.kernel import namespaces
from tests.support.cluster import TestCluster
from tests.support.load import requests_from

NODE_PORT = """
apiVersion: v1
kind: Service
metadata: {name: local}
spec:
  type: NodePort
  selector: {app: my-app}
  externalTrafficPolicy: Local
  ports: [{port: 80, targetPort: 8080, nodePort: 30180}]
"""


@pytest.fixture
def traffic(cluster: TestCluster, address: str) -> Iterator[None]:
    """Connections to the example from node-1, one after another."""
    with requests_from(namespaces.path_of(cluster.config.namespace_of("node-1")), address):
        yield


def top(cluster: TestCluster, what: str) -> dict[str, dict[str, Any]]:
    shown = json.loads(cluster("top", what, "--once", "-o", "json", "--interval=1"))
    return {each["name"]: each for each in shown[what]}


@pytest.mark.usefixtures("traffic")
def test_top_shows_what_is_busy(cluster: TestCluster) -> None:
    services = top(cluster, "services")
    mine = services["my-service"]
    assert (mine["endpoints"], mine["unprogrammed"]) == (3, [])
    assert mine["connections"] > 1
    assert mine["sent"] > 100
    assert mine["received"] > 100
    assert 0 < mine["latency"] < 30
    assert services["kubernetes"]["endpoints"] == 1
    nodes = top(cluster, "nodes")
    assert list(nodes) == ["node-1", "node-2", "node-3"]
    assert nodes["node-1"]["connections"] > 1
    assert {node["state"] for node in nodes.values()} == {"ok"}
    table = cluster("top", "--once", "--interval=1").splitlines()
    assert table[0].split() == [
        *(
            "NAME",
            "TYPE",
            "CLUSTER-IP",
            "ENDPOINTS",
            "OPEN",
            "CONN/S",
            "SENT/S",
            "RECEIVED/S",
            "LAST",
            "CHANGE",
        )
    ]
    assert table[1].startswith("my-service ")  # the busiest first


def test_top_of_dns(cluster: TestCluster) -> None:
    cluster("doctor", "--check=dns")  # which asks each of them
    servers = top(cluster, "dns")
    assert {server["state"] for server in servers.values()} == {"ok"}
    assert sum(server["total"] for server in servers.values()) > 0


@pytest.mark.usefixtures("address")
def test_every_metric_of_every_part_is_in_the_table(cluster: TestCluster) -> None:
    table = (Path(__file__).parents[2] / "docs/metrics.md").read_text()
    pages = [cluster.kubectl("get", "--raw", "/metrics")]
    for port in (10248, 10249, 9153):
        pages.append(cluster.kubectl("get", "--raw", f"/api/v1/nodes/node-1:{port}/proxy/metrics"))
    with urllib.request.urlopen(f"http://{cluster.config.machine_address}:10257/metrics") as answer:
        pages.append(answer.read().decode())
    for page in pages:
        names = {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")}
        assert names
        own = {name for name in names if not name.startswith(("process_", "python_"))}
        assert {name for name in own if f"`{name}`" not in table} == set()


@pytest.mark.usefixtures("address")
def test_explain_says_who_reaches_what(cluster: TestCluster) -> None:
    cluster("apply", "-f", "-", stdin=NODE_PORT)
    cluster.kubectl("wait", "--for=jsonpath={.endpoints[2].conditions.ready}=true", "endpointslice",
                    "-lkubernetes.io/service-name=local", "--timeout=30s")  # fmt: skip
    found = json.loads(cluster("explain", "service", "local", "-o", "json"))
    assert (found["mode"], found["nodes"]) == ("nftables", ["node-1", "node-2", "node-3"])
    rows = {(row["client"], row["via"], *row["nodes"]): row for row in found["ports"][0]["rows"]}
    everywhere = ("node-1", "node-2", "node-3")
    assert len(rows["pod", "ClusterIP", *everywhere]["endpoints"]) == 3
    assert rows["pod", "ClusterIP", *everywhere]["source"] == "kept"
    assert rows["node", "ClusterIP", *everywhere]["source"] == "masqueraded"
    outside = rows["outside", "node port", "node-1"]
    assert [each["probability"] for each in outside["endpoints"]] == [1.0]
    assert {each["reason"] for each in outside["leftOut"]} == {"on another node; the traffic policy is Local"}
    text = cluster("explain", "svc", "local", "--node", "node-2")
    assert "outside, by node-2   NODE:30180" in text
    assert "no node 'nowhere'" in cluster.fails("explain", "svc", "local", "--node", "nowhere")
    assert "not found" in cluster.fails("explain", "svc", "nothing")
