"""The node agent as a whole: real Pods, a real API server, real kubectl."""

from __future__ import annotations

import os
import random
import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterip.kernel import namespaces
from clusterip.node.images.archive import import_archive
from clusterip.node.images.store import ImageStore
from clusterip.node.sandbox.sandbox import network_name
from tests.support.images import layer, shell_layer, write_layout
from tests.support.kubectl import kubectl_path
from tests.support.nodes import NODE, RunningNode, container_status, eventually, is_ready, running_node


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with running_node(tmp_path_factory.mktemp("node")) as running:
        yield running


def get(address: str, port: int = 8080) -> str:
    with urllib.request.urlopen(f"http://{address}:{port}/", timeout=5) as response:
        body: bytes = response.read()
    return body.decode()


def test_the_node_is_as_kubectl_expects(node: RunningNode) -> None:
    words = node.kubectl("get", "nodes", "-o", "wide", "--no-headers").split()
    assert words[:2] == [NODE, "Ready"]
    lease = node.kubectl("get", "lease", "-n", "kube-node-lease", NODE, "-o", "jsonpath={.spec}")
    assert f'"holderIdentity":"{NODE}"' in lease


def test_an_echo_pod_is_ready_and_answers_with_its_name(node: RunningNode) -> None:
    probe = {"httpGet": {"port": "http"}, "periodSeconds": 1}
    container = {
        "name": "main",
        "image": "clusterip.local/echo",
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": probe,
    }
    node.apply("echo", {"containers": [container]})
    pod = node.wait_ready("echo")
    assert get(pod["status"]["podIP"]) == "echo\n"
    assert container_status(pod)["started"] is True
    assert container_status(pod)["containerID"].startswith("crun://")
    assert {c["type"] for c in pod["status"]["conditions"]} >= {
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
    }
    reasons = eventually(lambda: {reason for reason, _ in node.events("echo")} >= {"Pulled", "Started"})
    assert reasons


def test_containers_outlive_the_agent_and_are_found_again(node: RunningNode) -> None:
    node.run("survivor", "sh", "-c", "echo first; while sleep 0.1; do echo again; done")
    before = container_status(node.wait_ready("survivor"))
    pid = int((node.root / "pods").glob("*/containers/main/0/pid").__next__().read_text())
    node.kill()
    os.kill(pid, 0)  # still there
    node.start()
    after = container_status(node.wait_ready("survivor"))
    assert (after["containerID"], after["restartCount"]) == (before["containerID"], 0)
    lines = node.kubectl("logs", "survivor").splitlines()
    assert lines[0] == "first"
    # What it wrote while nobody read has waited in its pipe, and reading goes on.
    eventually(lambda: len(node.kubectl("logs", "survivor").splitlines()) > len(lines) + 2)
    node.kubectl("delete", "pod", "survivor")
    node.wait_gone("survivor")


def test_a_pod_whose_sandbox_a_reboot_took_away_is_made_anew(node: RunningNode) -> None:
    node.run("rebooted", "sleep", "1000")
    before = node.wait_ready("rebooted")
    node.kill()
    uid = before["metadata"]["uid"]
    namespaces.delete_named(network_name(uid))
    node.start()
    after = node.wait("rebooted", lambda pod: container_status(pod)["restartCount"] == 1 and is_ready(pod))
    assert after["status"]["podIP"] != before["status"]["podIP"]
    assert len(after["status"]["podIPs"]) == 1


def test_another_image_means_another_container(node: RunningNode) -> None:
    node.run("changed", "sleep", "1000")
    node.wait_ready("changed")
    node.kubectl("set", "image", "pod/changed", "main=clusterip.local/host:v2")
    pod = node.wait("changed", lambda pod: container_status(pod).get("restartCount") == 1 and is_ready(pod))
    assert container_status(pod)["image"] == "clusterip.local/host:v2"


def test_mounted_settings_follow_their_configmap(node: RunningNode) -> None:
    node.kubectl("create", "configmap", "live", "--from-literal=a=1")
    node.run(
        "follower",
        *("sleep", "1000"),
        volumeMounts=[{"name": "v", "mountPath": "/v"}],
        volumes=[{"name": "v", "configMap": {"name": "live"}}],
    )
    node.wait_ready("follower")
    patch = '{"data":{"a":"2","b":"3"}}'
    node.kubectl("patch", "configmap", "live", "--patch", patch)
    # Upstream allows a minute; a change of the Pod brings it at once, as there.
    node.kubectl("annotate", "pod", "follower", "touched=1")
    eventually(lambda: node.kubectl("exec", "follower", "--", "sh", "-c", "cat /v/*") == "23", 70)


def test_a_pod_of_an_imported_image(node: RunningNode, tmp_path: Path) -> None:
    config = {
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": ["cat /etc/motd; echo $WHO; echo x > /written; cat /written; pwd; exec 3<&0; read x"],
        "Env": ["WHO=image", "PATH=/bin"],
        "WorkingDir": "/work",
    }
    layers = [shell_layer(), layer(("etc/motd", b"lower\n"), ("gone", b"")), layer((".wh.gone", b""))]
    import_archive(
        ImageStore(node.images), write_layout(tmp_path / "l", "example.com/tiny:1", layers, config)
    )
    node.apply("tiny", {"containers": [{"name": "main", "image": "example.com/tiny:1", "stdin": True}]})
    pod = node.wait_ready("tiny")
    assert container_status(pod)["imageID"].startswith("example.com/tiny@sha256:")
    expected = ["lower", "image", "x", "/work"]
    eventually(lambda: node.kubectl("logs", "tiny").splitlines() == expected)
    listed = node.kubectl("exec", "tiny", "--", "ls", "/").split()
    assert "gone" not in listed
    assert "written" in listed
    store = ImageStore(node.images)
    store.remove("example.com/tiny:1")  # what a container runs on stays
    assert node.kubectl("exec", "tiny", "--", "cat", "/etc/motd") == "lower\n"
    assert node.kubectl("exec", "tiny", "--", "/bin/ls", "-d", "/etc") == "/etc\n"


def test_the_machines_devices_are_not_a_containers(node: RunningNode) -> None:
    script = "mknod /root/zero c 1 5 && head -c 2 /root/zero | wc -c; sleep 1000"
    for name, context in (("plain", {}), ("privileged", {"privileged": True})):
        main = {"name": "main", "image": "clusterip.local/host", "command": ["sh", "-c", script]}
        node.apply(f"devices-{name}", {"containers": [main | {"securityContext": context}]})
        node.wait_ready(f"devices-{name}")
    eventually(lambda: "Operation not permitted" in _log(node, "devices-plain"))
    eventually(lambda: _log(node, "devices-privileged") == "2\n")


def _log(node: RunningNode, pod: str) -> str:
    return node.kubectl.run("logs", pod).stdout


def test_a_pod_deleted_while_no_agent_ran_is_removed(node: RunningNode) -> None:
    node.run("orphan", "sleep", "1000")
    pod = node.wait_ready("orphan")
    directory = node.root / "pods" / pod["metadata"]["uid"]
    node.kill()
    node.kubectl("delete", "pod", "orphan", "--force", "--grace-period=0", "--wait=false")
    node.wait_gone("orphan")
    node.start()
    eventually(lambda: not directory.exists(), 40)


def test_deletion_is_graceful_and_leaves_nothing(node: RunningNode) -> None:
    script = (
        "trap 'echo stopping; sleep 0.3; echo stopped; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    )
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo hook > /proc/1/fd/1"]}}}
    main = {
        "name": "main",
        "image": "clusterip.local/host",
        "command": ["sh", "-c", script],
        "lifecycle": hook,
    }
    node.apply("graceful", {"containers": [main], "terminationGracePeriodSeconds": 10})
    pod = node.wait_ready("graceful")
    seen: list[str] = []
    follow = subprocess.Popen(
        [str(kubectl_path()), "--kubeconfig", str(node.api.kubeconfig), "logs", "-f", "graceful"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert follow.stdout
    assert follow.stdout.readline() == "up\n"
    began = time.monotonic()
    node.kubectl("delete", "pod", "graceful")
    assert time.monotonic() - began < 5
    seen = follow.stdout.read().splitlines()
    assert seen == ["hook", "stopping", "stopped"]
    follow.wait()
    assert not (node.root / "pods" / pod["metadata"]["uid"]).exists()
    assert _containers_of(node, pod["metadata"]["uid"]) == []
    assert ("Killing", "Stopping container main") in node.events("graceful")


def _pod_of(entry: Path) -> str:
    try:
        match = re.search(r"/pods/([^/]+)/", (entry / "status").read_text())
    except FileNotFoundError:
        return ""  # one that has just ended
    return match[1] if match else ""


def test_who_ignores_sigterm_is_killed_after_the_grace_period(node: RunningNode) -> None:
    node.run("stubborn", "sleep", "1000")  # as pid 1, without a handler
    node.wait_ready("stubborn")
    began = time.monotonic()
    node.kubectl("delete", "pod", "stubborn")
    assert 0.9 < time.monotonic() - began < 5


def test_a_crashing_container_backs_off(node: RunningNode) -> None:
    node.run("crash", "sh", "-c", "echo boom; echo why > /dev/termination-log; exit 3")

    def backing_off(pod: dict[str, Any]) -> bool:
        status = container_status(pod)
        waiting = status.get("state", {}).get("waiting", {})
        return bool(status.get("restartCount") == 1 and waiting.get("reason") == "CrashLoopBackOff")

    pod = node.wait("crash", backing_off)
    status = container_status(pod)
    assert status["state"]["waiting"]["message"].startswith("back-off 10s restarting failed container=main")
    ended = status["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "why\n")
    assert pod["status"]["phase"] == "Running"
    assert node.kubectl("logs", "crash", "--previous") == "boom\n"


@pytest.mark.parametrize(("command", "phase"), [("exit 0", "Succeeded"), ("exit 1", "Failed")])
def test_pods_that_run_once(node: RunningNode, command: str, phase: str) -> None:
    name = f"once-{phase.lower()}"
    node.run(name, "sh", "-c", command, restartPolicy="Never")
    pod = node.wait_phase(name, phase)
    assert "terminated" in container_status(pod)["state"]
    assert pod["status"]["podIP"]
    conditions = {c["type"]: c.get("reason") for c in pod["status"]["conditions"]}
    assert conditions["Ready"] == {"Succeeded": "PodCompleted", "Failed": "PodFailed"}[phase]


def test_init_and_sidecar_containers_run_in_order(node: RunningNode) -> None:
    def container(name: str, script: str, **more: Any) -> dict[str, Any]:
        return {
            "name": name,
            "image": "clusterip.local/host",
            "command": ["sh", "-c", script],
            "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
            **more,
        }

    node.apply(
        "ordered",
        {
            "initContainers": [
                container("first", "sleep 0.2; echo first >> /shared/order"),
                container("side", "echo side >> /shared/order; sleep 1000", restartPolicy="Always"),
                container("second", "echo second >> /shared/order"),
            ],
            "containers": [container("main", "cat /shared/order; sleep 1000")],
            "volumes": [{"name": "shared", "emptyDir": {}}],
        },
    )
    pod = node.wait_ready("ordered")
    assert node.kubectl("logs", "ordered", "-c", "main").split() == ["first", "side", "second"]
    assert [s["name"] for s in pod["status"]["initContainerStatuses"]] == ["first", "side", "second"]
    assert "running" in container_status(pod, "side")["state"]


def test_a_failed_init_container_fails_a_pod_that_runs_once(node: RunningNode) -> None:
    init = {"name": "init", "image": "clusterip.local/host", "command": ["false"]}
    main = {"name": "main", "image": "clusterip.local/host", "command": ["true"]}
    node.apply("doomed", {"initContainers": [init], "containers": [main], "restartPolicy": "Never"})
    pod = node.wait_phase("doomed", "Failed")
    assert container_status(pod)["state"] == {"waiting": {"reason": "PodInitializing"}}


def test_a_container_whose_post_start_hook_fails_ends_in_good_order(node: RunningNode) -> None:
    script = "trap 'echo asked to end; exit 0' TERM; while :; do sleep 0.05; done"
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "echo no; exit 1"]}}}
    node.run("hooked", "sh", "-c", script, lifecycle=hook, restartPolicy="Never")
    pod = node.wait("hooked", lambda pod: "terminated" in str(container_status(pod)))
    status = container_status(pod)
    ended = status["state"].get("terminated") or status["lastState"]["terminated"]
    assert ended["exitCode"] == 0
    assert node.kubectl("logs", "hooked") == "asked to end\n"
    eventually(
        lambda: (
            {("FailedPostStartHook", "PostStartHook failed"), ("Killing", "FailedPostStartHook")}
            <= set(node.events("hooked"))
        )
    )


def test_a_failing_liveness_probe_restarts_the_container(node: RunningNode) -> None:
    probe = {"exec": {"command": ["cat", "/tmp/alive"]}, "periodSeconds": 1, "failureThreshold": 1}
    node.run(
        "sick", "sh", "-c", "touch /tmp/alive; sleep 0.5; rm /tmp/alive; sleep 1000", livenessProbe=probe
    )
    pod = node.wait("sick", lambda pod: container_status(pod).get("restartCount", 0) >= 1)
    assert container_status(pod)["restartCount"] >= 1
    messages = [message for _, message in node.events("sick")]
    assert "Container main failed liveness probe, will be restarted" in messages
    assert any(m.startswith("Liveness probe failed: cat: /tmp/alive") for m in messages)


def test_readiness_follows_its_probe(node: RunningNode) -> None:
    probe = {"exec": {"command": ["test", "-e", "/tmp/ok"]}, "periodSeconds": 1, "failureThreshold": 1}
    node.run("moody", "sleep", "1000", readinessProbe=probe)
    node.wait("moody", lambda pod: "running" in container_status(pod).get("state", {}))
    assert container_status(node.pod("moody") or {})["ready"] is False
    node.kubectl("exec", "moody", "--", "touch", "/tmp/ok")
    node.wait_ready("moody")
    node.kubectl("exec", "moody", "--", "rm", "/tmp/ok")
    node.wait("moody", lambda pod: container_status(pod)["ready"] is False)


def test_the_startup_probe_goes_first(node: RunningNode) -> None:
    startup = {"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1, "failureThreshold": 30}
    node.run("slow", "sh", "-c", "sleep 1.5; touch /tmp/up; sleep 1000", startupProbe=startup)
    pod = node.wait("slow", lambda pod: "running" in container_status(pod).get("state", {}))
    assert (container_status(pod)["started"], container_status(pod)["ready"]) == (False, False)
    node.wait_ready("slow")


def test_problems_are_said_in_upstreams_words(node: RunningNode) -> None:
    node.apply("unpullable", {"containers": [{"name": "main", "image": "127.0.0.1:5999/no/such:1"}]})
    node.run("unstartable", "no-such-program")
    node.run("unconfigured", "true", envFrom=[{"configMapRef": {"name": "absent"}}])
    reason = {"unpullable": "ErrImagePull", "unconfigured": "CreateContainerConfigError"}
    for name, wanted in reason.items():
        node.wait(
            name,
            lambda pod, wanted=wanted: (
                container_status(pod).get("state", {}).get("waiting", {}).get("reason") == wanted
            ),
        )
    node.wait(
        "unpullable",
        lambda pod: container_status(pod)["state"].get("waiting", {}).get("reason") == "ImagePullBackOff",
    )
    image = "127.0.0.1:5999/no/such:1"
    eventually(lambda: ("BackOff", f'Back-off pulling image "{image}"') in node.events("unpullable"))
    message = container_status(node.pod("unconfigured") or {})["state"]["waiting"]["message"]
    assert message == 'configmap "absent" not found'

    def failed_to_start(pod: dict[str, Any]) -> bool:
        last = container_status(pod).get("lastState", {}).get("terminated", {})
        return bool(last.get("reason") == "StartError" and last.get("exitCode") == 128)

    node.wait("unstartable", failed_to_start)
    assert node.kubectl.fails("logs", "unpullable").startswith("Error from server (BadRequest)")


def test_what_a_node_does_not_take(node: RunningNode) -> None:
    unsafe = {"sysctls": [{"name": "kernel.msgmax", "value": "100"}]}
    node.run("unsafe", "true", securityContext=unsafe)
    pod = node.wait_phase("unsafe", "Failed")
    assert pod["status"]["reason"] == "SysctlForbidden"
    assert pod["status"]["message"] == 'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted'
    port = [{"containerPort": 80, "hostPort": 9080}]
    for name in ("first", "second"):
        node.run(f"port-{name}", "sleep", "1000", ports=port)
        pod = node.wait(f"port-{name}", lambda pod: is_ready(pod) or pod["status"]["phase"] == "Failed")
        assert pod["status"].get("reason") == {"first": None, "second": "NodePorts"}[name]
    main = {"name": "main", "image": "clusterip.local/host", "command": ["true"]}
    long = {"subdomain": "s" * 50, "setHostnameAsFQDN": True}
    node.apply("named", {"containers": [main], **long})
    node.apply("separate", {"containers": [main], "hostUsers": False})
    for name, text in (
        ("named", "is too long (64 characters is the max"),
        ("separate", "no user namespaces"),
    ):
        eventually(lambda name=name, text=text: any(text in message for _, message in node.events(name)))
        state = container_status(node.pod(name) or {})["state"]
        assert state == {"waiting": {"reason": "ContainerCreating"}}


def test_a_token_is_readable_by_whom_it_is_for(node: RunningNode) -> None:
    node.kubectl("create", "serviceaccount", "default")
    token = {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}
    for name, context in (("anybody", {}), ("somebody", {"runAsUser": 1001}), ("group", {"fsGroup": 1002})):
        node.run(
            f"token-{name}",
            *("sh", "-c", "stat -Lc '%a %u %g' /tokens/token; cut -c1-2 /tokens/token; sleep 1000"),
            securityContext=context,
            serviceAccountName="default",
            volumeMounts=[{"name": "tokens", "mountPath": "/tokens"}],
            volumes=[{"name": "tokens", "projected": {"sources": [token]}}],
        )
    for name, wanted in (("anybody", "644 0 0"), ("somebody", "600 1001 0"), ("group", "640 0 1002")):
        node.wait_ready(f"token-{name}")
        expected = [wanted, "ey"]
        eventually(
            lambda name=name, expected=expected: (
                node.kubectl("logs", f"token-{name}").splitlines() == expected
            )
        )


def test_what_a_container_finds_around_it(node: RunningNode) -> None:
    node.kubectl("create", "configmap", "settings", "--from-literal=colour=blue")
    node.kubectl("create", "secret", "generic", "hush", "--from-literal=word=sesame")
    script = """
        cat /etc/settings/colour /etc/hush/word /etc/about/labels; echo
        echo $POD_IP $POD_NAME $COLOUR $NESTED
        cat /etc/hostname; hostname; grep $POD_IP /etc/hosts; cat /etc/resolv.conf
        readlink /etc/settings/colour
        echo > /etc/settings/x || true
        id -u; id -g; id -G
        ls -A /tmp /run; cat /proc/1/comm
        sleep 1000
    """
    node.run(
        "around",
        *("sh", "-c", script),
        env=[
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
            {"name": "NESTED", "value": "$(POD_NAME)-$(COLOUR)-$$(X)-$(UNKNOWN)"},
        ],
        volumeMounts=[
            {"name": "settings", "mountPath": "/etc/settings", "readOnly": True},
            {"name": "hush", "mountPath": "/etc/hush"},
            {"name": "about", "mountPath": "/etc/about"},
        ],
        volumes=[
            {"name": "settings", "configMap": {"name": "settings"}},
            {"name": "hush", "secret": {"secretName": "hush", "defaultMode": 0o400}},
            {
                "name": "about",
                "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.name"}}]},
            },
        ],
        securityContext={"runAsUser": 0, "fsGroup": 1234},
    )
    address = node.wait_ready("around")["status"]["podIP"]
    lines = eventually(
        lambda: lines if "sh" in (lines := node.kubectl("logs", "around").splitlines()) else None
    )
    assert lines[0] == "bluesesamearound"
    assert lines[1] == f"{address} around blue around-blue-$(X)-$(UNKNOWN)"
    assert lines[2:4] == ["around", "around"]
    assert lines[4] == f"{address}\taround"
    assert lines[5] == "search default.svc.cluster.local svc.cluster.local cluster.local"
    assert lines[6:8] == ["nameserver 10.96.0.10", "options ndots:5"]
    assert lines[8] == "..data/colour"
    assert any("Read-only file system" in line for line in lines)
    assert any(line.endswith("1234") for line in lines)


def test_kubectl_exec(node: RunningNode) -> None:
    node.run("shell", "sleep", "1000")
    node.wait_ready("shell")
    assert node.kubectl("exec", "shell", "--", "hostname") == "shell\n"
    assert node.kubectl("exec", "-i", "shell", "--", "tr", "a-z", "A-Z", stdin="shout") == "SHOUT"
    failed = node.kubectl.run("exec", "shell", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (failed.returncode, failed.stdout) == (7, "out\n")
    assert failed.stderr == "err\ncommand terminated with exit code 7\n"
    assert "executable file not found in $PATH" in node.kubectl.fails("exec", "shell", "--", "no-such")
    big = node.kubectl("exec", "shell", "--", "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x")
    assert len(big) == 3_000_000


def test_kubectl_exec_with_a_terminal(node: RunningNode) -> None:
    node.run("terminal", "sleep", "1000")
    node.wait_ready("terminal")
    inner = f"{kubectl_path()} --kubeconfig {node.api.kubeconfig} exec -it terminal -- sh -c 'tty; exit 5'"
    done = subprocess.run(
        ["script", "-qec", inner, "/dev/null"], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert "/dev/pts/" in done.stdout
    assert done.returncode == 5


def test_kubectl_run_attaches_and_passes_the_end_of_input_on(node: RunningNode) -> None:
    overrides = f'{{"spec":{{"nodeName":"{NODE}"}}}}'
    script = "read line; echo got $line; cat; exit 3"
    done = node.kubectl.run(
        *("run", "asked", "-i", "--rm", "--restart=Never", "--image=clusterip.local/host"),
        *("--overrides", overrides, "--command", "--", "sh", "-c", script),
        stdin="one\ntwo\n",
    )
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith("got one\ntwo\n")


def test_kubectl_logs_options(node: RunningNode) -> None:
    node.run("writer", "sh", "-c", "for i in 1 2 3 4 5; do echo line $i; done; echo oops >&2; sleep 1000")
    node.wait_ready("writer")
    eventually(lambda: "oops" in node.kubectl("logs", "writer"))
    assert node.kubectl("logs", "writer", "--tail=2") == "line 5\noops\n"
    assert node.kubectl("logs", "writer", "--limit-bytes=6") == "line 1"
    stamped = node.kubectl("logs", "writer", "--timestamps", "--tail=1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z oops\n", stamped)
    assert node.kubectl("logs", "writer", "--since=1h").count("\n") == 6


def test_kubectl_port_forward(node: RunningNode) -> None:
    node.apply("forwarded", {"containers": [{"name": "main", "image": "clusterip.local/echo"}]})
    node.wait_ready("forwarded")
    forward = subprocess.Popen(
        [
            *(str(kubectl_path()), "--kubeconfig", str(node.api.kubeconfig)),
            *("port-forward", "pod/forwarded", ":8080", "--address", "127.0.0.1"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert forward.stdout
        match = re.match(r"Forwarding from 127.0.0.1:(\d+) -> 8080", forward.stdout.readline())
        assert match
        port = int(match[1])
        eventually(lambda: _answers(port))
        answers = [get("127.0.0.1", port) for _ in range(20)]
        assert answers == ["forwarded\n"] * 20
    finally:
        forward.terminate()
        forward.communicate()


def _answers(port: int) -> bool:
    try:
        return get("127.0.0.1", port) == "forwarded\n"
    except OSError:
        return False


def test_pods_reach_each_other_without_translation(node: RunningNode) -> None:
    node.apply("server", {"containers": [{"name": "main", "image": "clusterip.local/echo"}]})
    node.run("client", "sleep", "1000")
    server = node.wait_ready("server")["status"]["podIP"]
    client = node.wait_ready("client")["status"]["podIP"]
    shown = eventually(
        lambda: node.kubectl.run("exec", "client", "--", "curl", "-s", f"http://{server}:8080").stdout
    )
    assert shown == "server\n"
    listen = "import socket; s = socket.create_server(('', 9000)); print(s.accept()[1][0], flush=True)"
    outcome: list[str] = []
    accepting = threading.Thread(
        target=lambda: outcome.append(node.kubectl("exec", "server", "--", "python3", "-c", listen))
    )
    accepting.start()
    connect = f"until python3 -c \"import socket; socket.create_connection(('{server}', 9000))\"; do :; done"
    node.kubectl("exec", "client", "--", "sh", "-c", f"{connect} 2>/dev/null")
    accepting.join(20)
    assert outcome == [f"{client}\n"]


def test_a_pod_in_the_nodes_network(node: RunningNode) -> None:
    node.run("host", "sleep", "1000", hostNetwork=True)
    pod = node.wait_ready("host")
    assert pod["status"]["podIP"] == pod["status"]["hostIP"] == "172.30.99.10"
    assert node.kubectl("exec", "host", "--", "hostname") == f"{NODE}\n"
    assert "eth0" in node.kubectl("exec", "host", "--", "ip", "link")


def test_the_hosts_files_are_seen_but_safe(node: RunningNode) -> None:
    marker = Path("/var/tmp/clusterip-test-marker")
    look = f"ls {marker}; test -e {node.root} || echo hidden; ls /etc/os-release"
    script = f"echo x > {marker}; {look}; sleep 1000"
    node.run("viewer", "sh", "-c", script)
    node.wait_ready("viewer")
    expected = [str(marker), "hidden", "/etc/os-release"]
    eventually(lambda: node.kubectl("logs", "viewer").splitlines() == expected)
    assert not marker.exists()


def test_finished_pods_give_their_network_back(node: RunningNode) -> None:
    node.run("brief", "true", restartPolicy="Never")
    node.wait_phase("brief", "Succeeded")
    uid = (node.pod("brief") or {})["metadata"]["uid"]
    eventually(lambda: network_name(uid) not in namespaces.names())


def test_an_agent_killed_at_any_moment_leaves_nothing_half_done(node: RunningNode) -> None:
    names = [f"chaos-{number}" for number in range(8)]
    generator = random.Random(7)
    probe = {"httpGet": {"port": 8080}, "periodSeconds": 1}
    main = {"name": "main", "image": "clusterip.local/echo", "readinessProbe": probe}
    for name in names:
        node.apply(name, {"containers": [main]})
        if generator.random() < 0.5:
            time.sleep(generator.random() * 0.1)  # somewhere between its sandbox and its readiness
            node.kill()
            node.start()
    pods = [node.wait_ready(name) for name in names]
    assert len({pod["status"]["podIP"] for pod in pods}) == len(names)
    assert [get(pod["status"]["podIP"]).strip() for pod in pods] == names
    running = [entry for pod in pods for entry in _containers_of(node, pod["metadata"]["uid"])]
    assert len(running) == len(names)  # no second one that nobody knows of
    for name in names:
        node.kubectl("delete", "pod", name, "--wait=false")
        if generator.random() < 0.3:
            time.sleep(generator.random() * 0.1)
            node.kill()
            node.start()
    for name, pod in zip(names, pods, strict=True):
        node.wait_gone(name)
        uid = pod["metadata"]["uid"]
        eventually(lambda uid=uid: not (node.root / "pods" / uid).exists())
        assert network_name(uid) not in namespaces.names()
        assert _containers_of(node, uid) == []


def _containers_of(node: RunningNode, uid: str) -> list[Path]:
    """What crun knows of a Pod's running containers."""
    return [entry for entry in (node.root / "crun").iterdir() if _pod_of(entry) == uid]
