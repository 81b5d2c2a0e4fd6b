"""Helm with a chart of all that a chart usually brings: both ways of applying, hooks, waiting."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import TestCluster
from tests.support.kubectl import Kubectl, helm_path

CHART = Path(__file__).parents[1] / "charts" / "greeter"
KINDS = "deployments,services,configmaps,secrets,serviceaccounts,roles,rolebindings"


class Helm:
    """One release, in a namespace of its own."""

    def __init__(self, cluster: TestCluster, home: Path, release: str, *, server_side: bool) -> None:
        self.release = release
        self.kubectl = Kubectl(cluster.paths.admin_kubeconfig, home)
        self._environment = {
            "KUBECONFIG": str(cluster.paths.admin_kubeconfig),
            "HOME": str(home),
            "HELM_NAMESPACE": release,
            "PATH": os.environ["PATH"],
        }
        self._applying = (f"--server-side={str(server_side).lower()}", "--timeout=60s")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [helm_path(), *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def __call__(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def install(self, *options: str) -> str:
        arguments = ("--wait", "--create-namespace", *self._applying, *options)
        return self("install", self.release, str(CHART), *arguments)

    def upgrade(self, *options: str) -> str:
        return self("upgrade", self.release, str(CHART), "--wait", *self._applying, *options)

    def upgrade_fails(self, *options: str) -> str:
        done = self.run("upgrade", self.release, str(CHART), *self._applying, *options)
        assert done.returncode != 0
        return done.stderr

    def rollback(self, revision: int) -> None:
        self("rollback", self.release, str(revision), "--wait", *self._applying)

    def revisions(self) -> list[tuple[int, str]]:
        """Numbers and states."""
        history = json.loads(self("history", self.release, "-o", "json"))
        return [(each["revision"], each["status"]) for each in history]

    def get(self, kind: str) -> Any:
        """An object of the release."""
        return json.loads(self.kubectl("get", kind, self.release, "-n", self.release, "-o", "json"))


@pytest.fixture(params=[True, False], ids=["server-side", "three-way"])
def helm(cluster: TestCluster, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Helm]:
    name = request.node.originalname.removeprefix("test_").replace("_", "-")[:40].strip("-")
    helm = Helm(cluster, tmp_path, f"{name}-{request.param_index}", server_side=request.param)
    yield helm
    helm.run("uninstall", helm.release, "--no-hooks")
    helm.kubectl("delete", "namespace", helm.release, "--wait=false", "--ignore-not-found")


def test_a_release_from_install_to_uninstall(helm: Helm) -> None:
    assert "says hello" in helm.install()
    assert helm.get("deployment")["status"]["readyReplicas"] == 2
    assert helm.revisions() == [(1, "deployed")]
    assert "Succeeded" in helm("test", helm.release)
    deployed = json.loads(helm("list", "-o", "json"))
    assert [(each["name"], each["status"]) for each in deployed] == [(helm.release, "deployed")]

    helm.upgrade("--set", "greeting=bye,replicas=3,extra=more")
    assert helm.get("configmap")["data"] == {"greeting": "bye", "extra": "more"}
    assert helm.get("deployment")["status"]["readyReplicas"] == 3

    helm.rollback(1)
    assert helm.get("configmap")["data"] == {"greeting": "hello"}
    assert helm.get("deployment")["spec"]["replicas"] == 2
    assert helm.revisions() == [(1, "superseded"), (2, "superseded"), (3, "deployed")]

    helm("uninstall", helm.release, "--wait", "--timeout=60s")
    left = helm.kubectl("get", KINDS, "-n", helm.release, "-o", "name").split()
    assert left == ["configmap/kube-root-ca.crt", "serviceaccount/default"]


def test_an_upgrade_leaves_alone_what_others_changed(helm: Helm) -> None:
    helm.install("--set", "replicas=1")
    helm.kubectl("annotate", "configmap", helm.release, "mine=1", "-n", helm.release)
    helm.kubectl("label", "service", helm.release, "mine=1", "-n", helm.release)
    node_port = '{"spec":{"type":"NodePort"}}'
    helm.kubectl("patch", "service", helm.release, "-p", node_port, "-n", helm.release)
    helm.upgrade("--set", "replicas=1,greeting=bye,port=81")
    assert helm.get("configmap")["metadata"]["annotations"]["mine"] == "1"
    assert helm.get("configmap")["data"]["greeting"] == "bye"
    service = helm.get("service")
    assert service["metadata"]["labels"]["mine"] == "1"
    assert service["spec"]["type"] == "NodePort"
    assert [port["port"] for port in service["spec"]["ports"]] == [81]


def test_an_upgrade_that_fails_can_be_rolled_back(helm: Helm) -> None:
    helm.install("--set", "replicas=1")
    refused = helm.upgrade_fails("--set", "replicas=1,port=99999")
    assert "must be between 1 and 65535, inclusive" in refused
    assert helm.revisions() == [(1, "deployed"), (2, "failed")]
    assert "failed" in helm.upgrade_fails("--set", "replicas=1,hook=exit 3")
    helm.rollback(1)
    assert helm.revisions()[-1] == (4, "deployed")
    assert [port["port"] for port in helm.get("service")["spec"]["ports"]] == [80]
