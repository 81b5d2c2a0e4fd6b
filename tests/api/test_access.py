"""Roles, reviews and impersonation on a server with RBAC; disruption budgets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.apiserver import RunningApiServer
from tests.support.kubectl import Kubectl


@pytest.fixture(scope="module")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApiServer]:
    server = RunningApiServer(tmp_path_factory.mktemp("rbac"), ["--authorization-mode=Node,RBAC"])
    with server.token_file.open("a") as tokens:
        tokens.write('jane,jane,jane-uid,"devs"\n')
    server.start()
    yield server
    server.stop()


def test_a_binding_lets_in(kubectl: Kubectl, namespace: str) -> None:
    refused = kubectl.fails("get", "pods", "--token=jane")
    assert (
        'pods is forbidden: User "jane" cannot list resource "pods" in API group "" '
        f'in the namespace "{namespace}"'
    ) in refused
    kubectl("create", "role", "reader", "--verb=get,list,watch", "--resource=pods")
    kubectl("create", "rolebinding", "readers", "--role=reader", "--group=devs")
    assert kubectl("auth", "can-i", "list", "pods", "--token=jane") == "yes\n"
    assert "No resources found" in kubectl.run("get", "pods", "--token=jane").stderr
    assert kubectl.run("auth", "can-i", "delete", "pods", "--token=jane").stdout == "no\n"
    listed = kubectl("auth", "can-i", "--list", "--token=jane")
    assert re.search(r"^pods +\[\] +\[\] +\[get list watch\]$", listed, re.MULTILINE)
    row = kubectl("get", "rolebindings", "-o", "wide").splitlines()[1].split()
    assert row[:2] == ["readers", "Role/reader"]
    assert row[3] == "devs"


def test_impersonation(kubectl: Kubectl) -> None:
    assert kubectl.run("auth", "can-i", "create", "services", "--as=john").stdout == "no\n"
    kubectl("create", "rolebinding", "editors", "--clusterrole=edit", "--user=john")
    assert kubectl("auth", "can-i", "create", "services", "--as=john") == "yes\n"
    refused = kubectl.fails("get", "pods", "--as=john", "--token=jane")
    assert (
        'users "john" is forbidden: User "jane" cannot impersonate resource "users" in API group "" '
        "at the cluster scope"
    ) in refused
    who = kubectl("auth", "whoami", "--as=system:serviceaccount:default:default")
    assert "system:serviceaccounts:default" in who


def test_reviews(apiserver: RunningApiServer, namespace: str) -> None:
    code, review = apiserver.request(
        "POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "jane"}}
    )
    assert (code, review["status"]["user"]["username"]) == (201, "jane")
    assert review["status"]["authenticated"]
    code, review = apiserver.request(
        "POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "nobody's"}}
    )
    assert (code, review["status"]["error"]) == (201, "invalid bearer token")
    spec: dict[str, Any] = {"user": "kim", "resourceAttributes": {"verb": "get", "resource": "pods"}}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    code, review = apiserver.request("POST", path, {"spec": spec})
    assert (code, review["status"]["allowed"]) == (201, False)
    spec["groups"] = ["system:masters"]
    assert apiserver.request("POST", path, {"spec": spec})[1]["status"]["allowed"]
    code, answer = apiserver.request("POST", path, {"spec": {"user": "kim"}})
    assert (code, answer["reason"]) == (422, "Invalid")
    local = f"/apis/authorization.k8s.io/v1/namespaces/{namespace}/localsubjectaccessreviews"
    code, answer = apiserver.request("POST", local, {"spec": spec})
    assert (code, answer["details"]["causes"][0]["field"]) == (422, "spec.resourceAttributes.namespace")
    assert apiserver.request("GET", path)[0] == 405


def test_new_kinds_with_kubectl(kubectl: Kubectl) -> None:
    kubectl("create", "ingress", "web", "--class=nginx", "--rule=foo.com/bar=svc:8080,tls=x")
    row = kubectl("get", "ing").splitlines()[1].split()
    assert row[:5] == ["web", "nginx", "foo.com", "80,", "443"]
    kubectl("create", "clusterrole", "scaler", "--verb=update", "--resource=deployments/scale")
    kubectl("create", "pdb", "web", "--selector=app=web", "--max-unavailable=50%")
    assert kubectl("get", "pdb").splitlines()[1].split()[:4] == ["web", "N/A", "50%", "0"]
    assert "updateStrategy" in kubectl("explain", "statefulset.spec")
    names = kubectl("api-resources", "--no-headers", "-o", "name").split()
    assert {"ingresses.networking.k8s.io", "tokenreviews.authentication.k8s.io", "bindings"} <= set(names)


def test_bindings_as_a_resource(apiserver: RunningApiServer, namespace: str) -> None:
    collection = f"/api/v1/namespaces/{namespace}"
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    assert apiserver.request("POST", f"{collection}/pods", pod)[0] == 201
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
    assert apiserver.request("POST", f"{collection}/bindings", binding)[0] == 201
    assert apiserver.request("GET", f"{collection}/pods/p")[1]["spec"]["nodeName"] == "n1"
    assert apiserver.request("POST", f"{collection}/bindings", binding)[0] == 409


def test_evictions_respect_the_budget(apiserver: RunningApiServer, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    budget = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    pod = {
        "metadata": {"name": "p", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    assert apiserver.request("POST", pods, pod)[0] == 201
    running = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    merge = "application/merge-patch+json"
    assert apiserver.request("PATCH", f"{pods}/p/status", running, Content_Type=merge)[0] == 200
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    assert apiserver.request("POST", budget, {"metadata": {"name": "b"}, "spec": spec})[0] == 201
    code, answer = apiserver.request("POST", f"{pods}/p/eviction", eviction)
    assert (code, answer["reason"]) == (429, "TooManyRequests")
    assert answer["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    assert answer["details"]["causes"][0]["reason"] == "DisruptionBudget"
    state = {"status": {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2}}
    assert apiserver.request("PATCH", f"{budget}/b/status", state, Content_Type=merge)[0] == 200
    assert apiserver.request("POST", f"{pods}/p/eviction", eviction)[0] == 201
    code, left = apiserver.request("GET", f"{budget}/b")
    assert left["status"]["disruptionsAllowed"] == 0
    assert list(left["status"]["disruptedPods"]) == ["p"]


def test_default_roles_come_back_after_a_restart(tmp_path: Path) -> None:
    server = RunningApiServer(tmp_path, ["--authorization-mode=RBAC"])
    server.start()
    try:
        view = "/apis/rbac.authorization.k8s.io/v1/clusterroles/view"
        assert server.request("DELETE", view)[0] == 200
        server.kill()
        server.start()
        code, role = server.request("GET", view)
        assert (code, role["metadata"]["labels"]["kubernetes.io/bootstrapping"]) == (200, "rbac-defaults")
    finally:
        server.stop()
