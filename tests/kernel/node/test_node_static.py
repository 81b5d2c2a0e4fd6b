"""Static Pods: from files of the node, with and without an API server."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.nodes import (
    ADDRESS,
    NODE,
    RunningNode,
    container_status,
    eventually,
    is_ready,
    running_node,
)

MIRROR = f"web-{NODE}"


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("manifests")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, manifests: Path) -> Iterator[RunningNode]:
    with running_node(tmp_path_factory.mktemp("node"), f"--pod-manifest-path={manifests}") as running:
        yield running


def manifest(name: str = "web", **spec: Any) -> str:
    main = {"name": "main", "image": "clusterip.local/echo", "env": [{"name": "PORT", "value": "8080"}]}
    spec = {"containers": [main], "terminationGracePeriodSeconds": 1, **spec}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def put(directory: Path, name: str, text: str) -> None:
    """Replace a file at once, as editors do."""
    (directory / f".{name}").write_text(text)
    (directory / f".{name}").rename(directory / name)


def answers(address: str, name: str = MIRROR) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}:8080/", timeout=2) as response:
            return bool(response.read() == f"{name}\n".encode())
    except OSError:
        return False


def test_a_file_is_a_pod_with_a_mirror(node: RunningNode, manifests: Path) -> None:
    put(manifests, "web.yaml", manifest())
    pod = node.wait_ready(MIRROR)
    annotations = pod["metadata"]["annotations"]
    assert annotations["kubernetes.io/config.source"] == "file"
    assert annotations["kubernetes.io/config.mirror"] == annotations["kubernetes.io/config.hash"]
    assert "kubernetes.io/config.seen" in annotations
    owner = pod["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Node", NODE, True)
    assert {"operator": "Exists", "effect": "NoExecute"} in pod["spec"]["tolerations"]
    eventually(lambda: answers(pod["status"]["podIP"]))  # it need not listen at once
    assert node.kubectl("exec", MIRROR, "--", "hostname") == f"{MIRROR}\n"
    code, body = node.api.request(
        "PATCH",
        f"/api/v1/namespaces/default/pods/{MIRROR}/ephemeralcontainers",
        {"spec": {"ephemeralContainers": [{"name": "x", "image": "x"}]}},
        Content_Type="application/merge-patch+json",
    )
    assert code == 422
    assert "static pods do not support ephemeral containers" in body["message"]


def test_who_deletes_the_mirror_gets_another(node: RunningNode) -> None:
    before = node.wait_ready(MIRROR)
    node.kubectl("delete", "pod", MIRROR, "--wait=false")
    uid = before["metadata"]["uid"]
    after = node.wait(MIRROR, lambda pod: pod["metadata"]["uid"] != uid and is_ready(pod))
    assert container_status(after)["containerID"] == container_status(before)["containerID"]
    assert container_status(after)["restartCount"] == 0


def test_static_pods_need_no_api_server(node: RunningNode, manifests: Path) -> None:
    before = node.wait_ready(MIRROR)
    node.kill()
    node.api.kill()
    node.launch()  # finds what runs
    assert answers(before["status"]["podIP"])
    put(
        manifests,
        "more.yaml",
        manifest(
            "more",
            hostNetwork=True,
            containers=[
                {
                    "name": "main",
                    "image": "clusterip.local/host",
                    "command": ["sh", "-c", "echo here; sleep 1000"],
                }
            ],
        ),
    )
    put(manifests, "web.yaml", manifest(hostname="changed"))

    def new_address() -> str:
        for record in node.root.glob("pods/*/sandbox.json"):
            found = json.loads(record.read_text())
            if found["hostname"] == "changed" and answers(found["addresses"][0], "changed"):
                return str(found["addresses"][0])
        return ""

    address = eventually(new_address)
    eventually(lambda: any("here" in log.read_text() for log in node.root.glob("pods/*/logs/main/0.log")))
    node.api.start()
    pod = node.wait(MIRROR, lambda pod: pod["status"].get("podIP") == address and is_ready(pod))
    assert pod["spec"]["hostname"] == "changed"
    assert node.wait_ready(f"more-{NODE}")["status"]["podIP"] == ADDRESS
    eventually(lambda: node.kubectl("logs", f"more-{NODE}") == "here\n")


def test_bad_files_are_said_and_harm_nobody(node: RunningNode, manifests: Path) -> None:
    put(manifests, "a-list.yaml", "- 1\n")
    put(manifests, "broken.yaml", "{")
    put(manifests, "nameless.yaml", manifest(""))
    put(
        manifests,
        "secretive.yaml",
        manifest("secretive", volumes=[{"name": "v", "secret": {"secretName": "s"}}]),
    )
    put(manifests, "twice.yaml", manifest("more"))
    expected = {
        "a-list.yaml": 'not a single Pod of apiVersion "v1"',
        "broken.yaml": "neither YAML nor JSON",
        "nameless.yaml": "metadata.name: Required value",
        "secretive.yaml": "static pods may not reference secrets",
        "twice.yaml": "the same Pod as in",
    }

    def said() -> bool:
        messages = [message for reason, message in node.events(NODE) if reason == "InvalidStaticPod"]
        return all(
            any(f"/{name}: " in each and text in each for each in messages) for name, text in expected.items()
        )

    eventually(said, explain=lambda: str(node.events(NODE)))
    assert is_ready(node.pod(MIRROR) or {})
    for name in expected:
        (manifests / name).unlink()


def test_without_its_file_a_pod_ends(node: RunningNode, manifests: Path) -> None:
    node.wait_ready(MIRROR)
    (manifests / "web.yaml").unlink()
    node.wait_gone(MIRROR)
    node.kill()
    os.remove(manifests / "more.yaml")
    node.start()
    node.wait_gone(f"more-{NODE}")
    eventually(lambda: not list((node.root / "pods").iterdir()))
