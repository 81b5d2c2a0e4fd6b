"""kubectl's commands against the API alone, in two versions: what they print was compared with what they
print against upstream's API server."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.kubectl import NEW, Kubectl

MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: c, labels: {app: a}}
data: {a: "1", b: "2"}
---
apiVersion: v1
kind: Service
metadata: {name: s, labels: {app: a}}
spec: {selector: {app: a}, ports: [{name: a, port: 80}, {name: b, port: 81}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, labels: {app: a}}
spec:
  replicas: 2
  selector: {matchLabels: {app: a}}
  template:
    metadata: {labels: {app: a}}
    spec: {containers: [{name: main, image: "i:1", env: [{name: A, value: "1"}]}]}
"""
CHANGED = MANIFEST.replace('b: "2"', 'b: "3"').replace("replicas: 2", "replicas: 1")


@pytest.fixture
def kubectl(any_kubectl: Kubectl) -> Kubectl:
    return any_kubectl


def verbs(*words: str) -> str:
    return "".join(
        f"{name} {word}\n"
        for name, word in zip(("configmap/c", "service/s", "deployment.apps/d"), words, strict=True)
    )


def editor(tmp_path: Path, script: str) -> dict[str, str]:
    """An editor that changes what it is given with ``sed``."""
    program = tmp_path / "editor"
    program.write_text(f"#!/bin/sh\nexec sed -i '{script}' \"$1\"\n")
    program.chmod(0o755)
    return {"EDITOR": str(program)}


def test_apply_in_both_ways_and_back(kubectl: Kubectl) -> None:
    assert kubectl("apply", "-f", "-", stdin=MANIFEST) == verbs("created", "created", "created")
    assert kubectl("apply", "-f", "-", stdin=CHANGED) == verbs("configured", "unchanged", "configured")
    assert kubectl("apply", "-f", "-", stdin=CHANGED) == verbs("unchanged", "unchanged", "unchanged")
    applied = ("serverside-applied",) * 3
    assert kubectl("apply", "--server-side", "-f", "-", stdin=MANIFEST) == verbs(*applied)
    other = ("apply", "--server-side", "--field-manager=other", "-f", "-")
    conflict = kubectl.fails(*other, stdin=CHANGED)
    assert 'conflict with "kubectl": .data.b' in conflict
    assert 'conflict with "kubectl": .spec.replicas' in conflict
    assert kubectl(*other, "--force-conflicts", stdin=CHANGED) == verbs(*applied)
    # Server-side apply keeps kubectl's annotation as it would have written it, so nothing is left to say.
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=MANIFEST)
    assert '"b":"2"' in kubectl("apply", "view-last-applied", "cm", "c", "-o", "json").replace(" ", "")


def test_apply_takes_out_what_is_no_longer_there(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    kubectl("patch", "cm", "c", "--type=merge", "-p", '{"data":{"mine":"x"}}')
    kubectl("apply", "-f", "-", stdin=MANIFEST.replace(', b: "2"', "").replace(", {name: b, port: 81}", ""))
    assert json.loads(kubectl("get", "cm", "c", "-o", "json"))["data"] == {"a": "1", "mine": "x"}
    assert kubectl("get", "svc", "s", "-o", "jsonpath={.spec.ports[*].port}") == "80"


def test_prune(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    flag = "--prune-allowlist" if kubectl.version == NEW else "--prune-whitelist"
    kinds = (f"{flag}=core/v1/Service", f"{flag}=core/v1/ConfigMap", f"{flag}=apps/v1/Deployment")
    only = MANIFEST.partition("---")[0]
    printed = kubectl("apply", "--prune", "-l", "app=a", *kinds, "-f", "-", stdin=only)
    assert "service/s pruned" in printed
    assert "deployment.apps/d pruned" in printed
    assert kubectl("get", "cm,svc,deploy", "-l", "app=a", "-o", "name") == "configmap/c\n"


def test_diff_shows_what_apply_would_change(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    assert kubectl("diff", "-f", "-", stdin=MANIFEST) == ""
    done = kubectl.run("diff", "-f", "-", stdin=CHANGED)
    assert done.returncode == 1
    changes = [line for line in done.stdout.splitlines() if re.match(r"[-+] ", line)]
    assert [line for line in changes if not re.search("generation|time:", line)] == [
        "-  replicas: 2",
        "+  replicas: 1",
        '-  b: "2"',
        '+  b: "3"',
    ]
    assert kubectl("get", "deploy", "d", "-o", "jsonpath={.spec.replicas}") == "2"


def test_trials_on_the_server_change_nothing(kubectl: Kubectl) -> None:
    assert "created (server dry run)" in kubectl("apply", "--dry-run=server", "-f", "-", stdin=MANIFEST)
    assert kubectl("get", "cm", "-l", "app=a", "-o", "name") == ""
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    assert "(server dry run)" in kubectl("delete", "svc", "s", "--dry-run=server")
    kubectl("scale", "deploy/d", "--replicas=9", "--dry-run=server")
    assert kubectl("get", "deploy", "d", "-o", "jsonpath={.spec.replicas}") == "2"


def test_edit(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    done = kubectl.run("edit", "cm", "c", environment=editor(tmp_path, 's/  a: "1"/  a: "9"/'))
    assert done.stdout == "configmap/c edited\n"
    assert kubectl("get", "cm", "c", "-o", "jsonpath={.data.a}") == "9"
    done = kubectl.run("edit", "cm", "c", environment={"EDITOR": "true"})
    assert "Edit cancelled, no changes made." in done.stdout + done.stderr
    done = kubectl.run("edit", "svc", "s", environment=editor(tmp_path, "s/port: 80$/port: 99999/"))
    assert done.returncode == 1
    assert 'services "s" is invalid' in done.stderr
    done = kubectl.run(
        "apply", "edit-last-applied", "cm", "c", environment=editor(tmp_path, 's/a: "1"/a: "7"/')
    )
    assert done.stdout == "configmap/c edited\n"


def test_replace_and_delete(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=MANIFEST)
    assert 'configmaps "c" already exists' in kubectl.fails("create", "-f", "-", stdin=MANIFEST)
    assert kubectl("replace", "-f", "-", stdin=CHANGED) == verbs("replaced", "replaced", "replaced")
    kubectl("replace", "--force", "-f", "-", stdin=MANIFEST)
    kubectl("delete", "-f", "-", stdin=MANIFEST)
    assert kubectl("delete", "-f", "-", "--ignore-not-found", stdin=MANIFEST) == ""
    assert 'services "s" not found' in kubectl.fails("delete", "svc", "s")


def test_set_changes_parts(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    kubectl("set", "env", "deploy/d", "X=y", "A-")
    assert kubectl("set", "env", "deploy/d", "--list").splitlines()[1:] == ["X=y"]
    kubectl("set", "image", "deploy/d", "*=j:2")
    kubectl("set", "resources", "deploy/d", "--limits=cpu=1,memory=1Gi")
    kubectl("set", "serviceaccount", "deploy/d", "robot")
    pod = json.loads(kubectl("get", "deploy", "d", "-o", "json"))["spec"]["template"]["spec"]
    assert (pod["serviceAccountName"], pod["containers"][0]["image"]) == ("robot", "j:2")
    assert pod["containers"][0]["resources"] == {"limits": {"cpu": "1", "memory": "1Gi"}}
    kubectl("set", "selector", "svc", "s", "a=b")
    assert json.loads(kubectl("get", "svc", "s", "-o", "json"))["spec"]["selector"] == {"a": "b"}
    kubectl("create", "rolebinding", "rb", "--role=r", "--user=u")
    kubectl("set", "subject", "rolebinding", "rb", "--user=v")
    assert kubectl("get", "rolebinding", "rb", "-o", "jsonpath={.subjects[*].name}") == "u v"


def test_scale_patch_label_annotate(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    kubectl("scale", "deploy/d", "--replicas=5", "--current-replicas=2")
    assert "xpected replicas to be 2" in kubectl.fails(
        "scale", "deploy/d", "--replicas=6", "--current-replicas=2"
    )
    assert "(no change)" in kubectl("patch", "deploy/d", "-p", '{"spec":{"replicas":5}}')
    test = '[{"op":"test","path":"/spec/replicas","value":7}]'
    assert "invalid" in kubectl.fails("patch", "deploy/d", "--type=json", "-p", test)
    assert "field is immutable" in kubectl.fails(
        "patch", "deploy/d", "--type=merge", "-p", '{"spec":{"selector":{"matchLabels":{"x":"y"}}}}'
    )
    kubectl("label", "deploy/d", "x=1")
    assert "--overwrite is false" in kubectl.fails("label", "deploy/d", "x=2")
    kubectl("label", "deploy/d", "x=2", "--overwrite")
    assert kubectl("get", "deploy", "-l", "x=2", "-L", "x").split()[-1] == "2"
    kubectl("label", "deploy/d", "x-")
    kubectl("annotate", "deploy/d", "x=y")
    assert "metadata.annotations: Invalid value" in kubectl.fails("annotate", "deploy/d", "bad key=1")


def test_run_and_expose(kubectl: Kubectl) -> None:
    kubectl("run", "p", "--image=i", "--port=80", "--env=A=b", "--labels=q=w")
    assert 'pods "p" already exists' in kubectl.fails("run", "p", "--image=i")
    assert kubectl("expose", "pod", "p", "--type=NodePort") == "service/p exposed\n"
    service = json.loads(kubectl("get", "svc", "p", "-o", "json"))["spec"]
    assert (service["selector"], service["ports"][0]["port"]) == ({"q": "w"}, 80)
    assert 30000 <= service["ports"][0]["nodePort"] <= 32767
    kubectl("expose", "svc", "p", "--name=q", "--port=81", "--target-port=http")
    assert kubectl("get", "svc", "q", "-o", "jsonpath={.spec.ports[0].targetPort}") == "http"
    kubectl("delete", "pod", "p", "--now")


def test_wait(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    assert "timed out" in kubectl.fails("wait", "--for=condition=Available", "deploy/d", "--timeout=1s")
    waiting = subprocess.Popen(
        [kubectl.path, "wait", "--for=delete", "svc/s", "--timeout=30s", "-v=6"],
        env=kubectl.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert waiting.stderr
    while "watch=true" not in waiting.stderr.readline():
        assert waiting.poll() is None
    kubectl("delete", "svc", "s")
    assert waiting.wait(30) == 0
    waiting.stderr.close()
    status = '{"status":{"conditions":[{"type":"Available","status":"True"}]}}'
    config = Path(kubectl.environment["KUBECONFIG"])
    new = Kubectl(config, config.parent)
    new("patch", "deploy/d", "--subresource=status", "--type=merge", "-p", status)
    kubectl("wait", "--for=condition=Available", "deploy/d", "--timeout=10s")


def test_forms_of_output(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    assert kubectl("get", "deploy,svc", "-o", "name") == "deployment.apps/d\nservice/s\n"
    columns = "custom-columns=N:.metadata.name,R:.spec.replicas,Z:.nothing"
    assert kubectl("get", "deploy", "-o", columns).split() == "N R Z d 2 <none>".split()  # noqa: SIM905
    assert (
        kubectl("get", "svc", "s", "-o", "jsonpath={range .spec.ports[*]}{.name}={.port} {end}")
        == "a=80 b=81 "
    )
    assert kubectl("get", "cm", "c", "-o", "go-template={{.data.a}}") == "1"
    for number in (3, 1, 2):
        kubectl("create", "cm", f"n{number}", f"--from-literal=k={number}")
        kubectl("label", "cm", f"n{number}", "sorted=yes")
    sort = ("get", "cm", "-l", "sorted", "-o", "name", "--sort-by=.data.k")
    assert kubectl(*sort).split() == ["configmap/n1", "configmap/n2", "configmap/n3"]
    assert kubectl("get", "cm", "c", "-o", "yaml").startswith('apiVersion: v1\ndata:\n  a: "1"\n')
    assert kubectl("get", "deploy", "d", "-o", "wide").split()[-3:] == ["main", "i:1", "app=a"]
    assert kubectl("get", "pods") == ""
    assert "app=a" in kubectl("get", "cm", "c", "--show-labels")
    everywhere = kubectl("get", "cm", "-A", "--field-selector=metadata.name=c", "-o", "name")
    assert set(everywhere.split()) == {"configmap/c"}


def test_refusals(kubectl: Kubectl) -> None:
    assert kubectl.fails("get", "nosuch") == 'error: the server doesn\'t have a resource type "nosuch"\n'
    assert kubectl.fails("get", "pods", "none") == 'Error from server (NotFound): pods "none" not found\n'
    assert "unable to parse requirement: found '', expected: ','" in kubectl.fails(
        "get", "svc", "-l", "a in ("
    )
    assert "field label not supported: bad" in kubectl.fails("get", "pods", "--field-selector=bad=1")
    assert "a lowercase RFC 1123 subdomain" in kubectl.fails("create", "cm", "BAD")
    wrong = "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {prots: []}\n"
    assert 'unknown field "' in kubectl.fails("apply", "-f", "-", stdin=wrong)
    unknown = "apiVersion: v1\nkind: Nothing\nmetadata: {name: x}\n"
    assert 'no matches for kind "Nothing" in version "v1"' in kubectl.fails(
        "create", "-f", "-", stdin=unknown
    )
    assert kubectl.fails("exec", "none", "--", "x").startswith("Error from server (NotFound): pods")


def test_discovery_and_explanations(kubectl: Kubectl) -> None:
    assert {"v1", "apps/v1", "discovery.k8s.io/v1"} <= set(kubectl("api-versions").split())
    names = kubectl("api-resources", "--namespaced=false", "-o", "name").split()
    assert {"nodes", "namespaces", "servicecidrs.networking.k8s.io"} <= set(names)
    explained = kubectl("explain", "service.spec.ports")
    assert re.search(r"^ +targetPort\t<", explained, re.MULTILINE)
    recursive = kubectl("explain", "deploy", "--recursive")
    assert re.search(r"^ +maxSurge\t<", recursive, re.MULTILINE)
    assert 'field "nothing" does not exist' in kubectl.fails("explain", "svc.nothing")
    assert "is running at" in kubectl("cluster-info")
    assert kubectl("get", "--raw", "/healthz") == "ok"
    assert json.loads(kubectl("version", "-o", "json"))["serverVersion"]["major"] == "1"


def test_may_i(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "create", "pods") == "yes\n"
    assert kubectl("auth", "can-i", "get", "/healthz") == "yes\n"
    assert kubectl("auth", "can-i", "get", "pods", "--subresource=log") == "yes\n"
    assert "*.*" in kubectl("auth", "can-i", "--list")


def test_rollouts_that_wait_for_nobody(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    kubectl("rollout", "pause", "deploy/d")
    assert "paused" in kubectl.fails("rollout", "restart", "deploy/d")
    kubectl("rollout", "resume", "deploy/d")
    kubectl("rollout", "restart", "deploy/d")
    assert "kubectl.kubernetes.io/restartedAt" in kubectl("get", "deploy", "d", "-o", "yaml")
    assert kubectl.run("rollout", "status", "deploy/d", "--timeout=1s").returncode == 1
    assert "no rollout history found" in kubectl.fails("rollout", "undo", "deploy/d")
