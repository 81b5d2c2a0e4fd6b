"""Each kind with kubectl: made by every generator, listed, described, deleted."""

from __future__ import annotations

import re

import pytest

from tests.support.kubectl import OLD, Kubectl

POD_TEMPLATE = "{metadata: {labels: {a: b}}, spec: {containers: [{name: main, image: i}]}}"
WORKLOAD = f"{{selector: {{matchLabels: {{a: b}}}}, template: {POD_TEMPLATE}}}"
ONE_OF_EACH = [
    ("v1", "ConfigMap", "data: {a: b}"),
    ("v1", "Secret", "stringData: {a: b}"),
    ("v1", "ServiceAccount", ""),
    ("v1", "Endpoints", "subsets: [{addresses: [{ip: 192.0.2.1}], ports: [{port: 80}]}]"),
    ("v1", "Service", "spec: {selector: {a: b}, ports: [{port: 80}]}"),
    ("v1", "Pod", "spec: {containers: [{name: main, image: i}]}"),
    ("v1", "ReplicationController", f"spec: {{selector: {{a: b}}, template: {POD_TEMPLATE}}}"),
    ("apps/v1", "Deployment", f"spec: {WORKLOAD}"),
    ("apps/v1", "ReplicaSet", f"spec: {WORKLOAD}"),
    ("apps/v1", "DaemonSet", f"spec: {WORKLOAD}"),
    ("apps/v1", "StatefulSet", f"spec: {WORKLOAD}"),
    ("apps/v1", "ControllerRevision", "revision: 1\ndata: {a: b}"),
    ("coordination.k8s.io/v1", "Lease", "spec: {holderIdentity: me}"),
    ("discovery.k8s.io/v1", "EndpointSlice", "addressType: IPv4\nendpoints: [{addresses: [192.0.2.1]}]"),
    ("networking.k8s.io/v1", "Ingress", "spec: {defaultBackend: {service: {name: s, port: {number: 80}}}}"),
    ("networking.k8s.io/v1", "NetworkPolicy", "spec: {podSelector: {}}"),
    ("policy/v1", "PodDisruptionBudget", "spec: {minAvailable: 1, selector: {matchLabels: {a: b}}}"),
    ("rbac.authorization.k8s.io/v1", "Role", "rules: [{verbs: [get], apiGroups: [''], resources: [pods]}]"),
    (
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}",
    ),
]
NOT_IN_OLD = ("EndpointSlice", "PodDisruptionBudget", "Ingress")
"""Kinds that kubectl 1.20 looks for in beta versions, which have gone."""


@pytest.fixture
def kubectl(any_kubectl: Kubectl) -> Kubectl:
    return any_kubectl


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ("namespace x-of-{version}", "namespace/x-of-{version}"),
        ("configmap x --from-literal=a=b", "configmap/x"),
        ("secret generic x --from-literal=a=b", "secret/x"),
        ("secret docker-registry x --docker-server=a --docker-username=b --docker-password=c", "secret/x"),
        ("serviceaccount x", "serviceaccount/x"),
        ("deployment x --image=a --replicas=2 --port=80", "deployment.apps/x"),
        ("service clusterip x --tcp=80:8080", "service/x"),
        ("service clusterip x --clusterip=None", "service/x"),
        ("service nodeport x --tcp=80:8080", "service/x"),
        ("service loadbalancer x --tcp=80:8080", "service/x"),
        ("service externalname x --external-name=example.com", "service/x"),
        ("role x --verb=get --resource=pods", "role.rbac.authorization.k8s.io/x"),
        ("rolebinding x --role=r --user=u", "rolebinding.rbac.authorization.k8s.io/x"),
        (
            "clusterrole x-of-{version} --verb=get --resource=nodes",
            "clusterrole.rbac.authorization.k8s.io/x-of-{version}",
        ),
        (
            "clusterrolebinding x-of-{version} --clusterrole=view --user=u",
            "clusterrolebinding.rbac.authorization.k8s.io/x-of-{version}",
        ),
        ("ingress x --rule=example.com/path=svc:80", "ingress.networking.k8s.io/x"),
        ("poddisruptionbudget x --selector=app=a --min-available=1", "poddisruptionbudget.policy/x"),
    ],
    ids=lambda value: "-".join(re.findall("[a-z]+", value)[:2]),
)
def test_every_generator(kubectl: Kubectl, arguments: str, names: str) -> None:
    version = kubectl.version.replace(".", "-")
    if kubectl.version == OLD and arguments.startswith("poddisruptionbudget"):
        pytest.skip("this version writes policy/v1beta1, which has gone from Kubernetes")
    printed = kubectl("create", *arguments.format(version=version).split())
    assert printed == f"{names.format(version=version)} created\n"


@pytest.mark.parametrize(("version", "kind", "content"), ONE_OF_EACH, ids=[each[1] for each in ONE_OF_EACH])
def test_each_kind(kubectl: Kubectl, version: str, kind: str, content: str) -> None:
    text = f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x, labels: {{mine: yes1}}}}\n{content}\n"
    kubectl("create", "-f", "-", stdin=text)
    header, row = kubectl("get", kind.lower(), "-l", "mine").splitlines()
    assert header.split()[0] == "NAME"
    assert row.split()[0] == "x"
    if not (kubectl.version == OLD and kind in NOT_IN_OLD):
        described = kubectl("describe", kind.lower(), "x")
        assert re.search(r"^Name: +x$", described, re.MULTILINE)
    assert "deleted" in kubectl("delete", kind.lower(), "x", "--wait=false")


@pytest.mark.parametrize("kind", ["ns", "clusterrole", "clusterrolebinding", "ingressclass", "servicecidr"])
def test_outside_namespaces(kubectl: Kubectl, kind: str) -> None:
    if kind == "ingressclass":
        text = "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: x}\n"
        text += "spec: {controller: example.com/c}\n"
        kubectl("apply", "-f", "-", stdin=text)
    name = kubectl("get", kind, "-o", "name").split()[0].partition("/")[2]
    assert re.search(rf"^Name: +{re.escape(name)}$", kubectl("describe", kind, name), re.MULTILINE)
