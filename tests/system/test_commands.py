"""The commands for someone without kubectl, held against kubectl where there is one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cluster import EXAMPLE, TestCluster
from tests.support.tables import ageless

BAD_PORT = """
apiVersion: v1
kind: Service
metadata: {name: bad}
spec:
  ports: [{port: 0}]
"""


def test_apply_creates_changes_and_leaves_alone(cluster: TestCluster, tmp_path: Path) -> None:
    manifest = tmp_path / "m.yaml"
    manifest.write_text(EXAMPLE.read_text())
    assert cluster("apply", "-f", str(manifest)) == (
        "service/my-service created\ndeployment.apps/my-app created\n"
    )
    assert cluster("apply", "-f", str(manifest)) == (
        "service/my-service unchanged\ndeployment.apps/my-app unchanged\n"
    )
    assert "unchanged" in cluster.kubectl("apply", "-f", str(manifest))
    manifest.write_text(EXAMPLE.read_text().replace("replicas: 3", "replicas: 2"))
    assert "deployment.apps/my-app configured" in cluster("apply", "-f", str(manifest))
    assert cluster.get("deployment", "my-app")["spec"]["replicas"] == 2
    assert "deployment.apps/my-app unchanged" in cluster.kubectl("apply", "-f", str(manifest))


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", "svc"],
        ["get", "services", "kubernetes"],
        ["get", "deploy,svc", "-A"],
        ["get", "ns"],
        ["get", "svc/my-service", "deploy/my-app"],
        ["get", "nodes", "-o", "name"],
        ["get", "endpointslices", "-o", "wide"],
        ["get", "deploy", "--show-labels"],
        ["get", "svc", "-l", "component=apiserver", "--no-headers"],
        ["get", "configmaps", "-n", "nowhere"],
    ],
)
def test_get_prints_what_kubectl_prints(cluster: TestCluster, arguments: list[str]) -> None:
    ours, theirs = cluster.run(*arguments), cluster.kubectl.run(*arguments)
    assert (ours.returncode, ours.stderr) == (theirs.returncode, theirs.stderr)
    assert ageless(ours.stdout) == ageless(theirs.stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", "pods", "nope"],
        ["get", "widgets"],
        ["delete", "svc", "nope"],
        ["exec", "nope", "--", "true"],
    ],
)
def test_errors_are_kubectl_s(cluster: TestCluster, arguments: list[str]) -> None:
    theirs = cluster.kubectl.fails(*arguments).replace("error: error:", "error:")
    assert cluster.fails(*arguments) == theirs


def test_bad_manifests_are_refused_in_kubernetes_words(cluster: TestCluster) -> None:
    complaint = cluster.fails("apply", "-f", "-", stdin=BAD_PORT)
    assert complaint == cluster.kubectl.fails("apply", "-f", "-", stdin=BAD_PORT)
    assert 'The Service "bad" is invalid: ' in complaint
    assert "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive" in complaint
    assert 'no matches for kind "Widget"' in cluster.fails(
        "apply", "-f", "-", stdin="apiVersion: v1\nkind: Widget\nmetadata: {name: w}\n"
    )
    assert "error converting YAML to JSON" in cluster.fails("apply", "-f", "-", stdin="a: b: c")


def test_json_and_yaml(cluster: TestCluster) -> None:
    ours = json.loads(cluster("get", "svc", "kubernetes", "-o", "json"))
    assert ours == cluster.get("svc", "kubernetes")
    assert "clusterIP: 10.97.0.1\n" in cluster("get", "svc", "kubernetes", "-o", "yaml")


def test_exec_passes_input_output_and_the_exit_code(cluster: TestCluster) -> None:
    cluster.apply_example()
    assert cluster("exec", "-i", "deploy/my-app", "--", "tr", "a-z", "A-Z", stdin="hello") == "HELLO"
    done = cluster.run("exec", "deploy/my-app", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert done.stderr == "err\ncommand terminated with exit code 7\n"
    big = cluster("exec", "deploy/my-app", "--", "head", "-c", "3000000", "/dev/zero")
    assert len(big) == 3000000


def test_delete_waits_until_they_are_gone(cluster: TestCluster) -> None:
    cluster.apply_example()
    (pod, *_rest) = cluster.pods()
    name = pod["metadata"]["name"]
    assert cluster("delete", "pod", name) == f'pod "{name}" deleted from default namespace\n'
    assert "not found" in cluster.kubectl.fails("get", "pod", name)
    deleted = cluster("delete", "-f", str(EXAMPLE))
    assert 'service "my-service" deleted from default namespace' in deleted
    assert "not found" in cluster.fails("get", "svc", "my-service")
    assert cluster("delete", "svc", "my-service", "--ignore-not-found") == ""


def test_a_refused_exec_says_why(cluster: TestCluster) -> None:
    cluster.kubectl("run", "ended", "--image=clusterip.local/host", "--restart=Never", "--", "true")
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/ended", "--timeout=30s")
    complaint = cluster.fails("exec", "ended", "--", "true")
    assert "ended" in complaint
    assert "Invalid response status" not in complaint
