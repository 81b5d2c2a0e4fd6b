"""Machines that join a cluster of both families: Pods and Services answer by IPv6 from machine to machine."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Iterator

import pytest

from tests.support.cluster import PROGRAM
from tests.support.joined import Machine, machines, stop_all

NETWORKS = (
    "--cluster-cidr=10.244.0.0/16,fd00:244::/56",
    "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112",
)
APPLICATION = """
apiVersion: v1
kind: Service
metadata: {name: both}
spec: {ipFamilyPolicy: RequireDualStack, selector: {app: both}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: both}
spec:
  selector: {matchLabels: {app: both}}
  template:
    metadata: {labels: {app: both}}
    spec:
      containers:
      - name: echo
        image: clusterip.local/echo
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
"""
Cluster = dict[str, Machine]


@pytest.fixture(scope="module", params=["host-gw", "vxlan"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("both")
    with machines(f"d{os.getpid()}", ["server", "a", "b"], directory) as made:
        server = made["server"]
        server.start("server", *NETWORKS, f"--pod-network-mode={request.param}")
        for number, name in enumerate("ab", start=12):
            refused = made[name].run(
                str(PROGRAM), "agent", *server.join_options, f"--data-dir={made[name].data}"
            )
            assert "--node-ip=IPV4,IPV6" in refused.stderr
            addresses = f"--node-ip={made[name].address},fd77::{number:x}"
            made[name].start("agent", *server.join_options, f"--node-name={name}", addresses)
        for name in "ab":
            made[name].until_printed("program=dns")
        server.kubectl("wait", "--for=condition=Ready", "node/a", "node/b", "--timeout=60s", timeout=70)
        server.kubectl("apply", "-f", "-", stdin=APPLICATION)
        server.kubectl("rollout", "status", "daemonset/both", "--timeout=60s", timeout=70)
        yield made
        stop_all([made["a"], made["b"]])
        stop_all([server])


def test_services_and_pods_answer_by_ipv6_across_machines(cluster: Cluster) -> None:
    server = cluster["server"]
    nodes = json.loads(server.kubectl("get", "nodes", "-o", "json"))["items"]
    for node in nodes:
        assert [ipaddress.ip_network(each).version for each in node["spec"]["podCIDRs"]] == [4, 6]
    pods = json.loads(server.kubectl("get", "pods", "-l", "app=both", "-o", "json"))["items"]
    assert len(pods) == 2
    service = json.loads(server.kubectl("get", "service", "both", "-o", "json"))
    address = service["spec"]["clusterIPs"][1]
    names = {pod["metadata"]["name"] for pod in pods}
    inside = "curl -sS -6 --max-time 10"
    for pod in pods:
        name = pod["metadata"]["name"]

        def ask(url: str, name: str = name) -> str:
            return server.kubectl("exec", name, "--", *inside.split(), url).strip()

        for other in pods:
            ipv6 = other["status"]["podIPs"][1]["ip"]
            assert ask(f"http://[{ipv6}]:8080") == other["metadata"]["name"]
        assert {ask(f"http://[{address}]") for _ in range(20)} == names
        assert ask("http://both") in names
    for machine in (cluster["a"], cluster["b"]):
        done = machine.run("curl", "-sS", "--max-time", "10", f"http://[{address}]")
        assert done.stdout.strip() in names, done.stderr
