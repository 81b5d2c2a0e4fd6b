"""What a person does with kubectl."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.kubectl import Kubectl

SERVICE = """
apiVersion: v1
kind: Service
metadata:
  name: my-service
spec:
  selector:
    app: my-app
  ports:
    - protocol: TCP
      port: 80
      targetPort: 8080
"""

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: my-app
spec:
  replicas: 3
  selector:
    matchLabels: {app: my-app}
  template:
    metadata:
      labels: {app: my-app}
    spec:
      containers:
        - name: app
          image: clusterip.local/echo
"""


def test_apply_is_repeatable(kubectl: Kubectl) -> None:
    assert kubectl("apply", "-f", "-", stdin=SERVICE) == "service/my-service created\n"
    assert kubectl("apply", "-f", "-", stdin=SERVICE) == "service/my-service unchanged\n"
    changed = SERVICE.replace("port: 80\n", "port: 81\n")
    assert kubectl("apply", "-f", "-", stdin=changed) == "service/my-service configured\n"
    assert kubectl("get", "svc", "my-service", "-o", "jsonpath={.spec.ports[*].port}") == "81"


def test_get_prints_the_servers_table(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=SERVICE)
    header, row = kubectl("get", "svc").splitlines()
    assert header.split() == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert re.fullmatch(r"my-service +ClusterIP +10\.96\.\d+\.\d+ +<none> +80/TCP +\d+s", row)


def test_describe_shows_the_service(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=SERVICE)
    described = kubectl("describe", "svc", "my-service")
    assert re.search(r"^Selector: +app=my-app$", described, re.MULTILINE)
    assert re.search(r"^IP: +10\.96\.", described, re.MULTILINE)
    assert re.search(r"^TargetPort: +8080/TCP$", described, re.MULTILINE)


def test_delete(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=SERVICE)
    assert "deleted" in kubectl("delete", "-f", "-", stdin=SERVICE)
    assert "not found" in kubectl.fails("get", "svc", "my-service")


def test_scale_changes_spec_and_generation(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    assert kubectl("scale", "deploy/my-app", "--replicas=5") == "deployment.apps/my-app scaled\n"
    assert (
        kubectl("get", "deploy", "my-app", "-o", "jsonpath={.spec.replicas} {.metadata.generation}") == "5 2"
    )


def test_patches_of_all_kinds(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    strategic = (
        '{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"A","value":"1"}]}]}}}}'
    )
    kubectl("patch", "deploy", "my-app", "-p", strategic)
    kubectl("patch", "deploy", "my-app", "--type=merge", "-p", '{"spec":{"paused":true}}')
    kubectl(
        "patch",
        "deploy",
        "my-app",
        "--type=json",
        "-p",
        '[{"op":"replace","path":"/spec/replicas","value":4}]',
    )
    spec = json.loads(kubectl("get", "deploy", "my-app", "-o", "json"))["spec"]
    assert (spec["paused"], spec["replicas"]) == (True, 4)
    container = spec["template"]["spec"]["containers"][0]
    assert (container["image"], container["env"]) == ("clusterip.local/echo", [{"name": "A", "value": "1"}])


def test_label_annotate_and_select(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=SERVICE)
    kubectl("label", "svc", "my-service", "tier=front")
    kubectl("annotate", "svc", "my-service", "note=x")
    assert kubectl("get", "svc", "-l", "tier in (front,back)", "-o", "name") == "service/my-service\n"
    assert kubectl("get", "svc", "-l", "tier!=front", "-o", "name") == ""
    assert kubectl("get", "svc", "--field-selector", "metadata.name=other", "-o", "name") == ""


def test_rollout_restart_and_set_image(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    assert kubectl("rollout", "restart", "deploy/my-app") == "deployment.apps/my-app restarted\n"
    kubectl("set", "image", "deploy/my-app", "app=other")
    path = "jsonpath={.spec.template.spec.containers[0].image} {.metadata.generation}"
    assert kubectl("get", "deploy", "my-app", "-o", path) == "other 3"


def test_wait_sees_a_change(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=SERVICE)
    kubectl("wait", "svc/my-service", "--for=jsonpath={.spec.type}=ClusterIP", "--timeout=10s")
    kubectl("delete", "svc", "my-service", "--wait=false")
    kubectl("wait", "svc/my-service", "--for=delete", "--timeout=10s")


@pytest.mark.parametrize(
    "arguments",
    [
        ("configmap", "x", "--from-literal=a=b"),
        ("secret", "generic", "x", "--from-literal=a=b"),
        ("serviceaccount", "x"),
        ("deployment", "x", "--image=a", "--replicas=2", "--port=80"),
        ("service", "clusterip", "x", "--tcp=80:8080"),
        ("service", "nodeport", "x", "--tcp=80:8080"),
        ("service", "loadbalancer", "x", "--tcp=80:8080"),
        ("service", "externalname", "x", "--external-name=example.com"),
    ],
    ids=lambda arguments: "-".join(arguments[:2]),
)
def test_create_in_protobuf(kubectl: Kubectl, arguments: tuple[str, ...]) -> None:
    assert "x created" in kubectl("create", *arguments)


def test_create_token_is_accepted(kubectl: Kubectl) -> None:
    kubectl("create", "sa", "robot")
    token = kubectl("create", "token", "robot").strip()
    assert token.count(".") == 2
    assert kubectl("get", "ns", "default", "-o", "name", f"--token={token}") == "namespace/default\n"


def test_run_expose_and_delete_a_pod(kubectl: Kubectl) -> None:
    kubectl("run", "p", "--image=x", "--port=8080")
    kubectl("expose", "pod", "p")
    assert kubectl("get", "svc", "p", "-o", "jsonpath={.spec.selector.run}") == "p"
    assert "has no pods" not in kubectl("describe", "pod", "p")
    kubectl("delete", "pod", "p")  # it waits; an unscheduled Pod is gone at once


def test_discovery_and_explain(kubectl: Kubectl) -> None:
    assert "apps/v1" in kubectl("api-versions").split()
    assert re.search(r"^services +svc +v1 +true +Service$", kubectl("api-resources"), re.MULTILINE)
    assert "appProtocol" in kubectl("explain", "service.spec.ports")


def test_dry_run_writes_nothing(kubectl: Kubectl) -> None:
    kubectl("apply", "--dry-run=server", "-f", "-", stdin=SERVICE)
    assert "not found" in kubectl.fails("get", "svc", "my-service")


def test_the_kubernetes_service_comes_back(kubectl: Kubectl) -> None:
    before = kubectl("get", "svc", "kubernetes", "-n", "default", "-o", "jsonpath={.metadata.uid}")
    kubectl("delete", "svc", "kubernetes", "-n", "default", "--wait=false")
    kubectl("wait", "svc/kubernetes", "-n", "default", "--for=create", "--timeout=10s")
    after = kubectl(
        "get", "svc", "kubernetes", "-n", "default", "-o", "jsonpath={.metadata.uid} {.spec.clusterIP}"
    )
    assert after.split()[1] == "10.96.0.1"
    assert after.split()[0] != before


def test_who_one_is_and_what_one_may(kubectl: Kubectl) -> None:
    assert re.search(r"^Username +admin$", kubectl("auth", "whoami"), re.MULTILINE)
    assert kubectl("auth", "can-i", "create", "pods") == "yes\n"
    kubectl("create", "sa", "robot")
    token = kubectl("create", "token", "robot").strip()
    assert "system:serviceaccounts" in kubectl("auth", "whoami", f"--token={token}")
