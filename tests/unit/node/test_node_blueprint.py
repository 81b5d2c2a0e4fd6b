"""From a container of a Pod to what the runtime is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clusterip.node.images.manifest import Process
from clusterip.node.images.store import Image
from clusterip.node.layout import PodDirectory
from clusterip.node.pods import blueprint
from clusterip.node.pods.environment import ConfigurationError
from clusterip.node.runtime.spec import ContainerSpec, Mount, configuration
from clusterip.node.sandbox.sandbox import Record, Sandbox
from clusterip.objects import codec
from clusterip.objects.core.pod import Pod

PROCESS = Process(Entrypoint=["/entry"], Cmd=["cmd"], Env=["PATH=/p", "A=image"], WorkingDir="/w", User="7:8")


def built(
    tmp_path: Path, container: dict[str, Any] | None = None, process: Process = PROCESS, **spec: Any
) -> ContainerSpec:
    tree = {"containers": [{"name": "main", "image": "i", **(container or {})}], **spec}
    pod = codec.convert({"metadata": {"name": "p", "namespace": "ns"}, "spec": tree}, Pod)
    image = Image("i:1", "sha256:1", "sha256:2", process, (tmp_path,), 1)
    record = Record("net", "veth", ["10.0.0.5"], "host", "")
    return blueprint.build(
        pod,
        pod.spec.containers[0],
        image,
        Sandbox(PodDirectory(tmp_path), record),
        environment={"B": "pod"},
        volumes={"v": tmp_path},
        hidden=[],
        termination_log=tmp_path / "log",
    )


@pytest.mark.parametrize(
    ("container", "args"),
    [
        ({}, ["/entry", "cmd"]),
        ({"args": ["x"]}, ["/entry", "x"]),
        ({"command": ["/own"]}, ["/own"]),
        ({"command": ["/own"], "args": ["$(B)", "$$(B)"]}, ["/own", "pod", "$(B)"]),
    ],
)
def test_dockers_rule_of_commands(tmp_path: Path, container: dict[str, Any], args: list[str]) -> None:
    assert built(tmp_path, container).args == args


def test_an_image_without_a_command(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no command specified"):
        built(tmp_path, {}, Process())


def test_the_pods_variables_win_over_the_images(tmp_path: Path) -> None:
    environment = dict(built(tmp_path).env)
    assert environment == {"PATH": "/p", "HOSTNAME": "host", "A": "image", "B": "pod", "HOME": "/"}


def test_users_and_groups(tmp_path: Path) -> None:
    user = built(tmp_path).user
    assert (user.uid, user.gid) == (7, 8)
    shared = {"runAsUser": 1, "runAsGroup": 2, "fsGroup": 3, "supplementalGroups": [4]}
    user = built(tmp_path, securityContext=shared).user
    assert (user.uid, user.gid, user.groups) == (1, 2, (3, 4))
    user = built(tmp_path, {"securityContext": {"runAsUser": 9}}, securityContext=shared).user
    assert (user.uid, user.gid) == (9, 2)


def test_root_where_it_is_not_wanted(tmp_path: Path) -> None:
    context = {"securityContext": {"runAsNonRoot": True}}
    assert built(tmp_path, context).user.uid == 7
    with pytest.raises(ConfigurationError, match="image will run as root"):
        built(tmp_path, context, Process(Cmd=["x"]))
    context["securityContext"]["runAsUser"] = 0
    with pytest.raises(ConfigurationError, match="breaks non-root policy"):
        built(tmp_path, context)


def test_capabilities(tmp_path: Path) -> None:
    change = {"securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}}
    assert built(tmp_path, change).capabilities == ["NET_BIND_SERVICE"]
    change = {"securityContext": {"capabilities": {"drop": ["cap_kill"], "add": ["NET_ADMIN"]}}}
    names = built(tmp_path, change).capabilities
    assert "KILL" not in names
    assert "NET_ADMIN" in names
    assert "CHOWN" in names


def test_mounts_stay_within_their_volume(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    mount = {"name": "v", "mountPath": "/data", "subPath": "link/x", "readOnly": True}
    mounts = built(tmp_path, {"volumeMounts": [mount]}).mounts
    assert mounts[-1] == Mount(tmp_path / "etc" / "x", "/data", True)
    mount["subPath"] = "../x"
    with pytest.raises(ConfigurationError, match="must stay within the volume"):
        built(tmp_path, {"volumeMounts": [mount]})


def test_a_sub_path_out_of_variables_needs_them_all(tmp_path: Path) -> None:
    mount = {"name": "v", "mountPath": "/data", "subPathExpr": "of-$(B)"}
    assert built(tmp_path, {"volumeMounts": [mount]}).mounts[-1] == Mount(tmp_path / "of-pod", "/data")
    mount["subPathExpr"] = "of-$(NOBODY)"
    with pytest.raises(ConfigurationError, match='missing value for "NOBODY"'):
        built(tmp_path, {"volumeMounts": [mount]})


def test_groups_of_the_image_count_unless_the_pod_is_strict(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("app:x:7:8::/:/bin/sh\n")
    (tmp_path / "etc/group").write_text("wheel:x:50:app\n")
    assert built(tmp_path).user.groups == (50,)
    shared = {"supplementalGroups": [60], "supplementalGroupsPolicy": "Strict"}
    assert built(tmp_path, securityContext=shared).user.groups == (60,)


def test_the_configuration_joins_the_sandbox_and_names_no_cgroups(tmp_path: Path) -> None:
    made = configuration(built(tmp_path))
    kinds = {each["type"]: each.get("path", "") for each in made["linux"]["namespaces"]}
    assert kinds.keys() == {"mount", "pid", "network", "uts", "ipc"}
    assert kinds["network"] == "/run/netns/net"
    assert "resources" not in made["linux"]
    assert not [mount for mount in made["mounts"] if mount["type"] == "cgroup"]
    assert {m["destination"] for m in made["mounts"]} >= {
        "/etc/hosts",
        "/etc/resolv.conf",
        "/dev/termination-log",
    }
