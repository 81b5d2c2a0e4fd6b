"""The command line knows which objects there are: it completes their names, and mends mistyped ones."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence

import pytest

from tests.support.apiserver import RunningApiServer
from tests.support.cluster import PROGRAM


@pytest.fixture(scope="module", autouse=True)
def services(apiserver: RunningApiServer) -> None:
    for name in ("my-service", "my-database", "other"):
        body = {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}}
        code, answer = apiserver.request("POST", "/api/v1/namespaces/default/services", body)
        assert code == 201, answer


def run(apiserver: RunningApiServer, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAM), *words, f"--kubeconfig={apiserver.kubeconfig}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def complete(apiserver: RunningApiServer, line: str) -> Sequence[str]:
    words = line.split(" ")
    environment = {
        **os.environ,
        "KUBECONFIG": str(apiserver.kubeconfig),
        "COMP_WORDS": shlex.join(words),
        "COMP_CWORD": str(len(words) - 1),
        "_CLUSTERIP_COMPLETE": "bash_complete",
    }
    done = subprocess.run(
        [str(PROGRAM)], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return sorted(each.partition(",")[2] for each in done.stdout.splitlines() if each)


def test_a_name_like_it_is_offered_after_kubectls_words(apiserver: RunningApiServer) -> None:
    done = run(apiserver, "get", "service", "my-servce")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "Error from server (NotFound): services \"my-servce\" not found\nDid you mean 'my-service'?\n"
    )
    assert run(apiserver, "get", "service", "nothing-like-it").stderr.count("\n") == 1
    assert "Did you mean 'my-database'?" in run(apiserver, "delete", "svc/my-databse").stderr


def test_a_kind_like_it_is_offered(apiserver: RunningApiServer) -> None:
    done = run(apiserver, "get", "sevices")
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first == 'error: the server doesn\'t have a resource type "sevices"'
    assert second.startswith("Did you mean 'services'")


def test_names_are_completed(apiserver: RunningApiServer) -> None:
    assert complete(apiserver, "clusterip get services my") == ["my-database", "my-service"]
    assert complete(apiserver, "clusterip get svc/ot") == ["svc/other"]
    assert complete(apiserver, "clusterip delete services other my-s") == ["my-service"]
    assert complete(apiserver, "clusterip explain service my-d") == ["my-database"]
    assert complete(apiserver, "clusterip get -n kube-s") == ["kube-system"]
    assert complete(apiserver, "clusterip get -n kube-system services my") == []
