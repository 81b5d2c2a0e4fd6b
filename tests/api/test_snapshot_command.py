"""``clusterip snapshot`` on real API servers: everything is lost, and comes back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.apiserver import RunningApiServer, running_apiserver
from tests.support.etcd import Etcd, running_etcd

SERVICES = "/api/v1/namespaces/default/services"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
KINDS = (
    "/api/v1/namespaces",
    "/api/v1/services",
    "/api/v1/configmaps",
    "/api/v1/secrets",
    "/apis/networking.k8s.io/v1/ipaddresses",
    "/apis/networking.k8s.io/v1/servicecidrs",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
)


def snapshot(*arguments: str) -> str:
    """The command; its output. Fails if the command does."""
    result = subprocess.run(
        [sys.executable, "-m", "clusterip", "snapshot", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def refused(*arguments: str) -> str:
    """The error of a command that must fail, which is one line for a person."""
    result = subprocess.run(
        [sys.executable, "-m", "clusterip", "snapshot", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 1, result.stdout
    assert result.stderr.startswith("clusterip: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def everything(server: RunningApiServer) -> dict[str, Any]:
    """All objects but for their versions, by kind and name."""
    found = {}
    for path in KINDS:
        for item in server.request("GET", path)[1]["items"]:
            meta = item["metadata"]
            del meta["resourceVersion"]
            found[f"{path}/{meta.get('namespace', '')}/{meta['name']}"] = item
    return found


def fill(server: RunningApiServer) -> None:
    for n in range(20):
        spec = {"ports": [{"port": 80}], "type": "NodePort"}
        assert server.request("POST", SERVICES, {"metadata": {"name": f"s{n}"}, "spec": spec})[0] == 201
        body = {"metadata": {"name": f"c{n}"}, "data": {"key": "größe" * n}}
        assert server.request("POST", CONFIGMAPS, body)[0] == 201
    secret = {"metadata": {"name": "secret"}, "stringData": {"password": "x"}}
    assert server.request("POST", "/api/v1/namespaces/default/secrets", secret)[0] == 201


def check_goes_on(server: RunningApiServer, old: str, saved: dict[str, Any]) -> None:
    """Versions from before are gone, and nothing that is in use is given again."""
    code, status = server.request("GET", f"{SERVICES}?resourceVersion={old}&resourceVersionMatch=Exact")
    assert (code, status["reason"]) == (410, "Expired")
    _, answer = server.request("GET", f"{SERVICES}?watch=1&resourceVersion={old}&timeoutSeconds=5")
    event = answer if isinstance(answer, dict) else json.loads(answer.splitlines()[0])
    assert event["type"] == "ERROR"
    assert event["object"]["code"] == 410
    used = {name.rpartition("/")[2] for name in saved if "/ipaddresses/" in name}
    spec = {"ports": [{"port": 80}], "type": "NodePort"}
    _, made = server.request("POST", SERVICES, {"metadata": {"name": "new"}, "spec": spec})
    assert made["spec"]["clusterIP"] not in used
    assert int(made["metadata"]["resourceVersion"]) > int(old)
    for n in range(20):
        assert server.request("DELETE", f"{SERVICES}/s{n}")[0] == 200
    left = server.request("GET", KINDS[4])[1]["items"]
    assert len(left) == 2  # of "kubernetes" and "new"


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    with running_etcd(tmp_path) as running:
        yield running


def test_a_lost_database_comes_back(tmp_path: Path) -> None:
    """Also by the default store of a cluster's state directory, here of a cluster that never ran."""
    file = str(tmp_path / "saved")
    state = tmp_path / "state"
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    url = f"sqlite://{state}/lib/store.db"
    with running_apiserver(tmp_path / "first", f"--store={url}") as server:
        fill(server)
        saved = everything(server)
        assert f"of {url} to {file}" in snapshot("save", file, "--state-dir", str(state))
        later = {"metadata": {"name": "later"}, "data": {}}
        _, made = server.request("POST", CONFIGMAPS, later)
        assert "in use by another process" in refused("restore", file, "--state-dir", str(state))
        server.kill()
        for path in (state / "lib").iterdir():
            path.unlink()
        snapshot("restore", file, "--state-dir", str(state))
        server.start()
        assert everything(server) == saved
        check_goes_on(server, made["metadata"]["resourceVersion"], saved)

    fresh = tmp_path / "fresh"
    snapshot("restore", file, "--state-dir", str(fresh))
    with running_apiserver(tmp_path / "second", f"--store=sqlite://{fresh}/lib/store.db") as server:
        assert everything(server) == saved


def test_from_sqlite_to_etcd_and_back(tmp_path: Path, etcd: Etcd) -> None:
    file = str(tmp_path / "saved")
    url = f"etcd://{etcd.endpoint}"
    for name in ("first", "second", "third"):
        (tmp_path / name).mkdir()
    with running_apiserver(tmp_path / "first") as server:
        fill(server)
        saved = everything(server)
        version = server.request("GET", SERVICES)[1]["metadata"]["resourceVersion"]
        snapshot("save", file, "--store", f"sqlite://{tmp_path}/first/store.db")
    snapshot("restore", file, "--store", url)
    with (
        running_apiserver(tmp_path / "second", f"--store={url}") as one,
        running_apiserver(tmp_path / "third", f"--store={url}") as two,
    ):
        assert everything(one) == everything(two) == saved
        snapshot("save", file, "--store", url)
        check_goes_on(one, version, saved)
    told = json.loads(snapshot("status", "-o", "json", file))
    assert told["header"]["source"] == "etcd"
    assert told["resources"]["services"] == 21
    assert "services" in snapshot("status", file)
    with running_apiserver(tmp_path / "third") as server:
        server.stop()
        snapshot("restore", file, "--store", f"sqlite://{tmp_path}/third/store.db")
        server.start()
        assert everything(server) == saved
