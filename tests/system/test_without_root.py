"""A cluster of a user without rights, and the same isolation for root."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clusterip.cluster import processes
from tests.support import unprivileged
from tests.support.cluster import EXAMPLE, PROGRAM, Machine
from tests.support.kubectl import kubectl_path

UID = 61234
"""A user that nobody is."""


@dataclass
class User:
    """A user with a home directory, on the test's machine."""

    home: Path
    files: dict[Path, str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("KUBE", "CLUSTERIP_", "XDG"))
        }
        return subprocess.run(
            unprivileged.command(UID, *words, files=self.files),
            env={**kept, "HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def __call__(self, *words: str) -> str:
        """What a command prints, after success."""
        done = self.run(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}{self.logs()}"
        return done.stdout

    def clusterip(self, *arguments: str) -> str:
        return self(str(PROGRAM), *arguments)

    def kubectl(self, *arguments: str) -> str:
        return self(str(kubectl_path()), f"--kubeconfig={self.state}/lib/kubeconfigs/admin.yaml", *arguments)

    @property
    def state(self) -> Path:
        return self.home / ".local/share/clusterip/clusterip"

    def processes(self) -> list[int]:
        """Those that have not ended."""
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and _owner(entry) == UID and processes.start_time(int(entry.name))
        ]

    def logs(self) -> str:
        found = sorted((self.state / "log").glob("*.log"))
        return "".join(f"\n== {path.name}\n{path.read_text()[-1000:]}" for path in found)


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except FileNotFoundError:  # it has just ended
        return None


@pytest.fixture(scope="module")
def user(machine: Machine) -> Iterator[User]:
    home = Path(tempfile.mkdtemp(prefix="clusterip-user-"))  # not below pytest's, which is for its user only
    home.chmod(0o755)
    os.chown(home, UID, UID)
    made = User(home, {})
    try:
        yield made
    finally:
        made.run(str(PROGRAM), "down")
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def printed(user: User) -> str:
    """What the ``up`` of a running cluster with the example printed."""
    text = user.clusterip("up", "--nodes=2")
    user.kubectl("apply", "-f", str(EXAMPLE))
    user.kubectl("rollout", "status", "deployment/my-app", "--timeout=60s")
    return text


def _network() -> str:
    shown = ""
    for words in (("ip", "address"), ("ip", "route", "show", "table", "all"), ("nft", "list", "ruleset")):
        shown += subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return re.sub(r"(valid|preferred)_lft \S+", "", shown)


def test_everything_works_but_the_machine_is_outside(user: User, machine: Machine) -> None:
    before = _network()
    said = user.clusterip("up", "--nodes=2")
    assert "not from this machine" in said
    assert "Containers can run only as root" in said
    assert re.search(r"API server +https://127\.0\.0\.1:", said)
    assert _network() == before


def test_services_work_among_pods(user: User, printed: str) -> None:
    assert "my-app-" in user.kubectl("exec", "deploy/my-app", "--", "curl", "-s", "http://my-service")
    address = user.kubectl("get", "service", "my-service", "-o", "jsonpath={.spec.clusterIP}")
    assert "my-app-" in user.clusterip("enter", "--", "curl", "-s", f"http://{address}")
    assert "my-app-" in user.clusterip("enter", "--node=node-2", "--", "curl", "-s", f"http://{address}")
    assert user.run("curl", "-s", "-m", "2", f"http://{address}").returncode != 0


def test_the_api_leads_inside(user: User, printed: str) -> None:
    assert "my-app-" in user.kubectl("get", "--raw", "/api/v1/namespaces/default/services/my-service/proxy/")
    script = (
        'exec 3< <(exec "$@") && read -r line <&3 && port=${line##*127.0.0.1:} && port=${port%% *} && '
        "curl -s http://127.0.0.1:$port; kill $!"
    )
    words = [
        str(kubectl_path()),
        f"--kubeconfig={user.state}/lib/kubeconfigs/admin.yaml",
        "port-forward",
        "svc/my-service",
    ]
    assert "my-app-" in user("bash", "-c", script, "bash", *words, ":80")


def test_status_tells_of_what_is_inside(user: User, printed: str) -> None:
    status = json.loads(user.clusterip("status", "-o", "json"))
    assert status["state"] == "running"
    assert len([part for part in status["parts"] if part["memory"]]) == 10


def test_up_mends_what_was_killed(user: User, printed: str) -> None:
    records = json.loads((user.state / "run/processes.json").read_text())
    pids = [records[half]["pid"] for half in ("guardian", "supervisor")]
    pids.append(records["parts"]["apiserver"]["process"]["pid"])
    user.clusterip("enter", "--", "kill", "-9", *map(str, pids))
    user.clusterip("up")
    assert "node-2" in user.kubectl("get", "nodes")


def test_a_machine_that_was_killed_comes_back_with_its_state(user: User, printed: str) -> None:
    init = json.loads((user.state / "run/machine.json").read_text())["init"]["pid"]
    user("kill", "-9", str(init))
    assert "clusterip is stopped" in user.run(str(PROGRAM), "status").stdout
    user.clusterip("up")
    user.kubectl("rollout", "status", "deployment/my-app", "--timeout=60s")
    assert "my-app-" in user.kubectl("exec", "deploy/my-app", "--", "curl", "-s", "http://my-service")


def test_down_leaves_nothing(user: User, printed: str) -> None:
    assert "The cluster is gone." in user.clusterip("down")
    assert not user.processes()
    assert not user.state.parent.exists()
    assert "There is no cluster." in user.clusterip("down")


def test_files_of_other_users_where_there_are_some(user: User, tmp_path: Path) -> None:
    """With newuidmap and /etc/subuid, containers run as any user, and their files are removed as well."""
    names = {"passwd": f"tester:x:{UID}:{UID}::/:/bin/sh\n", "subuid": f"{UID}:700000:65536\n"}
    files = {"passwd": Path("/etc/passwd").read_text() + names["passwd"], "subuid": names["subuid"]}
    mapped = User(user.home, {})
    for name, target in (("passwd", "passwd"), ("subuid", "subuid"), ("subuid", "subgid")):
        source = tmp_path / target
        source.write_text(files[name])
        mapped.files[source] = f"/etc/{target}"
    try:
        assert "only as root" not in mapped.clusterip("up", "--nodes=1")
        overrides = {
            "spec": {
                "securityContext": {"runAsUser": 1000, "fsGroup": 2000},
                "containers": [
                    {
                        "name": "id",
                        "image": "clusterip.local/host",
                        "command": ["sh", "-c", "touch /e/x; id -u; exec sleep inf"],
                        "volumeMounts": [{"name": "e", "mountPath": "/e"}],
                    }
                ],
                "volumes": [{"name": "e", "emptyDir": {}}],
            }
        }
        mapped.kubectl("run", "id", "--image=clusterip.local/host", f"--overrides={json.dumps(overrides)}")
        mapped.kubectl("wait", "--for=condition=Ready", "pod/id", "--timeout=30s")
        assert mapped.kubectl("logs", "id").strip() == "1000"
    finally:
        mapped.clusterip("down")
    assert not user.state.parent.exists()


def test_a_machine_that_forbids_it_is_told_what_to_change(user: User) -> None:
    done = subprocess.run(
        unprivileged.command(UID, str(PROGRAM), "up", namespaces=False),
        env={**os.environ, "HOME": str(user.home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "sysctl user.max_user_namespaces=15000" in done.stderr
    assert not user.state.exists()
