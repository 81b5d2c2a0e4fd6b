"""Looking into Pods that run: ephemeral containers, ``kubectl debug``, shared processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.kubectl import kubectl_path
from tests.support.nodes import NODE, RunningNode, container_status, eventually, is_ready, running_node

IMAGE = "clusterip.local/host"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with running_node(tmp_path_factory.mktemp("node")) as running:
        yield running


def ephemeral(pod: dict[str, Any], name: str) -> dict[str, Any]:
    """The status of an ephemeral container; empty if it has none yet."""
    found = pod["status"].get("ephemeralContainerStatuses", [])
    status: dict[str, Any] = next((each for each in found if each["name"] == name), {})
    return status


def in_terminal(node: RunningNode, arguments: str, typed: str) -> subprocess.CompletedProcess[str]:
    """Run kubectl at a terminal, with somebody who types."""
    command = f"{kubectl_path()} --kubeconfig {node.api.kubeconfig} {arguments}"
    return subprocess.run(
        ["script", "-qec", command, "/dev/null"], input=typed, capture_output=True, text=True, timeout=60
    )


def test_kubectl_debug_adds_a_container_to_the_pod(node: RunningNode) -> None:
    node.run("looked", "sleep", "1000")
    address = node.wait_ready("looked")["status"]["podIP"]
    options = f"debug -q looked -it --image={IMAGE} -c look --profile=general -- sh -c"
    done = in_terminal(node, f"{options} 'read line; echo got $line; ip addr show eth0'", "word\n")
    assert "got word" in done.stdout
    assert f"inet {address}/32" in done.stdout
    pod = node.wait("looked", lambda pod: "terminated" in ephemeral(pod, "look").get("state", {}))
    status = ephemeral(pod, "look")
    assert (status["state"]["terminated"]["exitCode"], status["ready"]) == (0, False)
    assert "started" not in status
    assert pod["metadata"]["generation"] == 2
    assert is_ready(pod)
    assert "got word" in node.kubectl("logs", "looked", "-c", "look")
    # It is not run again, also by an agent that finds it as it was left.
    node.kill()
    node.start()
    pod = node.wait_ready("looked")
    assert ephemeral(pod, "look")["containerID"] == status["containerID"]
    assert container_status(pod)["restartCount"] == 0


def test_a_debug_container_sees_the_processes_of_its_target(node: RunningNode) -> None:
    node.run("aimed", "sleep", "1234")
    node.wait_ready("aimed")
    script = "tr '\\0' ' ' < /proc/1/cmdline; echo; read line; echo got $line"
    options = ("-i", "--attach=false", f"--image={IMAGE}", "-c", "look", "--target=main")
    node.kubectl("debug", "aimed", *options, "--", "sh", "-c", script)
    node.wait("aimed", lambda pod: "running" in ephemeral(pod, "look").get("state", {}))
    eventually(lambda: node.kubectl("logs", "aimed", "-c", "look") == "sleep 1234 \n")
    assert node.kubectl("exec", "aimed", "-c", "look", "--", "cat", "/proc/1/comm") == "sleep\n"
    assert "got it" in node.kubectl("attach", "-i", "aimed", "-c", "look", stdin="it\n")
    node.wait("aimed", lambda pod: "terminated" in ephemeral(pod, "look")["state"])
    node.kubectl("delete", "pod", "aimed")
    node.wait_gone("aimed")


def test_a_debug_container_cannot_be_aimed_at_what_does_not_run(node: RunningNode) -> None:
    init = {
        "name": "init",
        "image": IMAGE,
        "command": ["sh", "-c", "until test -e /tmp/go; do sleep 0.1; done"],
    }
    main = {"name": "main", "image": IMAGE, "command": ["sleep", "1000"]}
    node.apply("early", {"initContainers": [init], "containers": [main]})
    node.wait("early", lambda pod: "running" in container_status(pod, "init").get("state", {}))
    node.kubectl("debug", "early", f"--image={IMAGE}", "-c", "look", "--target=main", "--", "sleep", "1000")

    def refused(pod: dict[str, Any]) -> bool:
        waiting = ephemeral(pod, "look").get("state", {}).get("waiting", {})
        return bool(waiting.get("message") == "unable to find target container main")

    node.wait("early", refused)
    node.kubectl("exec", "early", "-c", "init", "--", "touch", "/tmp/go")
    node.wait("early", lambda pod: "running" in ephemeral(pod, "look").get("state", {}))


def test_only_additions_are_accepted(node: RunningNode) -> None:
    node.run("strict", "sleep", "1000")
    node.wait_ready("strict")
    path = "/api/v1/namespaces/default/pods/strict/ephemeralcontainers"

    def patch(*containers: dict[str, Any]) -> tuple[int, Any]:
        body = {"spec": {"ephemeralContainers": list(containers), "activeDeadlineSeconds": 5}}
        return node.api.request("PATCH", path, body, Content_Type="application/merge-patch+json")

    one = {"name": "one", "image": IMAGE, "command": ["true"]}
    code, pod = patch(one)
    assert code == 200
    assert "activeDeadlineSeconds" not in pod["spec"]
    for changed, message in (
        ([], 'existing ephemeral containers "one" may not be removed'),
        ([one | {"image": "other"}], 'existing ephemeral containers "one" may not be changed'),
        ([one, {"name": "two", "image": IMAGE, "ports": [{"containerPort": 1}]}], "ports: Forbidden"),
        (
            [one, {"name": "two", "image": IMAGE, "targetContainerName": "x"}],
            "targetContainerName: Not found",
        ),
        ([one, {"name": "main", "image": IMAGE}], "name: Duplicate value"),
    ):
        code, body = patch(*changed)
        assert code == 422
        assert message in body["message"]
    code, body = node.api.request("GET", path)
    assert [each["name"] for each in body["spec"]["ephemeralContainers"]] == ["one"]


def test_kubectl_debug_of_a_node_has_the_nodes_files_and_processes(node: RunningNode) -> None:
    script = "chroot /host test -e /etc/os-release && ip -o addr show eth0; cat /proc/1/comm; sleep 1000"
    shown = node.kubectl(
        "debug", f"node/{NODE}", f"--image={IMAGE}", "--profile=sysadmin", "--", "sh", "-c", script
    )
    name = next(word for word in shown.split() if word.startswith("node-debugger-"))
    node.wait_ready(name)
    first = Path("/proc/1/comm").read_text()
    eventually(lambda: node.kubectl("logs", name).endswith(first))
    assert "172.30.99.10" in node.kubectl("logs", name)
    node.kubectl("delete", "pod", name)  # also what the shell started


def test_containers_that_share_processes(node: RunningNode) -> None:
    def container(name: str, script: str) -> dict[str, Any]:
        return {"name": name, "image": IMAGE, "command": ["sh", "-c", script]}

    # The first leaves an orphan behind that ends at once; the second says what it sees.
    orphan = "(sh -c 'sleep 0.2; exit 0' &) ; echo shared > /dev/shm/note; exec sleep 1111"
    containers = [container("one", orphan), container("two", "exec sleep 2222")]
    node.apply("shared", {"shareProcessNamespace": True, "containers": containers})
    before = node.wait_ready("shared")

    def processes() -> list[str]:
        return node.kubectl("exec", "shared", "-c", "two", "--", "ps", "-eo", "args=").splitlines()

    eventually(lambda: {"sleep 1111", "sleep 2222"} <= set(processes()))
    eventually(lambda: not any("defunct" in each for each in processes()))
    assert "pause.sh" in processes()[0]
    assert node.kubectl("exec", "shared", "-c", "two", "--", "cat", "/dev/shm/note") == "shared\n"
    # One that ends is run again alone; what it started in the background goes with it.
    script = "sleep 3333 & kill $(pgrep -x -f 'sleep 1111')"
    node.kubectl.run("exec", "shared", "-c", "one", "--", "sh", "-c", script)
    after = node.wait(
        "shared", lambda pod: container_status(pod, "one")["restartCount"] == 1 and is_ready(pod)
    )
    assert "sleep 3333" not in processes()
    assert container_status(after, "two")["containerID"] == container_status(before, "two")["containerID"]
    # It outlives the agent, and whoever kills the first process gets a new Pod.
    node.kill()
    node.start()
    again = node.wait_ready("shared")
    assert container_status(again, "two")["restartCount"] == 0
    record = json.loads((node.root / "pods" / again["metadata"]["uid"] / "sandbox.json").read_text())
    os.kill(record["first_process"], signal.SIGKILL)
    node.wait("shared", lambda pod: container_status(pod, "two")["restartCount"] == 1)
    assert eventually(lambda: any(reason == "SandboxChanged" for reason, _ in node.events("shared")))
    node.kubectl("delete", "pod", "shared")
    assert not (node.root / "pods" / again["metadata"]["uid"]).exists()


def test_a_pod_in_the_nodes_ipc_namespace(node: RunningNode) -> None:
    main = {"name": "main", "image": IMAGE, "command": ["sleep", "1000"]}
    node.apply("ipc", {"hostIPC": True, "containers": [main]})
    node.wait_ready("ipc")
    assert node.kubectl("exec", "ipc", "--", "readlink", "/proc/self/ns/ipc").strip() == os.readlink(
        "/proc/self/ns/ipc"
    )
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        assert node.kubectl("exec", "ipc", "--", "ls", file.name).strip() == file.name
