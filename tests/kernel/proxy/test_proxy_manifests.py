"""What ``deploy/`` installs: the API server takes it, and the proxy works with what it says and no more."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from proxy_network import Network
from proxy_process import Node, until

from clusterip.proxy.config.load import load
from tests.support.kubectl import kubectl_path

DEPLOY = Path(__file__).parents[3] / "deploy"
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture
def guarded(network: Network, tmp_path: Path) -> Iterator[Node]:
    """An API server that asks whether somebody may."""
    node = Node(network, tmp_path, "--authorization-mode=Node,RBAC")
    yield node
    node.close()


def kubectl(node: Node, *arguments: str) -> str:
    return node.run(str(kubectl_path()), f"--kubeconfig={node.api.kubeconfig}", *arguments)


def documents(file: str) -> dict[str, Any]:
    found = yaml.safe_load_all((DEPLOY / file).read_text())
    return {document["kind"]: document for document in found}


def test_the_api_server_takes_them(guarded: Node) -> None:
    strictly = ("--dry-run=server", "--validate=strict")
    told = kubectl(guarded, "apply", *strictly, "-k", str(DEPLOY))
    assert told.count("created (server dry run)") == 5
    assert "created" in kubectl(guarded, "apply", *strictly, "-f", str(DEPLOY / "proxy-removal.yaml"))


def test_their_arguments_are_understood(tmp_path: Path) -> None:
    settings = documents("proxy.yaml")["ConfigMap"]["data"]
    (tmp_path / "config.conf").write_text(settings["config.conf"])
    containers = []
    for file in ("proxy.yaml", "proxy-removal.yaml"):
        pod = documents(file)["DaemonSet"]["spec"]["template"]["spec"]
        containers += [c for c in (*pod["initContainers"], *pod["containers"]) if "args" in c]
    loaded = []
    for container in containers:
        program, *flags = container["args"]
        assert program == "proxy"
        given = dict((*flag.removeprefix("--").split("=", 1), "true")[:2] for flag in flags)
        if "config" in given:
            assert given["config"] == "/var/lib/kube-proxy/config.conf"
            given["config"] = str(tmp_path / "config.conf")
        loaded.append(load(given, ("nftables", "iptables")))
    settings_, proxy, removal = loaded
    assert all(options.warnings == () for options in loaded)
    assert settings_.init_only
    assert proxy.cleanup_kube_proxy
    assert (removal.cleanup, removal.cleanup_modes) == (True, ("nftables",))


async def test_the_role_is_enough_and_the_configuration_works(guarded: Node, tmp_path: Path) -> None:
    kubectl(guarded, "apply", "-f", str(DEPLOY / "proxy.yaml"))
    data = documents("proxy.yaml")["ConfigMap"]["data"]
    account = tmp_path / "account"
    account.mkdir()
    token = kubectl(guarded, "-n", "kube-system", "create", "token", "clusterip-proxy")
    (account / "token").write_text(token)
    (account / "ca.crt").write_bytes(guarded.api.ca_file.read_bytes())
    kubeconfig = data["kubeconfig.conf"].replace("https://CONTROL-PLANE:6443", guarded.api.url)
    (tmp_path / "kubeconfig.conf").write_text(kubeconfig.replace(ACCOUNT, str(account)))
    config = data["config.conf"].replace("/var/lib/kube-proxy", str(tmp_path))
    (tmp_path / "config.conf").write_text(config)
    guarded.add_node()
    await guarded.start_proxy(f"--config={tmp_path / 'config.conf'}", "--cleanup-kube-proxy")
    await until(lambda: "Starting" in kubectl(guarded, "get", "events"))
    for refusal in ("403", "forbidden", "event refused"):
        assert refusal not in guarded.log.read_text()


def test_the_image_gets_all_that_the_wheel_is_built_from() -> None:
    """What the Containerfile copies exists, is not ignored, and includes the build's own hook."""
    root = DEPLOY.parent
    lines = (root / "Containerfile").read_text().splitlines()
    copied = [
        name
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for name in line.split()[1:-1]
    ]
    allowed = {line[1:] for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) == allowed
    assert all((root / name).exists() for name in copied)
    build = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert "custom" in build["targets"]["wheel"]["hooks"]
    assert "hatch_build.py" in copied
