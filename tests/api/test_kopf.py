"""An operator made with kopf: watches, finalizers, annotations, Events, through a restart of the server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.apiserver import RunningApiServer
from tests.support.nodes import eventually

OPERATOR = Path(__file__).parents[1] / "support" / "kopf_operator.py"
CORE = "/api/v1/namespaces/default"


@pytest.fixture
def operator(own_apiserver: RunningApiServer, tmp_path: Path) -> Iterator[RunningApiServer]:
    """A server with the operator at work."""
    log = tmp_path / "operator.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "kopf", "run", "-n", "default", "--standalone", str(OPERATOR)],
            env={**os.environ, "KUBECONFIG": str(own_apiserver.kubeconfig), "HOME": str(tmp_path)},
            stdout=output,
            stderr=output,
        )
    try:
        yield own_apiserver
    except AssertionError:
        print(log.read_text())
        raise
    finally:
        process.terminate()
        process.wait(20)


def test_an_operator_works_through_an_outage(operator: RunningApiServer) -> None:
    def create(name: str, port: str) -> None:
        body = {"metadata": {"name": name, "labels": {"serve": "yes"}}, "data": {"port": port}}
        assert operator.request("POST", f"{CORE}/configmaps", body)[0] == 201

    def port_of(name: str) -> int | None:
        code, service = operator.request("GET", f"{CORE}/services/{name}")
        return service["spec"]["ports"][0]["port"] if code == 200 else None

    def becomes(check: Callable[[], Any]) -> None:
        eventually(check, 40)

    create("first", "80")
    becomes(lambda: port_of("first") == 80)
    change = json.dumps({"data": {"port": "81"}}).encode()
    merge = "application/merge-patch+json"
    operator.request("PATCH", f"{CORE}/configmaps/first", change, Content_Type=merge)
    becomes(lambda: port_of("first") == 81)
    _, found = operator.request("GET", f"{CORE}/configmaps/first")
    assert found["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
    _, events = operator.request("GET", f"{CORE}/events?fieldSelector=reason=Served")
    assert events["items"][0]["message"] == "on port 80"
    _, service = operator.request("GET", f"{CORE}/services/first")
    assert service["metadata"]["ownerReferences"][0]["uid"] == found["metadata"]["uid"]

    operator.kill()
    operator.start()
    create("second", "90")
    becomes(lambda: port_of("second") == 90)
    operator.request("DELETE", f"{CORE}/configmaps/first")
    becomes(lambda: operator.request("GET", f"{CORE}/configmaps/first")[0] == 404)
    assert port_of("first") is None
