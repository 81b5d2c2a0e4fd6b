"""Several API servers on one etcd."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from clusterip.storage.open import open_store
from clusterip.storage.store import Put, Store
from tests.support.apiserver import TOKEN, RunningApiServer, running_apiserver
from tests.support.etcd import Etcd, running_etcd

SERVICES = "/api/v1/namespaces/default/services"
CLIENTS = 200
KILLS = 5
BETWEEN_KILLS = 2.0
"""Seconds."""
RANGES = "--service-cluster-ip-range=10.9.0.0/23,fd00:9::/112"
PORTS = "--service-node-port-range=30000-30299"


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    with running_etcd(tmp_path) as running:
        yield running


@pytest.fixture
def servers(etcd: Etcd, tmp_path: Path) -> Iterator[list[RunningApiServer]]:
    with ExitStack() as stack:
        running = []
        for n in range(3):
            directory = tmp_path / f"apiserver-{n}"
            directory.mkdir()
            arguments = (f"--store=etcd://{etcd.endpoint}", RANGES, PORTS)
            running.append(stack.enter_context(running_apiserver(directory, *arguments)))
        yield running


def test_what_one_wrote_the_others_read(servers: list[RunningApiServer]) -> None:
    for n in range(30):
        writer, reader = random.sample(servers, 2)
        path = f"/api/v1/namespaces/default/configmaps/c{n}"
        body = {"metadata": {"name": f"c{n}"}, "data": {"v": "1"}}
        assert writer.request("POST", path.rpartition("/")[0], body)[0] == 201
        code, read = reader.request("GET", path)
        assert (code, read["data"]) == (200, {"v": "1"})
        read["data"]["v"] = "2"
        assert reader.request("PUT", path, read)[0] == 200
        items = writer.request("GET", path.rpartition("/")[0])[1]["items"]
        assert [item["data"]["v"] for item in items if item["metadata"]["name"] == f"c{n}"] == ["2"]
        assert writer.request("DELETE", path)[0] == 200
        assert reader.request("GET", path)[0] == 404


async def test_reads_are_not_held_up_by_what_others_keep_in_etcd(
    etcd: Etcd, servers: list[RunningApiServer]
) -> None:
    store = await open_store(f"etcd://{etcd.endpoint}")
    try:
        await store.transact((), [Put("/elsewhere", b"x")])
        code, _ = await asyncio.to_thread(servers[0].request, "GET", SERVICES)
        assert code == 200
    finally:
        await store.close()


async def test_no_address_or_port_is_lost_or_given_twice(etcd: Etcd, servers: list[RunningApiServer]) -> None:
    stop = asyncio.Event()
    answers: dict[int, int] = {}
    async with _Clients(servers, answers) as clients:
        tasks = [asyncio.create_task(_churn(clients, n, stop)) for n in range(CLIENTS)]
        for _ in range(KILLS):
            await asyncio.sleep(BETWEEN_KILLS)
            victim = random.choice(servers)
            await asyncio.to_thread(victim.kill)
            await asyncio.to_thread(victim.start)
        stop.set()
        await asyncio.gather(*tasks)
    assert answers[201] > 300, answers
    assert answers[200] > 300, answers
    store = await open_store(f"etcd://{etcd.endpoint}")
    try:
        held = await _check(store)
    finally:
        await store.close()
    assert held > 1
    # Whatever is left can still be deleted, and gives everything back.
    for service in servers[0].request("GET", SERVICES)[1]["items"]:
        assert servers[1].request("DELETE", f"{SERVICES}/{service['metadata']['name']}")[0] == 200
    for kind in ("ipaddresses", "servicecidrs"):
        items = servers[2].request("GET", f"/apis/networking.k8s.io/v1/{kind}")[1]["items"]
        assert len(items) <= 1


async def _check(store: Store) -> int:
    """What Services have and what is allocated must be the same; how many Services there are."""
    addresses: dict[str, str] = {}
    ports: dict[str, str] = {}
    services = await _values(store, "/registry/services/")
    for key, service in services.items():
        spec, owner = service["spec"], key.removeprefix("/registry/services/")
        for address in spec.get("clusterIPs", []):
            if address != "None":
                assert address not in addresses, f"{owner} and {addresses[address]} both have {address}"
                addresses[address] = owner
        numbers = {p.get("nodePort", 0) for p in spec["ports"]} | {spec.get("healthCheckNodePort", 0)}
        for port in map(str, numbers - {0}):
            assert port not in ports, f"{owner} and {ports[port]} both have port {port}"
            ports[port] = owner
    prefix = "/registry/ipaddresses.networking.k8s.io/"
    allocated = {
        key.removeprefix(prefix): "{namespace}/{name}".format(**value["spec"]["parentRef"])
        for key, value in (await _values(store, prefix)).items()
    }
    assert allocated == addresses
    reserved = {
        key.removeprefix("/registry/nodeports/"): f"{value['namespace']}/{value['name']}"
        for key, value in (await _values(store, "/registry/nodeports/")).items()
    }
    assert reserved == ports
    return len(services)


async def _values(store: Store, prefix: str) -> dict[str, Any]:
    return {item.key: json.loads(item.value) for item in (await store.list(prefix)).items}


class _Clients:
    """Requests to any of the servers, by clients that shrug off broken connections."""

    def __init__(self, servers: list[RunningApiServer], answers: dict[int, int]) -> None:
        self._servers = servers
        self._answers = answers
        self._contexts = [ssl.create_default_context(cafile=str(s.ca_file)) for s in servers]

    async def __aenter__(self) -> _Clients:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=aiohttp.ClientTimeout(total=10),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def request(self, method: str, path: str, body: Any = None, **headers: str) -> int:
        """The status code; 0 if there was no answer."""
        n = random.randrange(len(self._servers))
        url = f"{self._servers[n].url}{path}"
        code = 0
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self._session.request(
                method, url, json=body, headers=headers, ssl=self._contexts[n]
            ) as response:
                await response.read()
                code = response.status
        self._answers[code] = self._answers.get(code, 0) + 1
        if code == 0:
            await asyncio.sleep(0.05)
        return code


async def _churn(clients: _Clients, client: int, stop: asyncio.Event) -> None:
    """One client: its Services come, change and go, until told to stop."""
    merge = {"Content-Type": "application/merge-patch+json"}
    n = 0
    while not stop.is_set():
        # Some names are used by several clients, so that they meet.
        name = f"shared-{random.randrange(20)}" if client % 4 == 0 else f"own-{client}-{n % 3}"
        n += 1
        spec: dict[str, Any] = {"ports": [{"port": 80}], "ipFamilyPolicy": "PreferDualStack"}
        spec["type"] = random.choice(("ClusterIP", "NodePort", "LoadBalancer"))
        if client % 8 == 1:
            spec["clusterIP"] = f"10.9.0.{random.randrange(10, 30)}"
        await clients.request("POST", SERVICES, {"metadata": {"name": name}, "spec": spec})
        for change in random.sample(_CHANGES, 2):
            await clients.request("PATCH", f"{SERVICES}/{name}", {"spec": change}, **merge)
        if random.random() < 0.8:
            await clients.request("DELETE", f"{SERVICES}/{name}")


_CHANGES: list[dict[str, Any]] = [
    {"type": "ClusterIP", "externalName": None},
    {"type": "NodePort", "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]},
    {"type": "ExternalName", "externalName": "example.com"},
    {"ipFamilyPolicy": "SingleStack"},
    {"ipFamilyPolicy": "RequireDualStack"},
    {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
]
