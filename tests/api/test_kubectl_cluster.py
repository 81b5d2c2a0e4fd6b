"""kubectl with Pods that run: whatever waits for what controllers and nodes do.

Each test runs with kubectl 1.37 and with 1.20.
"""

from __future__ import annotations

import json
import re
import subprocess
import time

import pytest

from tests.support.kubectl import NEW, OLD, Kubectl
from tests.support.kubectl_pods import HTTP_SERVER, run_pod


@pytest.fixture
def kubectl(any_kubectl_with_pods: Kubectl) -> Kubectl:
    return any_kubectl_with_pods


def test_raw_requests_reach_services_and_nodes(kubectl: Kubectl) -> None:
    run_pod(kubectl, "p", f"exec python3 {HTTP_SERVER} 8000")
    kubectl("expose", "pod", "p", "--port=80", "--target-port=8000")
    namespace = kubectl("config", "view", "--minify", "-o", "jsonpath={..namespace}").strip()
    base = f"/api/v1/namespaces/{namespace}/services/http:p:80/proxy"
    deadline = time.monotonic() + 20
    while (done := kubectl.run("get", "--raw", f"{base}/below?q=1")).returncode:
        assert "no endpoints available" in done.stderr or "not found" in done.stderr, done.stderr
        assert time.monotonic() < deadline
    assert done.stdout.strip() == f'<a href="{base}/x">/below?q=1</a>'
    node = kubectl("get", "pod", "p", "-o", "jsonpath={.spec.nodeName}")
    assert kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/healthz") == "ok"
    pods = json.loads(kubectl("get", "--raw", f"/api/v1/nodes/{node}:10250/proxy/pods"))
    assert "p" in [each["metadata"]["name"] for each in pods["items"]]
    assert "<pre>" in kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/logs/")
    assert "no endpoints available" in kubectl.fails("get", "--raw", f"{base.replace(':80', ':none')}/")


def test_a_rollout_from_beginning_to_end(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "d", "--image=clusterip.local/echo", "--replicas=2")
    assert "successfully rolled out" in kubectl("rollout", "status", "deploy/d", "--timeout=60s")
    kubectl("set", "image", "deploy/d", "echo=clusterip.local/echo:2")
    kubectl("annotate", "deploy/d", "kubernetes.io/change-cause=second")
    kubectl("rollout", "status", "deploy/d", "--timeout=60s")
    history = kubectl("rollout", "history", "deploy/d").split()
    assert history == "deployment.apps/d REVISION CHANGE-CAUSE 1 <none> 2 second".split()  # noqa: SIM905
    assert "clusterip.local/echo:2" in kubectl("rollout", "history", "deploy/d", "--revision=2")
    kubectl("rollout", "pause", "deploy/d")
    assert "already paused" in kubectl.fails("rollout", "pause", "deploy/d")
    kubectl("rollout", "resume", "deploy/d")
    assert kubectl("rollout", "undo", "deploy/d") == "deployment.apps/d rolled back\n"
    assert kubectl("rollout", "restart", "deploy/d") == "deployment.apps/d restarted\n"
    kubectl("rollout", "status", "deploy/d", "--timeout=60s")
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    assert kubectl("get", "deploy", "d", "-o", image) == "clusterip.local/echo"
    kubectl("scale", "deploy/d", "--replicas=1")
    kubectl("rollout", "status", "deploy/d", "--timeout=60s")
    described = kubectl("describe", "deploy", "d")
    assert re.search(r"^NewReplicaSet: +d-\w+ \(1/1 replicas created\)$", described, re.MULTILINE)
    assert "ScalingReplicaSet" in described


def test_get_watches(kubectl: Kubectl) -> None:
    run_pod(kubectl, "first", "sleep 1000")
    watching = subprocess.Popen(
        [kubectl.path, "get", "pods", "-w", "--no-headers"],
        stdout=subprocess.PIPE,
        env=kubectl.environment,
        text=True,
    )
    assert watching.stdout
    try:
        assert watching.stdout.readline().split()[:3] == ["first", "1/1", "Running"]
        kubectl("run", "p", "--image=clusterip.local/host", "--restart=Never", "--command", "--", "true")
        seen = []
        for line in watching.stdout:
            name, _, status, *_ = line.split()
            if name == "p":
                seen.append(status)
            if status == "Completed":
                break
    finally:
        watching.kill()
        watching.wait()
        watching.stdout.close()
    assert seen[0] == "Pending"


def test_drain_and_its_company(kubectl: Kubectl) -> None:
    deployment = kubectl(
        *("create", "deployment", "d", "--image=clusterip.local/echo", "--replicas=2"),
        *("--dry-run=client", "-o", "json"),
    )
    body = json.loads(deployment)
    body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 1
    kubectl("apply", "-f", "-", stdin=json.dumps(body))
    kubectl("rollout", "status", "deploy/d", "--timeout=60s")
    kubectl("taint", "node", "node-2", "a=b:NoSchedule")
    assert "a=b:NoSchedule" in kubectl("describe", "node", "node-2")
    kubectl("taint", "node", "node-2", "a-")
    try:
        drained = kubectl("drain", "node-2", "--ignore-daemonsets", "--pod-selector=app=d", "--timeout=60s")
        assert drained.startswith("node/node-2 ")
        assert "SchedulingDisabled" in kubectl("get", "node", "node-2")
        nodes = kubectl(
            "get", "pods", "-o", "jsonpath={.items[?(@.metadata.deletionTimestamp=='')].spec.nodeName}"
        )
        assert "node-2" not in nodes
    finally:
        kubectl("uncordon", "node-2")
    assert "SchedulingDisabled" not in kubectl("get", "node", "node-2")


def test_events_and_descriptions_tell_what_happened(kubectl: Kubectl) -> None:
    run_pod(kubectl, "p", "sleep 1000")
    events = kubectl("get", "events", "--sort-by=.metadata.creationTimestamp")
    for reason in ("Scheduled", "Pulled", "Created", "Started"):
        assert reason in events
    described = kubectl("describe", "pod", "p")
    assert re.search(r"Normal +Scheduled .* Successfully assigned \S+/p to node-\d", described)
    assert re.search(r"^ +Ready +True", described, re.MULTILINE)
    if kubectl.version == NEW:
        assert "Started" in kubectl("events", "--for", "pod/p")


def test_without_metrics_top_says_so(kubectl: Kubectl) -> None:
    assert kubectl.fails("top", "pods") == "error: Metrics API not available\n"
    assert kubectl.fails("top", "nodes") == "error: Metrics API not available\n"


def test_every_kind_can_be_described(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "d", "--image=clusterip.local/echo")
    kubectl("expose", "deployment", "d", "--port=80")
    kubectl("rollout", "status", "deploy/d", "--timeout=60s")
    for kind in ("deploy", "rs", "pods", "svc", "endpoints", "endpointslices", "sa", "cm"):
        if kubectl.version == OLD and kind == "endpointslices":
            continue  # it knows only their beta version, which is gone
        assert re.search("^Name: ", kubectl("describe", kind), re.MULTILINE), kind
    for kind in ("nodes", "ns"):
        assert re.search("^Name: ", kubectl("describe", kind), re.MULTILINE), kind
