"""Roles, reviews and impersonation on a server with RBAC; disruption budgets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml

from tests.support.apiserver import RunningApiServer, running_apiserver
from tests.support.kubectl import Kubectl


@pytest.fixture(scope="module")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApiServer]:
    tokens = ['jane,jane,jane-uid,"devs"', "kim,kim,kim-uid"]
    directory = tmp_path_factory.mktemp("rbac")
    with running_apiserver(directory, "--authorization-mode=Node,RBAC", tokens=tokens) as server:
        yield server


def granted(server: RunningApiServer, name: str, rules: list[dict[str, Any]], user: str) -> None:
    """A ClusterRole of these rules, bound to the user."""
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    code, answer = server.request(
        "POST", f"{rbac}/clusterroles", {"metadata": {"name": name}, "rules": rules}
    )
    assert code == 201, answer
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}],
    }
    code, answer = server.request("POST", f"{rbac}/clusterrolebindings", binding)
    assert code == 201, answer


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
    assert 'pods is forbidden: User "jane" cannot impersonate-on:user-info:list resource "pods"' in refused
    who = kubectl("auth", "whoami", "--as=system:serviceaccount:default:default")
    assert "system:serviceaccounts:default" in who


def test_impersonation_in_every_way(apiserver: RunningApiServer) -> None:
    authentication, everything = ["authentication.k8s.io"], ["*"]
    rules = [
        {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["old"]},
        {
            "verbs": ["impersonate:user-info"],
            "apiGroups": authentication,
            "resources": ["users", "groups", "userextras/acme.io/x"],
            "resourceNames": ["new", "friends", "y"],
        },
        {
            "verbs": ["impersonate-on:user-info:create"],
            "apiGroups": authentication,
            "resources": ["selfsubjectreviews"],
        },
        {"verbs": ["impersonate:arbitrary-node"], "apiGroups": authentication, "resources": ["nodes"]},
        {
            "verbs": ["impersonate-on:arbitrary-node:create"],
            "apiGroups": everything,
            "resources": everything,
        },
    ]
    granted(apiserver, "impersonator", rules, "kim")
    as_kim = {"Authorization": "Bearer kim"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"

    def who(**headers: str) -> Any:
        code, answer = apiserver.request("POST", path, {}, **as_kim, **headers)
        return answer["status"]["userInfo"] if code == 201 else answer["message"]

    assert who(Impersonate_User="old") == {"username": "old", "groups": ["system:authenticated"]}
    found = who(
        **{"Impersonate_User": "new", "Impersonate_Group": "friends", "Impersonate_Extra_acme.io%2fx": "y"}
    )
    assert found == {
        "username": "new",
        "groups": ["friends", "system:authenticated"],
        "extra": {"acme.io/x": ["y"]},
    }
    node = who(Impersonate_User="system:node:n")
    assert node["groups"] == ["system:nodes", "system:authenticated"]
    assert "impersonating the system:masters group is not allowed" in who(
        Impersonate_User="new", Impersonate_Group="system:masters"
    )
    # The right to be somebody is not yet the right to do anything as such.
    code, answer = apiserver.request("GET", "/api/v1/namespaces", **as_kim, Impersonate_User="new")
    assert (code, answer["reason"]) == (403, "Forbidden")
    code, answer = apiserver.request("GET", "/api/v1/namespaces", Impersonate_Group="friends")
    assert (code, answer["message"]) == (
        400,
        'requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"friends"}, '
        "Extra:map[string][]string(nil)} without impersonating a user name",
    )


def test_nobody_grants_more_than_they_have(apiserver: RunningApiServer, namespace: str) -> None:
    writer = [
        {
            "verbs": ["create", "update", "patch", "get"],
            "apiGroups": ["rbac.authorization.k8s.io"],
            "resources": ["roles", "rolebindings"],
        },
        {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "configmaps"]},
    ]
    granted(apiserver, "writer", writer, "kim")
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"

    def role(name: str, *rules: dict[str, Any]) -> dict[str, Any]:
        return {"metadata": {"name": name}, "rules": list(rules)}

    def binding(name: str, role: str) -> dict[str, Any]:
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role}
        return {"metadata": {"name": name}, "roleRef": reference, "subjects": []}

    def as_kim(method: str, path: str, body: Any, kind: str = "application/json") -> tuple[int, Any]:
        return apiserver.request(method, rbac + path, body, Content_Type=kind, Authorization="Bearer kim")

    pods = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
    secrets = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["secrets", "pods"]}
    assert as_kim("POST", "/roles", role("less", pods))[0] == 201
    refusal = (
        ' is forbidden: user "kim" (groups=["system:authenticated"]) is attempting to grant RBAC '
        'permissions not currently held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}'
    )
    for method, path, body, kind in (
        ("POST", "/roles", role("more", secrets), "application/json"),
        ("PUT", "/roles/less", role("less", secrets), "application/json"),
        ("PATCH", "/roles/less", {"rules": [secrets]}, "application/merge-patch+json"),
        (
            "PATCH",
            "/roles/more?fieldManager=kim",
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", **role("more", secrets)},
            "application/apply-patch+yaml",
        ),
    ):
        code, answer = as_kim(method, path, body, kind)
        assert code == 403, answer
        assert answer["message"].endswith(refusal)
    assert apiserver.request("POST", f"{rbac}/roles", role("secrets", secrets))[0] == 201
    code, answer = as_kim("POST", "/rolebindings", binding("b", "secrets"))
    assert (code, answer["message"]) == (403, f'rolebindings.rbac.authorization.k8s.io "b"{refusal}')
    assert as_kim("POST", "/rolebindings", binding("b", "missing"))[0] == 404
    # Finalizers and owners are the garbage collector's business, which holds no secrets.
    finalizers = {"metadata": {"finalizers": ["example.com/x"]}}
    assert as_kim("PATCH", "/roles/secrets", finalizers, "application/merge-patch+json")[0] == 200
    exceptions = [
        {
            "verbs": ["bind", "escalate"],
            "apiGroups": ["rbac.authorization.k8s.io"],
            "resources": ["roles"],
            "resourceNames": ["secrets", "less"],
        }
    ]
    granted(apiserver, "exceptions", exceptions, "kim")
    assert as_kim("POST", "/rolebindings", binding("b", "secrets"))[0] == 201
    assert as_kim("PUT", "/roles/less", role("less", secrets))[0] == 200
    code, answer = apiserver.request("PUT", f"{rbac}/rolebindings/b", binding("b", "less"))
    assert (code, answer["details"]["causes"][0]["message"]) == (
        422,
        'Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"less"}: '
        "cannot change roleRef",
    )


def test_only_who_may_do_everything_aggregates(apiserver: RunningApiServer) -> None:
    writer = [
        {
            "verbs": ["create"],
            "apiGroups": ["rbac.authorization.k8s.io"],
            "resources": ["clusterroles"],
        }
    ]
    granted(apiserver, "aggregator", writer, "kim")
    selectors = [{"matchLabels": {"a": "b"}}]
    role = {
        "metadata": {"name": "gathers"},
        "rules": [],
        "aggregationRule": {"clusterRoleSelectors": selectors},
    }
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    code, answer = apiserver.request("POST", path, role, Authorization="Bearer kim")
    assert (code, answer["message"]) == (
        403,
        'clusterroles.rbac.authorization.k8s.io "gathers" is forbidden: must have cluster-admin privileges '
        "to use the aggregationRule",
    )
    assert apiserver.request("POST", path, role)[0] == 201


def test_kubectl_reconciles(kubectl: Kubectl, namespace: str) -> None:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "r", "namespace": namespace},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "b", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "bot", "namespace": namespace}],
    }
    both = yaml.safe_dump_all([role, binding])
    assert "role.rbac.authorization.k8s.io/r reconciled" in kubectl(
        "auth", "reconcile", "-f", "-", stdin=both
    )
    role["rules"][0]["verbs"] = ["list"]
    binding["roleRef"]["name"] = "other"
    kubectl("auth", "reconcile", "-f", "-", stdin=yaml.safe_dump_all([role, binding]))
    verbs = kubectl("get", "role", "r", "-o", "jsonpath={.rules[*].verbs[*]}").split()
    assert sorted(verbs) == ["get", "list"]
    assert kubectl("get", "rolebinding", "b", "-o", "jsonpath={.roleRef.name}") == "other"


def test_what_reviews_say_of_selectors(apiserver: RunningApiServer) -> None:
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

    def asked(**attributes: Any) -> tuple[int, Any]:
        spec = {"user": "system:node:n1", "groups": ["system:nodes"]}
        resource = {"verb": "list", "resource": "pods", **attributes}
        return apiserver.request("POST", path, {"spec": {**spec, "resourceAttributes": resource}})

    def requirement(key: str, operator: str, *values: str) -> dict[str, Any]:
        return {"requirements": [{"key": key, "operator": operator, "values": list(values)}]}

    assert not asked()[1]["status"]["allowed"]
    assert asked(fieldSelector={"rawSelector": "spec.nodeName=n1"})[1]["status"]["allowed"]
    assert asked(fieldSelector=requirement("spec.nodeName", "In", "n1"))[1]["status"]["allowed"]
    assert not asked(fieldSelector=requirement("spec.nodeName", "In", "n2"))[1]["status"]["allowed"]
    assert not asked(fieldSelector=requirement("spec.nodeName", "NotIn", "n1"))[1]["status"]["allowed"]
    status = asked(labelSelector={"rawSelector": "a in (b"})[1]["status"]
    assert status["evaluationError"] == "spec.resourceAttributes.labelSelector ignored due to parse error"
    code, answer = asked(fieldSelector={"rawSelector": "a=b", **requirement("a", "In")})
    assert (code, [cause["field"] for cause in answer["details"]["causes"]]) == (
        422,
        [
            "spec.resourceAttributes.fieldSelector.rawSelector",
            "spec.resourceAttributes.fieldSelector.requirements[0].values",
        ],
    )


def test_rules_as_far_as_they_are_known(apiserver: RunningApiServer) -> None:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "gone"}
    user = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "lee"}
    binding = {"metadata": {"name": "dangling"}, "roleRef": reference, "subjects": [user]}
    path = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings"
    assert apiserver.request("POST", path, binding)[0] == 201
    rules = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    code, review = apiserver.request(
        "POST", rules, {"spec": {"namespace": "default"}}, Impersonate_User="lee"
    )
    assert (code, review["status"]["evaluationError"]) == (
        201,
        'clusterrole.rbac.authorization.k8s.io "gone" not found',
    )
    code, answer = apiserver.request("GET", "/api/v1/namespaces/default/pods", Impersonate_User="lee")
    assert answer["message"].endswith('RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found')
    node = {"Impersonate-User": "system:node:n1", "Impersonate-Group": "system:nodes"}
    code, review = apiserver.request("POST", rules, {"spec": {"namespace": "default"}}, **node)
    assert review["status"]["incomplete"]


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
    spec: dict[str, Any] = {"user": "lou", "resourceAttributes": {"verb": "get", "resource": "pods"}}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    code, review = apiserver.request("POST", path, {"spec": spec})
    assert (code, review["status"]["allowed"]) == (201, False)
    spec["groups"] = ["system:masters"]
    assert apiserver.request("POST", path, {"spec": spec})[1]["status"]["allowed"]
    code, answer = apiserver.request("POST", path, {"spec": {"user": "lou"}})
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
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        view = f"{rbac}/clusterroles/view"
        assert server.request("DELETE", view)[0] == 200
        less = {"rules": [{"verbs": ["list"], "apiGroups": ["example.com"], "resources": ["widgets"]}]}
        merge = {"Content_Type": "application/merge-patch+json"}
        left_alone = {"metadata": {"annotations": {"rbac.authorization.kubernetes.io/autoupdate": "false"}}}
        before = {}
        for name in ("system:node-proxier", "system:kube-scheduler"):
            before[name] = server.request("GET", f"{rbac}/clusterroles/{name}")[1]["rules"]
            assert server.request("PATCH", f"{rbac}/clusterroles/{name}", less, **merge)[0] == 200
        assert (
            server.request("PATCH", f"{rbac}/clusterroles/system:kube-scheduler", left_alone, **merge)[0]
            == 200
        )
        binding = f"{rbac}/clusterrolebindings/system:node-proxier"
        assert server.request("PATCH", binding, {"subjects": None}, **merge)[0] == 200
        reader = f"{rbac}/namespaces/kube-system/roles/extension-apiserver-authentication-reader"
        assert server.request("DELETE", reader)[0] == 200
        server.kill()
        server.start()
        code, role = server.request("GET", view)
        assert (code, role["metadata"]["labels"]["kubernetes.io/bootstrapping"]) == (200, "rbac-defaults")
        rules = server.request("GET", f"{rbac}/clusterroles/system:node-proxier")[1]["rules"]
        assert rules[0] == less["rules"][0]  # what was added stays
        given = {
            (verb, group, resource)
            for rule in rules
            for verb in rule["verbs"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
        }
        assert {("list", "", "services"), ("watch", "discovery.k8s.io", "endpointslices")} <= given
        assert (
            server.request("GET", f"{rbac}/clusterroles/system:kube-scheduler")[1]["rules"] == less["rules"]
        )
        assert server.request("GET", binding)[1]["subjects"][0]["name"] == "system:kube-proxy"
        assert server.request("GET", reader)[0] == 200
        assert before["system:node-proxier"] != rules
    finally:
        server.stop()


def test_the_python_client_asks_about_permissions(
    client: kubernetes.client.ApiClient, apiserver: RunningApiServer, namespace: str
) -> None:
    core, rbac = kubernetes.client.CoreV1Api(client), kubernetes.client.RbacAuthorizationV1Api(client)
    models = kubernetes.client
    account = models.V1ServiceAccount(metadata=models.V1ObjectMeta(name="robot"))
    core.create_namespaced_service_account(namespace, account)
    request = models.AuthenticationV1TokenRequest(
        spec=models.V1TokenRequestSpec(audiences=[], expiration_seconds=600)
    )
    token = core.create_namespaced_service_account_token("robot", namespace, request).status.token
    rule = models.V1PolicyRule(verbs=["list"], api_groups=[""], resources=["pods"])
    role = models.V1Role(metadata=models.V1ObjectMeta(name="lister"), rules=[rule])
    rbac.create_namespaced_role(namespace, role)
    binding = models.V1RoleBinding(
        metadata=models.V1ObjectMeta(name="listers"),
        role_ref=models.V1RoleRef(api_group="rbac.authorization.k8s.io", kind="Role", name="lister"),
        subjects=[models.RbacV1Subject(kind="ServiceAccount", name="robot", namespace=namespace)],
    )
    rbac.create_namespaced_role_binding(namespace, binding)
    configuration = models.Configuration(host=apiserver.url, api_key={"authorization": f"Bearer {token}"})
    configuration.ssl_ca_cert = str(apiserver.ca_file)
    with models.ApiClient(configuration) as robot:
        assert models.CoreV1Api(robot).list_namespaced_pod(namespace).items == []
        with pytest.raises(kubernetes.client.ApiException) as refused:
            models.CoreV1Api(robot).list_namespaced_secret(namespace)
        assert refused.value.status == 403
        ask = models.AuthorizationV1Api(robot)
        rules = ask.create_self_subject_rules_review(
            models.V1SelfSubjectRulesReview(spec=models.V1SelfSubjectRulesReviewSpec(namespace=namespace))
        )
        assert any(rule.resources == ["pods"] for rule in rules.status.resource_rules)
        attributes = models.V1ResourceAttributes(verb="list", resource="pods", namespace=namespace)
        answer = ask.create_self_subject_access_review(
            models.V1SelfSubjectAccessReview(
                spec=models.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
            )
        )
        assert answer.status.allowed
        who = models.AuthenticationV1Api(robot).create_self_subject_review(models.V1SelfSubjectReview())
        assert who.status.user_info.username == f"system:serviceaccount:{namespace}:robot"
    spec = models.V1SubjectAccessReviewSpec(user="robin", resource_attributes=attributes)
    local = models.AuthorizationV1Api(client).create_namespaced_local_subject_access_review(
        namespace, models.V1LocalSubjectAccessReview(spec=spec)
    )
    assert not local.status.allowed
    token_review = models.AuthenticationV1Api(client).create_token_review(
        models.V1TokenReview(spec=models.V1TokenReviewSpec(token=token))
    )
    assert token_review.status.authenticated
