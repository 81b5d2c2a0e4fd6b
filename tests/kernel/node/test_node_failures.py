"""What a node cannot do it says, and goes on once it can."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clusterip.kernel.rtnetlink import RouteSocket
from tests.support.nodes import (
    NODE,
    POD_CIDR,
    RunningNode,
    container_status,
    eventually,
    is_ready,
    running_node,
)


def ready(node: RunningNode) -> dict[str, Any]:
    _code, found = node.api.request("GET", f"/api/v1/nodes/{NODE}")
    return next(each for each in found["status"]["conditions"] if each["type"] == "Ready")


def test_a_machine_in_its_own_pods_network(tmp_path: Path) -> None:
    inside = POD_CIDR.replace(".0/24", ".77/24")
    with running_node(tmp_path) as node, RouteSocket() as route:
        node.kill()
        eth0 = route.index("eth0")
        route.add_address(eth0, inside)
        node.launch()
        problem = f"podCIDR {POD_CIDR} has the address {inside.partition('/')[0]} of eth0 in it"
        eventually(lambda: problem in ready(node)["message"])
        assert ready(node)["status"] == "False"
        eventually(lambda: any(problem in message for _reason, message in node.events(NODE)))
        route.delete_address(eth0, inside)
        eventually(lambda: ready(node)["status"] == "True")


def test_without_crun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent does not begin; one that has begun says what is missing, and its Pods run on."""
    programs = tmp_path / "bin"
    programs.mkdir()
    crun = Path(shutil.which("crun") or "")
    (programs / "crun").symlink_to(crun)
    others = [path for path in os.environ["PATH"].split(":") if not (Path(path) / "crun").exists()]
    for path in {Path(each) for each in os.environ["PATH"].split(":")} - {Path(each) for each in others}:
        for program in path.iterdir():
            if program.name != "crun" and not (programs / program.name).exists():
                (programs / program.name).symlink_to(program)
    monkeypatch.setenv("PATH", ":".join([str(programs), *others]))
    with running_node(tmp_path) as node:
        node.run("before", "sleep", "1000")
        before = container_status(node.wait_ready("before"))
        (programs / "crun").unlink()
        node.run("after", "sleep", "1000")

        def told(pod: dict[str, Any]) -> bool:
            last = container_status(pod).get("lastState", {}).get("terminated", {})
            return last.get("reason") == "StartError" and "crun" in last.get("message", "")

        pod = node.wait("after", told)
        message = container_status(pod)["lastState"]["terminated"]["message"]
        assert message == f"the container runtime {programs / 'crun'} is not found; install it again"
        eventually(lambda: ("Failed", f"Error: {message}") in node.events("after"))
        assert "install it again" in node.kubectl.fails("exec", "before", "--", "true")
        node.kill()
        command = [sys.executable, "-m", "clusterip.cli.node", f"--kubeconfig={node.api.kubeconfig}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert "crun is not installed; it runs the containers. On Debian: apt install crun" in done.stderr
        (programs / "crun").symlink_to(crun)
        node.start()
        found = node.pod("before") or {}
        assert (container_status(found)["containerID"], is_ready(found)) == (before["containerID"], True)


def test_the_api_server_and_the_runtime_are_killed_together(tmp_path: Path) -> None:
    """What ends meanwhile is reported, what runs goes on, what the runtime's death took is begun anew."""
    with running_node(tmp_path) as node:
        node.run("steady", "sleep", "1000")
        node.run(
            "ending", "sh", "-c", "until [ -e /tmp/end ]; do sleep 0.02; done; exit 5", restartPolicy="Never"
        )
        node.run("orphaned", "sleep", "1000")
        steady = container_status(node.wait_ready("steady"))
        ending, orphaned = node.wait_ready("ending"), node.wait_ready("orphaned")

        def place(pod: dict[str, Any]) -> Path:
            return node.root / "pods" / pod["metadata"]["uid"] / "containers/main/0"

        node.api.kill()
        node.kill()
        os.kill(int((place(orphaned) / "monitor").read_text()), 9)
        pid = (place(ending) / "pid").read_text()
        Path(f"/proc/{pid}/root/tmp/end").touch()
        eventually(lambda: (place(ending) / "exitcode").exists())
        node.launch()  # an agent that begins without an API server waits for it
        node.api.start()
        eventually(lambda: ready(node)["status"] == "True")
        ended = container_status(node.wait_phase("ending", "Failed"))["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (5, "Error")
        again = node.wait(
            "orphaned", lambda pod: container_status(pod)["restartCount"] == 1 and is_ready(pod)
        )
        last = container_status(again)["lastState"]["terminated"]
        assert (last["exitCode"], last["reason"]) == (137, "ContainerStatusUnknown")
        found = node.wait_ready("steady")
        assert (container_status(found)["containerID"], container_status(found)["restartCount"]) == (
            steady["containerID"],
            0,
        )
