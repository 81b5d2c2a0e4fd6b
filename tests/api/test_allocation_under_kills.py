"""No address or port is ever owned twice or leaked, whoever is killed at whatever moment.

TEST_ALLOCATION_SECONDS sets how long each test goes on; in CI it is short.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from clusterip.storage.open import open_store
from tests.support.apiserver import RunningApiServer, running_apiserver
from tests.support.churn import PORTS, RANGES, SERVICES, Churn, check
from tests.support.etcd import running_etcd

CLIENTS = 200
SECONDS = float(os.environ.get("TEST_ALLOCATION_SECONDS", "8"))
LEAST_KILLS = 4
LEAST_CREATED = 300
MOST_ANSWERS = 800
"""How many requests are answered between two kills, at most."""
_EXPECTED = re.compile(
    r"range is full|does not answer|Too large resource version|the store is closed|please try again"
)
"""What a server may fail with: there is nothing left to give, or etcd is away."""


pytestmark = pytest.mark.timeout(240 + SECONDS)


class Victim(Protocol):
    def kill(self) -> None: ...
    def start(self) -> None: ...


async def test_three_servers_on_one_etcd(tmp_path: Path) -> None:
    with ExitStack() as stack:
        etcd = stack.enter_context(running_etcd(tmp_path))
        url = f"etcd://{etcd.endpoint}"
        servers = []
        for n in range(3):
            directory = tmp_path / f"apiserver-{n}"
            directory.mkdir()
            server = running_apiserver(directory, f"--store={url}", RANGES, PORTS)
            servers.append(stack.enter_context(server))
        await _churn(servers, [*servers, etcd])
        await _check(url, servers)


async def test_one_server_on_sqlite(tmp_path: Path) -> None:
    with running_apiserver(tmp_path, RANGES, PORTS) as server:
        await _churn([server], [server])
        await _check(f"sqlite://{tmp_path}/store.db", [server])


async def _churn(servers: Sequence[RunningApiServer], victims: Sequence[Victim]) -> None:
    """Kill one, or two at once, at random moments while clients are at work."""
    kills = 0
    loop = asyncio.get_running_loop()
    end = loop.time() + SECONDS
    async with Churn(servers) as churn:
        clients = [asyncio.create_task(churn.client(n)) for n in range(CLIENTS)]
        while loop.time() < end or kills < LEAST_KILLS or churn.answers[201] < LEAST_CREATED:
            await churn.answered(random.randrange(MOST_ANSWERS))
            chosen = random.sample(victims, min(len(victims), random.choice((1, 1, 2))))
            for victim in chosen:
                await asyncio.to_thread(victim.kill)
                kills += 1
            await asyncio.sleep(random.uniform(0, 0.3))
            # An API server would wait for its etcd before it says that it serves.
            for victim in sorted(chosen, key=lambda each: isinstance(each, RunningApiServer)):
                await asyncio.to_thread(victim.start)
        churn.stop()
        await asyncio.gather(*clients)
    strange = [message for message in churn.failures if not _EXPECTED.search(message)]
    assert not strange, churn.failures
    found = {
        service["metadata"]["name"]
        for service in (await asyncio.to_thread(servers[0].request, "GET", SERVICES))[1]["items"]
    }
    for name, exists in churn.exists.items():
        assert exists is None or (name in found) == exists, f"{name} is not as it was confirmed to be"


async def _check(url: str, servers: Sequence[RunningApiServer]) -> None:
    """What is in the store, what the servers say, and that everything can be given back."""
    seen = [
        {item["metadata"]["name"]: item["spec"] for item in server.request("GET", SERVICES)[1]["items"]}
        for server in servers
    ]
    assert all(each == seen[0] for each in seen)
    assert len(seen[0]) > 1
    for server in servers:
        server.stop()
    store = await open_store(url)
    assert await check(store) == seen[0].keys()
    await store.close()
    for server in servers:
        server.start()
    for name in seen[0]:
        assert random.choice(servers).request("DELETE", f"{SERVICES}/{name}")[0] == 200
    for server in servers:
        server.stop()
    store = await open_store(url)
    assert await check(store) <= {"kubernetes"}  # which comes back by itself
    await store.close()
