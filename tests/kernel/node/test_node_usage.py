"""What the kubelet API tells of use and configuration, and whom it tells."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from clusterip.node.cgroups.tree import PodCgroups
from tests.support.nodes import ADDRESS, NODE, RunningNode, eventually, running_node

RULES = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "statistics"},
    "rules": [{"apiGroups": [""], "resources": ["nodes/stats", "nodes/pods"], "verbs": ["get"]}],
}
PROBE = {"exec": {"command": ["true"]}, "periodSeconds": 1}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    directory = tmp_path_factory.mktemp("node")
    options = ("--max-pods=30", "--container-log-max-size=4Ki", "--container-log-max-files=2")
    with running_node(directory, *options, api_options=("--authorization-mode=RBAC",)) as running:
        running.run(
            "used",
            *("sh", "-c", "head -c 3000000 /dev/zero > /data/zeros; echo ready; exec sleep 1000"),
            resources={"limits": {"memory": "64Mi"}},
            readinessProbe=PROBE,
            volumeMounts=[{"name": "data", "mountPath": "/data"}],
            volumes=[{"name": "data", "emptyDir": {}}],
        )
        running.wait_ready("used")
        yield running


def raw(node: RunningNode, path: str) -> str:
    return node.kubectl("get", "--raw", f"/api/v1/nodes/{NODE}/proxy{path}")


def samples(page: str, name: str, **labels: str) -> list[float]:
    """The values of a metric whose labels have all of ``labels``."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    lines = [line for line in page.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
    return [
        float(line.rpartition("}")[2].split()[0] if "}" in line else line.split()[1])
        for line in lines
        if all(each in line for each in wanted)
    ]


def test_the_summary_has_the_node_and_its_pods(node: RunningNode) -> None:
    def written() -> Any:
        found = json.loads(raw(node, "/stats/summary"))
        pods = {each["podRef"]["name"]: each for each in found["pods"]}
        return (found["node"], pods["used"]) if "used" in pods else None

    machine, pod = eventually(written)
    assert machine["nodeName"] == NODE
    assert 0 < machine["memory"]["workingSetBytes"] < machine["memory"]["usageBytes"]
    assert machine["memory"]["availableBytes"] > 0
    assert machine["cpu"]["usageCoreNanoSeconds"] > 0
    assert machine["fs"]["capacityBytes"] > machine["fs"]["availableBytes"]
    assert machine["rlimit"]["curproc"] > 1
    assert pod["volume"][0]["name"] == "data"
    assert pod["volume"][0]["usedBytes"] >= 3_000_000
    assert pod["ephemeral-storage"]["usedBytes"] >= 3_000_000
    assert pod["network"]["name"] == "eth0"
    (container,) = pod["containers"]
    assert (container["name"], container["logs"]["usedBytes"] > 0) == ("main", True)
    if {"memory", "cpu"} <= {name for place in PodCgroups().places for name in place.controllers}:
        assert container["memory"]["workingSetBytes"] <= 64 << 20
        assert container["memory"]["availableBytes"] + container["memory"]["workingSetBytes"] == 64 << 20
        assert pod["cpu"]["usageCoreNanoSeconds"] > 0
    brief = json.loads(raw(node, "/stats/summary?only_cpu_and_memory=true"))
    assert "fs" not in brief["node"]
    assert "cpu" in brief["pods"][0]["containers"][0]


def test_the_pages_of_metrics(node: RunningNode) -> None:
    of = {"namespace": "default", "pod": "used"}
    resource = raw(node, "/metrics/resource")
    assert samples(resource, "container_start_time_seconds", container="main", **of)[0] > 1e9
    assert samples(resource, "resource_scrape_error") == [0.0]
    assert samples(resource, "node_memory_working_set_bytes")[0] > 0
    cadvisor = raw(node, "/metrics/cadvisor")
    assert samples(cadvisor, "machine_memory_bytes")[0] > 0
    assert samples(cadvisor, "container_network_receive_bytes_total", interface="eth0", **of)[0] >= 0
    probed = {"probe_type": "Readiness", "result": "successful", "container": "main"}
    assert samples(raw(node, "/metrics/probes"), "prober_probe_total", **probed, **of)[0] >= 1


def test_configuration_and_pods_as_the_node_knows_them(node: RunningNode) -> None:
    configuration = json.loads(raw(node, "/configz"))["kubeletconfig"]
    assert (configuration["kind"], configuration["maxPods"]) == ("KubeletConfiguration", 30)
    assert configuration["clusterDNS"] == ["10.96.0.10"]
    (pod,) = json.loads(raw(node, "/pods"))["items"]
    assert pod["status"]["containerStatuses"][0]["ready"] is True
    running = json.loads(raw(node, "/runningpods/"))["items"]
    assert [(each["metadata"]["name"], each["spec"]["containers"][0]["name"]) for each in running] == [
        ("used", "main")
    ]


def test_logs_are_kept_in_as_many_files_as_are_allowed(node: RunningNode) -> None:
    script = "for i in $(seq 500); do echo line $i; sleep 0.001; done; echo last; sleep 1000"
    node.run("talker", "sh", "-c", script)
    pod = node.wait_ready("talker")
    eventually(lambda: node.kubectl("logs", "talker", "--tail=1") == "last\n")
    kept = sorted(path.name for path in (node.root / "pods" / pod["metadata"]["uid"] / "logs/main").iterdir())
    assert kept == ["0.log", "0.log.1"]
    lines = node.kubectl("logs", "talker").splitlines()
    assert "line 1" not in lines
    numbers = [int(line.split()[1]) for line in lines[:-1]]
    assert numbers == list(range(numbers[0], 501))
    node.kubectl("delete", "pod", "talker")


def test_each_client_gets_what_it_may(node: RunningNode) -> None:
    """By certificate or token, and by the roles at the API server."""
    context = ssl.create_default_context(cafile=str(node.authority.certificate))
    someone, key = node.authority.issue("someone", "someone")
    by_certificate = ssl.create_default_context(cafile=str(node.authority.certificate))
    by_certificate.load_cert_chain(someone, key)
    node.kubectl("apply", "-f", "-", stdin=json.dumps(RULES))
    node.kubectl("create", "serviceaccount", "reader")
    node.kubectl("create", "serviceaccount", "other")
    node.kubectl(
        *("create", "clusterrolebinding", "statistics", "--clusterrole=statistics"),
        *("--serviceaccount=default:reader", "--user=someone"),
    )
    tokens = {name: node.kubectl("create", "token", name).strip() for name in ("reader", "other")}

    def status(path: str, token: str = "", tls: ssl.SSLContext = context) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"https://{ADDRESS}:10250{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, context=tls, timeout=10) as response:
                return response.status, ""
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    assert status("/healthz") == (200, "")
    assert status("/pods") == (401, "Unauthorized")
    assert status("/pods", "no-such-token") == (401, "Unauthorized")
    for asked in ((tokens["reader"], context), ("", by_certificate)):
        assert status("/stats/summary", *asked) == (200, "")
        assert status("/pods", *asked) == (200, "")  # a right to nodes/pods is enough, or to nodes/proxy
        assert status("/metrics", *asked)[0] == 403
        assert status("/containerLogs/default/used/main", *asked)[0] == 403
    user = "system:serviceaccount:default:other"
    assert status("/stats/summary", tokens["other"]) == (
        403,
        f"Forbidden (user={user}, verb=get, resource=nodes, subresource(s)=[stats])\n",
    )
