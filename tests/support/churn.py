"""Clients that create, change and delete Services until told to stop, and what must hold afterwards."""

from __future__ import annotations

import asyncio
import json
import random
import re
import ssl
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import aiohttp

from clusterip.storage.store import Store
from tests.support.apiserver import TOKEN, RunningApiServer

SERVICES = "/api/v1/namespaces/default/services"
RANGES = "--service-cluster-ip-range=10.9.0.0/23,fd00:9::/112"
PORTS = "--service-node-port-range=30000-30299"
"""Few enough that clients often ask for what another one has."""

_MERGE = {"Content-Type": "application/merge-patch+json"}
_CHANGES: list[dict[str, Any]] = [
    {"type": "ClusterIP", "externalName": None},
    {"type": "NodePort", "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]},
    {"type": "NodePort", "ports": [{"name": "a", "port": 80, "nodePort": 30007}]},
    {"type": "ExternalName", "externalName": "example.com"},
    {"ipFamilyPolicy": "SingleStack"},
    {"ipFamilyPolicy": "RequireDualStack"},
    {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
]


class Churn:
    """Clients of several API servers, who shrug off broken connections.

    ``answers`` counts the status codes (0: no answer), ``failures`` the messages of those from 500 on, with
    N for every number. ``exists`` says of Services that only one client
    uses whether they must be there: what was confirmed last, or None if it is not known.
    """

    def __init__(self, servers: Sequence[RunningApiServer]) -> None:
        self._servers = servers
        self._contexts = [ssl.create_default_context(cafile=str(s.ca_file)) for s in servers]
        self._stop = asyncio.Event()
        self._answered = asyncio.Event()
        self.answers: Counter[int] = Counter()
        self.failures: Counter[str] = Counter()
        self.exists: dict[str, bool | None] = {}

    async def __aenter__(self) -> Churn:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=aiohttp.ClientTimeout(total=10),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def stop(self) -> None:
        """Let every client finish what it is doing."""
        self._stop.set()

    async def answered(self, count: int) -> None:
        """Wait until so many more requests have been answered."""
        enough = self.answers.total() - self.answers[0] + count
        while self.answers.total() - self.answers[0] < enough:
            self._answered.clear()
            await self._answered.wait()

    async def client(self, number: int) -> None:
        """One client: its Services come, change and go, until told to stop."""
        n = 0
        while not self._stop.is_set():
            # Some names are used by several clients, so that they meet.
            shared = number % 4 == 0
            name = f"shared-{random.randrange(20)}" if shared else f"own-{number}-{n % 3}"
            n += 1
            await self._create(name, _spec(number), shared)
            for change in random.sample(_CHANGES, 2):
                await self.request("PATCH", f"{SERVICES}/{name}", {"spec": change}, _MERGE)
            if random.random() < 0.8:
                await self._delete(name, shared)

    async def _create(self, name: str, spec: dict[str, Any], shared: bool) -> None:
        code = await self.request("POST", SERVICES, {"metadata": {"name": name}, "spec": spec})
        if not shared:
            known = self.exists.get(name)
            # Refused for another reason than that it is there, so nothing has changed.
            self.exists[name] = True if code in (201, 409) else None if code == 0 or code >= 500 else known

    async def _delete(self, name: str, shared: bool) -> None:
        code = await self.request("DELETE", f"{SERVICES}/{name}")
        if not shared:
            self.exists[name] = False if code in (200, 404) else None

    async def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> int:
        """The status code; 0 if there was no answer."""
        n = random.randrange(len(self._servers))
        code = 0
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self._session.request(
                method, self._servers[n].url + path, json=body, headers=headers, ssl=self._contexts[n]
            ) as response:
                answer = await response.read()
                code = response.status
                if code >= 500:
                    self.failures[re.sub("[0-9]+", "N", json.loads(answer)["message"])] += 1
        self.answers[code] += 1
        if code:
            self._answered.set()
        else:
            await asyncio.sleep(0.05)
        return code


def _spec(number: int) -> dict[str, Any]:
    spec: dict[str, Any] = {"ports": [{"port": 80}], "ipFamilyPolicy": "PreferDualStack"}
    spec["type"] = random.choice(("ClusterIP", "NodePort", "LoadBalancer"))
    if number % 8 == 1:
        spec["clusterIP"] = f"10.9.0.{random.randrange(10, 30)}"
    if number % 8 == 3:
        spec |= {"type": "NodePort", "ports": [{"port": 80, "nodePort": random.randrange(30000, 30010)}]}
    if number % 8 == 5:
        spec |= {"ipFamilies": ["IPv6"], "ipFamilyPolicy": "SingleStack"}
    return spec


async def check(store: Store) -> set[str]:
    """That Services own what is allocated, each thing once, and nothing else is; the Services' names.

    An address is allocated by an IPAddress, a port by a key of its own; both say who has it.
    """
    addresses: dict[str, str] = {}
    ports: dict[str, str] = {}
    services = await _values(store, "/registry/services/")
    for key, service in services.items():
        spec, owner = service["spec"], key.removeprefix("/registry/services/")
        own = [address for address in spec.get("clusterIPs", ()) if address != "None"]
        _own_once(addresses, own, owner)
        numbers = {port.get("nodePort", 0) for port in spec["ports"]} | {spec.get("healthCheckNodePort", 0)}
        _own_once(ports, map(str, numbers - {0}), owner)
        if spec["type"] != "ExternalName":
            assert len(own) == len(spec["ipFamilies"]), f"{owner} has {own} for {spec['ipFamilies']}"
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
    return {key.rpartition("/")[2] for key in services}


def _own_once(owners: dict[str, str], things: Iterable[str], owner: str) -> None:
    for thing in things:
        assert thing not in owners, f"{owner} and {owners[thing]} both have {thing}"
        owners[thing] = owner


async def _values(store: Store, prefix: str) -> dict[str, Any]:
    return {item.key: json.loads(item.value) for item in (await store.list(prefix)).items}
