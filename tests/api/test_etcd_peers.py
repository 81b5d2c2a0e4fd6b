"""API servers on one etcd share the Service ``kubernetes``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.apiserver import RunningApiServer, running_apiserver
from tests.support.etcd import Etcd, running_etcd

ENDPOINTS = "/api/v1/namespaces/default/endpoints/kubernetes"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
SERVICE = "/api/v1/namespaces/default/services/kubernetes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
SECONDS = 60.0
ADDRESSES = ("10.77.0.1", "10.77.0.2", "10.77.0.3")
"""Nobody has these; the servers listen on loopback and only say that they are reached there."""


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    with running_etcd(tmp_path) as running:
        yield running


@pytest.fixture
def servers(etcd: Etcd, tmp_path: Path) -> Iterator[list[RunningApiServer]]:
    with ExitStack() as stack:
        running = []
        for n, address in enumerate(ADDRESSES):
            directory = tmp_path / f"apiserver-{n}"
            directory.mkdir()
            store = f"--store=etcd://{etcd.endpoint}"
            server = running_apiserver(directory, store, f"--advertise-address={address}")
            running.append(stack.enter_context(server))
        yield running


def test_kubernetes_leads_to_the_servers_that_are_alive(servers: list[RunningApiServer]) -> None:
    first, second, third = servers
    everyone = {(address, server.port) for address, server in zip(ADDRESSES, servers, strict=True)}
    _until(lambda: _endpoints(first), everyone)
    _until(lambda: _slices(third), everyone)

    # What the three want is the same, so none of them changes what another wrote.
    _, before = first.request("GET", ENDPOINTS)
    assert second.request("DELETE", SERVICE)[0] == 200
    _until(lambda: first.request("GET", SERVICE)[0], 200)
    _until(lambda: _endpoints(second), everyone)
    written = _changes_within(second, 2.0)
    assert written <= 6, f"{written} changes of the endpoints within two seconds of nothing happening"
    assert before["subsets"] == second.request("GET", ENDPOINTS)[1]["subsets"]

    holders = {lease["metadata"]["name"]: lease for lease in _identities(first)}
    assert len(holders) == 3
    for name, lease in holders.items():
        assert name.startswith("apiserver-")
        assert lease["spec"]["holderIdentity"].startswith(f"{name}_")
        assert lease["spec"]["leaseDurationSeconds"] == 3600

    assert second.stop() == 0
    _until(lambda: _endpoints(first), everyone - {(ADDRESSES[1], second.port)}, seconds=5.0)
    _until(lambda: _slices(third), everyone - {(ADDRESSES[1], second.port)})
    second.start()
    _until(lambda: _slices(first), everyone)


@pytest.mark.skipif(not os.environ.get("TEST_LONG"), reason="takes as long as a server may be silent")
def test_who_was_killed_is_forgotten_and_comes_back(servers: list[RunningApiServer]) -> None:
    """As test_peers has it within a second, here with the times that hold in earnest."""
    first, second, third = servers
    everyone = {(address, server.port) for address, server in zip(ADDRESSES, servers, strict=True)}
    _until(lambda: _endpoints(first), everyone)
    second.kill()
    third.kill()
    _until(lambda: _slices(first), {(ADDRESSES[0], first.port)})
    _until(lambda: _endpoints(first), {(ADDRESSES[0], first.port)})
    second.start()
    third.start()
    _until(lambda: _slices(first), everyone)


def _until(ask: Callable[[], Any], wanted: Any, seconds: float = SECONDS) -> None:
    """Ask until the answer is the wanted one; nothing notifies of what is only computed."""
    deadline = time.monotonic() + seconds
    while (answer := ask()) != wanted:
        assert time.monotonic() < deadline, f"still {answer} instead of {wanted}"
        time.sleep(0.1)


def _endpoints(server: RunningApiServer) -> set[tuple[str, int]]:
    code, body = server.request("GET", ENDPOINTS)
    return {
        (address["ip"], port["port"])
        for subset in body.get("subsets", ())
        for address in subset["addresses"]
        for port in subset["ports"]
        if code == 200
    }


def _slices(server: RunningApiServer) -> set[tuple[str, int]]:
    query = "?labelSelector=kubernetes.io/service-name%3Dkubernetes"
    return {
        (address, port["port"])
        for slice_ in server.request("GET", SLICES + query)[1].get("items", ())
        for endpoint in slice_["endpoints"]
        for address in endpoint["addresses"]
        for port in slice_["ports"]
    }


def _changes_within(server: RunningApiServer, seconds: float) -> int:
    """How many changes of Endpoints and slices come in a time in which none is asked for."""
    path = ENDPOINTS.rpartition("/")[0]
    version = server.request("GET", path)[1]["metadata"]["resourceVersion"]
    query = f"?watch=true&resourceVersion={version}&timeoutSeconds={seconds:.0f}"
    answer = server.request("GET", path + query)[1]
    return len(answer.splitlines()) if isinstance(answer, str) else 1


def _identities(server: RunningApiServer) -> list[dict[str, Any]]:
    query = "?labelSelector=apiserver.kubernetes.io/identity%3Dkube-apiserver"
    items: list[dict[str, Any]] = server.request("GET", LEASES + query)[1]["items"]
    return items
