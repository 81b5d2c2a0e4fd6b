"""What is filled into objects and what is refused of them before they are validated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.apiserver import RunningApiServer, running_apiserver
from tests.support.kubectl import Kubectl

NAMESPACE = "/api/v1/namespaces/default"
MERGE = "application/merge-patch+json"
CONTAINER = {"name": "c", "image": "i"}
API_ACCESS = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture(scope="module")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApiServer]:
    arguments = ["--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"]
    tokens = [f'{node},system:node:{node},{node},"system:nodes"' for node in ("n1", "n2")]
    with running_apiserver(tmp_path_factory.mktemp("admission"), *arguments, tokens=tokens) as server:
        yield server


@pytest.fixture
def account(apiserver: RunningApiServer, namespace: str) -> str:
    """The namespace, with the account that its controller would make."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    assert apiserver.request("POST", path, {"metadata": {"name": "default"}})[0] == 201
    return namespace


def pod_of(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [CONTAINER], **spec}}


def created(server: RunningApiServer, namespace: str, body: Any, plural: str = "pods", **headers: str) -> Any:
    code, answer = server.request("POST", f"/api/v1/namespaces/{namespace}/{plural}", body, **headers)
    assert code == 201, answer
    return answer


def refused(answer: tuple[int, Any]) -> str:
    code, body = answer
    assert (code, body["reason"]) == (403, "Forbidden"), body
    message: str = body["message"]
    return message


def as_node(server: RunningApiServer, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    headers = {"Content-Type": MERGE} if method == "PATCH" else {}
    return server.request(method, path, body, Authorization="Bearer n1", **headers)


def test_pods_find_the_token_of_their_account(apiserver: RunningApiServer, account: str) -> None:
    pod = created(apiserver, account, pod_of("p", initContainers=[{"name": "i", "image": "i"}]))
    spec = pod["spec"]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    [volume] = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-")
    assert volume["projected"] == {
        "defaultMode": 420,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [
                        {
                            "path": "namespace",
                            "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                        }
                    ]
                }
            },
        ],
    }
    for container in (*spec["containers"], *spec["initContainers"]):
        assert container["volumeMounts"] == [
            {"name": volume["name"], "readOnly": True, "mountPath": API_ACCESS}
        ]


def test_pods_that_want_no_token(apiserver: RunningApiServer, account: str) -> None:
    pod = created(apiserver, account, pod_of("own", automountServiceAccountToken=False))
    assert "volumes" not in pod["spec"]
    quiet = {"metadata": {"name": "quiet"}, "automountServiceAccountToken": False}
    created(apiserver, account, {**quiet, "imagePullSecrets": [{"name": "registry"}]}, "serviceaccounts")
    pod = created(apiserver, account, pod_of("quiet", serviceAccountName="quiet"))
    assert "volumes" not in pod["spec"]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    mount = {"name": "mine", "mountPath": API_ACCESS}
    spec = {"containers": [{**CONTAINER, "volumeMounts": [mount]}], "volumes": [{"name": "mine"}]}
    pod = created(apiserver, account, {"metadata": {"name": "mounted"}, "spec": spec})
    assert [volume["name"] for volume in pod["spec"]["volumes"]] == ["mine"]


def test_accounts_that_there_are_not(apiserver: RunningApiServer, account: str) -> None:
    path = f"/api/v1/namespaces/{account}/pods"
    message = refused(apiserver.request("POST", path, pod_of("p", serviceAccountName="nobody")))
    assert message == (
        f'pods "p" is forbidden: error looking up service account {account}/nobody: '
        'serviceaccount "nobody" not found'
    )


def test_accounts_that_limit_their_pods_secrets(apiserver: RunningApiServer, account: str) -> None:
    strict = {
        "metadata": {"name": "strict", "annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}},
        "secrets": [{"name": "mine"}],
    }
    created(apiserver, account, strict, "serviceaccounts")
    path = f"/api/v1/namespaces/{account}/pods"

    def with_secret(name: str) -> dict[str, Any]:
        volume = {"name": "v", "secret": {"secretName": name}}
        return pod_of(name, serviceAccountName="strict", volumes=[volume])

    created(apiserver, account, with_secret("mine"))
    assert refused(apiserver.request("POST", path, with_secret("yours"))) == (
        'pods "yours" is forbidden: volume with secret.secretName="yours" is not allowed because service '
        "account strict does not reference that secret"
    )


def test_priorities(apiserver: RunningApiServer, account: str) -> None:
    path = f"/api/v1/namespaces/{account}/pods"
    pod = created(apiserver, account, pod_of("plain"))
    assert (pod["spec"]["priority"], pod["spec"]["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    pod = created(apiserver, account, pod_of("vital", priorityClassName="system-node-critical"))
    assert pod["spec"]["priority"] == 2_000_001_000
    message = refused(apiserver.request("POST", path, pod_of("p", priorityClassName="mine")))
    assert message == 'pods "p" is forbidden: no PriorityClass with name mine was found'
    assert "must not be provided" in refused(apiserver.request("POST", path, pod_of("p", priority=5)))


def test_tolerations(apiserver: RunningApiServer, account: str) -> None:
    own = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
    pod = created(apiserver, account, pod_of("p", tolerations=[own]))
    assert pod["spec"]["tolerations"] == [
        own,
        {**own, "key": "node.kubernetes.io/unreachable", "tolerationSeconds": 300},
    ]


def test_pods_have_the_zone_of_their_node(apiserver: RunningApiServer, account: str) -> None:
    zone, region = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"
    labels = {zone: "z1", region: "r1", "other": "label"}
    code, answer = apiserver.request(
        "POST", "/api/v1/nodes", {"metadata": {"name": "zoned", "labels": labels}}
    )
    assert code == 201, answer
    path = f"/api/v1/namespaces/{account}/pods"
    assigned = created(apiserver, account, pod_of("assigned", nodeName="zoned"))
    assert assigned["metadata"]["labels"] == {zone: "z1", region: "r1"}
    created(apiserver, account, pod_of("bound"))
    binding = {"metadata": {"name": "bound"}, "target": {"kind": "Node", "name": "zoned"}}
    code, answer = apiserver.request("POST", f"{path}/bound/binding", binding)
    assert code == 201, answer
    bound = apiserver.request("GET", f"{path}/bound")[1]
    assert (bound["spec"]["nodeName"], bound["metadata"]["labels"]) == ("zoned", {zone: "z1", region: "r1"})
    assert "labels" not in created(apiserver, account, pod_of("free"))["metadata"]
    nowhere = created(apiserver, account, pod_of("nowhere", nodeName="no-such-node"))
    assert "labels" not in nowhere["metadata"]


def test_an_ingress_without_a_class_gets_the_newest_default(
    apiserver: RunningApiServer, account: str
) -> None:
    networking = "/apis/networking.k8s.io/v1"

    def class_of(name: str, **more: Any) -> str | None:
        spec = {
            "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}},
            **more.pop("spec", {}),
        }
        body = {"metadata": {"name": name, **more}, "spec": spec}
        code, answer = apiserver.request("POST", f"{networking}/namespaces/{account}/ingresses", body)
        assert code == 201, answer
        found: str | None = answer["spec"].get("ingressClassName")
        return found

    def make_class(name: str, default: bool) -> str:
        mark = {"ingressclass.kubernetes.io/is-default-class": "true"} if default else {}
        body = {"metadata": {"name": name, "annotations": mark}, "spec": {"controller": "example.com/c"}}
        code, answer = apiserver.request("POST", f"{networking}/ingressclasses", body)
        assert code == 201, answer
        created_at: str = answer["metadata"]["creationTimestamp"]
        return created_at

    make_class("plain", default=False)
    assert class_of("a") is None
    first = make_class("b-default", default=True)
    assert class_of("b") == "b-default"
    assert class_of("c", spec={"ingressClassName": "plain"}) == "plain"
    assert class_of("d", annotations={"kubernetes.io/ingress.class": "old"}) is None
    second = make_class("a-default", default=True)
    assert first <= second
    assert class_of("e") == "a-default", "the newer one; of one second, the first by name"
    third = make_class("c-default", default=True)
    assert class_of("f") == ("c-default" if third > second else "a-default")


def test_namespaces_on_their_way_out_take_nothing_new(apiserver: RunningApiServer, account: str) -> None:
    pod = created(apiserver, account, pod_of("old"))
    assert apiserver.request("DELETE", f"/api/v1/namespaces/{account}")[0] == 200
    collection = f"/api/v1/namespaces/{account}/pods"
    for path, body in (
        (collection, pod_of("new")),
        (f"{collection}/old/eviction", {"apiVersion": "policy/v1", "kind": "Eviction"}),
        (f"/api/v1/namespaces/{account}/serviceaccounts/default/token", {"spec": {}}),
    ):
        code, answer = apiserver.request("POST", path, body)
        assert (code, answer["reason"]) == (403, "Forbidden"), answer
        assert answer["details"]["causes"] == [
            {
                "reason": "NamespaceTerminating",
                "message": f"namespace {account} is being terminated",
                "field": "metadata.namespace",
            }
        ]
    labels = {"metadata": {"labels": {"still": "changes"}}}
    assert apiserver.request("PATCH", f"{collection}/old", labels, Content_Type=MERGE)[0] == 200
    assert pod["metadata"]["name"] == "old"


def test_namespaces_that_stay(kubectl: Kubectl) -> None:
    for name in ("default", "kube-system", "kube-public"):
        complaint = kubectl.fails("delete", "namespace", name)
        assert f'namespaces "{name}" is forbidden: this namespace may not be deleted' in complaint


def test_a_node_keeps_to_itself(apiserver: RunningApiServer) -> None:
    assert as_node(apiserver, "POST", "/api/v1/nodes", {"metadata": {"name": "n1"}})[0] == 201
    other = {"metadata": {"name": "n2"}}
    assert refused(as_node(apiserver, "POST", "/api/v1/nodes", other)) == (
        'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"'
    )
    assert apiserver.request("POST", "/api/v1/nodes", other)[0] == 201

    def patched(patch: dict[str, Any], node: str = "n1") -> tuple[int, Any]:
        return as_node(apiserver, "PATCH", f"/api/v1/nodes/{node}", patch)

    assert "not allowed to modify node" in refused(patched({"metadata": {"labels": {"a": "b"}}}, "n2"))
    for label in ("zone", "kubernetes.io/arch", "x.node.kubernetes.io/rack", "kubelet.kubernetes.io/x"):
        assert patched({"metadata": {"labels": {label: "x"}}})[0] == 200
    for label in ("node-restriction.kubernetes.io/safe", "node-role.kubernetes.io/master", "k8s.io/a"):
        assert refused(patched({"metadata": {"labels": {label: "x"}}})) == (
            f'nodes "n1" is forbidden: is not allowed to modify labels: {label}'
        )
    taint = {"key": "k", "effect": "NoSchedule"}
    assert "is not allowed to modify taints" in refused(patched({"spec": {"taints": [taint]}}))
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n2", "uid": "u"}
    assert "modify ownerReferences" in refused(patched({"metadata": {"ownerReferences": [owner]}}))
    assert as_node(apiserver, "PATCH", "/api/v1/nodes/n1/status", {"status": {"phase": "Running"}})[0] == 200


def test_a_nodes_pods(apiserver: RunningApiServer, account: str) -> None:
    mine = created(apiserver, account, pod_of("mine", nodeName="n1"))
    created(apiserver, account, pod_of("theirs", nodeName="n2"))
    pods = f"/api/v1/namespaces/{account}/pods"
    status = {"status": {"phase": "Running"}}
    assert as_node(apiserver, "PATCH", f"{pods}/mine/status", status)[0] == 200
    assert "can only update pod status for pods with spec.nodeName set to itself" in refused(
        as_node(apiserver, "PATCH", f"{pods}/theirs/status", status)
    )
    labels = {"metadata": {"labels": {"a": "b"}}}
    assert "cannot update labels" in refused(as_node(apiserver, "PATCH", f"{pods}/mine/status", labels))
    assert as_node(apiserver, "PATCH", f"{pods}/mine", labels)[0] == 403
    assert "can only delete pods" in refused(as_node(apiserver, "DELETE", f"{pods}/theirs"))
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction"}
    assert "can only evict pods" in refused(as_node(apiserver, "POST", f"{pods}/theirs/eviction", eviction))
    assert as_node(apiserver, "POST", f"{pods}/mine/eviction", eviction)[0] == 201
    assert mine["spec"]["nodeName"] == "n1"


def test_a_nodes_mirror_pods(apiserver: RunningApiServer, account: str) -> None:
    assert apiserver.request("POST", "/api/v1/nodes", {"metadata": {"name": "n1"}})[0] in (201, 409)
    node = apiserver.request("GET", "/api/v1/nodes/n1")[1]
    owner = {
        "apiVersion": "v1",
        "kind": "Node",
        "name": "n1",
        "uid": node["metadata"]["uid"],
        "controller": True,
    }
    path = f"/api/v1/namespaces/{account}/pods"

    def mirror(name: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
        pod = pod_of(name, **{"nodeName": "n1", **spec})
        annotations = {"kubernetes.io/config.mirror": "x"}
        pod["metadata"] |= {"annotations": annotations, "ownerReferences": [owner], **metadata}
        return pod

    code, pod = as_node(apiserver, "POST", path, mirror("static", {}))
    assert code == 201, pod
    assert "serviceAccountName" not in pod["spec"]
    for why, body in {
        "can only create mirror pods": mirror("p", {}, annotations={}),
        "can only create pods with spec.nodeName set to itself": mirror("p", {"nodeName": "n2"}),
        "with an owner reference set to itself": mirror("p", {}, ownerReferences=[]),
        "with a controller owner reference": mirror(
            "p", {}, ownerReferences=[{**owner, "controller": False}]
        ),
        "UID mismatch": mirror("p", {}, ownerReferences=[{**owner, "uid": "another"}]),
        "reference secrets": mirror("p", {"imagePullSecrets": [{"name": "s"}]}),
        "may not reference service accounts": mirror("p", {"serviceAccountName": "default"}),
    }.items():
        assert why in refused(as_node(apiserver, "POST", path, body))


def test_tokens_for_a_nodes_pods(apiserver: RunningApiServer, account: str) -> None:
    pods = {}
    for name, node in (("mine", "n1"), ("theirs", "n2")):
        pods[name] = created(apiserver, account, pod_of(name, nodeName=node))["metadata"]["uid"]
    path = f"/api/v1/namespaces/{account}/serviceaccounts/default/token"

    def asked(pod: str, **spec: Any) -> tuple[int, Any]:
        bound = {"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": pods[pod]}
        return as_node(apiserver, "POST", path, {"spec": {"boundObjectRef": bound, **spec}})

    assert asked("mine")[0] == 201
    assert "scheduled on a different node" in refused(asked("theirs"))
    assert "not bound to a pod" in refused(as_node(apiserver, "POST", path, {"spec": {}}))
    assert refused(asked("mine", audiences=["vault"])).endswith(
        'audience "vault" not found in pod spec volume, system:node:n1 is not authorized to request tokens '
        "for this audience"
    )
    assert "may only request 0 or 1 audiences" in refused(asked("mine", audiences=["a", "b"]))
    source = {"serviceAccountToken": {"path": "token", "audience": "vault"}}
    volumes = [{"name": "vault", "projected": {"sources": [source]}}]
    pods["vault"] = created(apiserver, account, pod_of("vault", nodeName="n1", volumes=volumes))["metadata"][
        "uid"
    ]
    assert asked("vault", audiences=["vault"])[0] == 201


def test_a_nodes_lease(apiserver: RunningApiServer) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    assert as_node(apiserver, "POST", path, {"metadata": {"name": "n1"}, "spec": {}})[0] == 201
    assert refused(as_node(apiserver, "POST", path, {"metadata": {"name": "n2"}, "spec": {}})) == (
        'leases.coordination.k8s.io "n2" is forbidden: can only access node lease with the same name as the '
        "requesting node"
    )


def test_creating_by_update_needs_the_right_to_create(apiserver: RunningApiServer, namespace: str) -> None:
    rules = [{"verbs": ["update", "patch", "get"], "apiGroups": [""], "resources": ["services"]}]
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    assert apiserver.request("POST", f"{rbac}/roles", {"metadata": {"name": "r"}, "rules": rules})[0] == 201
    binding = {
        "metadata": {"name": "b"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "kim"}],
    }
    assert apiserver.request("POST", f"{rbac}/rolebindings", binding)[0] == 201
    path = f"/api/v1/namespaces/{namespace}/services/new"
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "new"},
        "spec": {"ports": [{"port": 80}]},
    }
    kim = {"Impersonate-User": "kim"}
    for method, where, kind in (
        ("PUT", path, "application/json"),
        ("PATCH", f"{path}?fieldManager=kim", "application/apply-patch+yaml"),
    ):
        message = refused(apiserver.request(method, where, service, Content_Type=kind, **kim))
        assert message == (
            f'services "new" is forbidden: User "kim" cannot create resource "services" in API group "" in '
            f'the namespace "{namespace}"'
        )
    assert apiserver.request("PUT", path, service)[0] == 201
