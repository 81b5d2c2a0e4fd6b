"""Every part of a cluster has just the rights that it needs, and every Pod an identity of its own."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.support.cluster import TestCluster
from tests.support.kubectl import Kubectl

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"


def as_user(cluster: TestCluster, user: str) -> Kubectl:
    """kubectl with the credentials of a part."""
    return Kubectl(cluster.paths.kubeconfig(user), cluster.directory.parent)


def call(cluster: TestCluster, pod: str, path: str, *, token: str = f"$(cat {TOKEN}/token)") -> Any:
    """What the API server answers to a Pod that presents its token."""
    script = (
        f'curl -s --cacert {TOKEN}/ca.crt -H "Authorization: Bearer {token}" '
        f"https://kubernetes.default.svc{path}"
    )
    return json.loads(cluster.kubectl("exec", pod, "--", "sh", "-c", script))


@pytest.fixture(scope="module")
def pod(cluster: TestCluster, address: str) -> str:
    name: str = cluster.pods()[0]["metadata"]["name"]
    return name


def test_a_pod_is_its_account(cluster: TestCluster, pod: str) -> None:
    namespace = cluster.kubectl("exec", pod, "--", "cat", f"{TOKEN}/namespace")
    assert namespace == "default"
    refused = call(cluster, pod, "/api/v1/namespaces/default/pods")
    assert (refused["code"], refused["message"]) == (
        403,
        'pods is forbidden: User "system:serviceaccount:default:default" cannot list resource "pods" in API '
        'group "" in the namespace "default"',
    )
    cluster.kubectl(
        "create", "rolebinding", "viewers", "--clusterrole=view", "--serviceaccount=default:default"
    )
    listed = call(cluster, pod, "/api/v1/namespaces/default/pods")
    assert pod in [each["metadata"]["name"] for each in listed["items"]]
    configuration = call(cluster, pod, "/.well-known/openid-configuration")
    assert configuration["issuer"] == "https://kubernetes.default.svc.cluster.local"
    cluster.kubectl("delete", "rolebinding", "viewers")


def test_a_token_ends_with_its_pod(cluster: TestCluster, address: str) -> None:
    leaving, staying = (each["metadata"]["name"] for each in cluster.pods()[:2])
    token = cluster.kubectl("exec", leaving, "--", "cat", f"{TOKEN}/token")
    assert call(cluster, staying, "/version", token=token)["major"] == "1"
    cluster.kubectl("delete", "pod", leaving, "--wait=true")
    assert call(cluster, staying, "/version", token=token)["code"] == 401


def test_what_the_parts_may_do(cluster: TestCluster, address: str) -> None:
    nodes = {each["metadata"]["name"]: each["spec"].get("nodeName") for each in cluster.pods()}
    mine = next(name for name, node in nodes.items() if node == "node-1")
    theirs = next(name for name, node in nodes.items() if node != "node-1")
    allowed = {
        "node-1": [("get", f"pod/{mine}"), ("get", "node/node-1"), ("get", "configmap/kube-root-ca.crt")],
        "proxy": [("list", "services"), ("watch", "endpointslices.discovery.k8s.io"), ("get", "nodes")],
        "dns": [("list", "services"), ("watch", "namespaces")],
        "controllers": [("create", "pods"), ("update", "nodes"), ("create", "secrets")],
        "network": [("list", "nodes")],
        "admin": [("*", "*")],
    }
    refused = {
        "node-1": [("get", f"pod/{theirs}"), ("list", "nodes"), ("list", "secrets"), ("create", "services")],
        "proxy": [("list", "secrets"), ("create", "pods"), ("update", "services")],
        "dns": [("list", "secrets"), ("delete", "services")],
        "controllers": [("create", "clusterroles.rbac.authorization.k8s.io"), ("create", "nodes")],
        "network": [("list", "pods"), ("update", "nodes")],
    }
    for expected, cases in (("yes", allowed), ("no", refused)):
        for user, rights in cases.items():
            kubectl = as_user(cluster, user)
            for verb, what in rights:
                done = kubectl.run("auth", "can-i", verb, what)
                assert done.stdout.split()[0] == expected, f"{user}: {verb} {what}: {done.stderr}"


def test_a_node_cannot_touch_another(cluster: TestCluster, address: str) -> None:
    node = as_user(cluster, "node-1")
    refusal = node.fails("label", "node", "node-2", "a=b")
    assert "cannot read 'node-2', only its own Node object" in refusal
    refusal = node.fails("patch", "node", "node-2", "--type=merge", '-p={"metadata":{"labels":{"a":"b"}}}')
    assert "cannot" in refusal or "not allowed to modify" in refusal
    refusal = node.fails("label", "node", "node-1", "node-role.kubernetes.io/control-plane=")
    assert "is not allowed to modify labels: node-role.kubernetes.io/control-plane" in refusal


def test_nobody_was_refused_what_it_needs(cluster: TestCluster, address: str) -> None:
    """After a round of everything: Pods made, Services changed, Pods deleted, a namespace gone."""
    cluster.kubectl("create", "namespace", "rights")
    cluster.kubectl("run", "p", "-n", "rights", "--image=clusterip.local/echo", "--restart=Never")
    cluster.kubectl("wait", "-n", "rights", "--for=condition=Ready", "pod/p", "--timeout=30s")
    cluster.kubectl("expose", "pod", "p", "-n", "rights", "--port=80", "--target-port=8080")
    cluster.kubectl("scale", "deployment/my-app", "--replicas=1")
    cluster.kubectl("scale", "deployment/my-app", "--replicas=3")
    cluster.kubectl("rollout", "status", "deployment/my-app", "--timeout=60s", timeout=70)
    cluster.kubectl("delete", "namespace", "rights", "--timeout=60s", timeout=70)
    secret = {"kubernetes.io/service-account.name": "default"}
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "old-token", "annotations": secret},
        "type": "kubernetes.io/service-account-token",
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    deadline = time.monotonic() + 20
    while "token" not in cluster.get("secret", "old-token").get("data", {}):
        assert time.monotonic() < deadline, cluster.logs()
        time.sleep(0.05)
    refusals = [
        f"{path.name}: {line}"
        for path in cluster.paths.logs.glob("*.log")
        for line in path.read_text(errors="replace").splitlines()
        if "forbidden" in line.lower()
    ]
    assert refusals == []
