"""An API server outlives an outage of its etcd that is longer than any call waits."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from clusterip.apiserver import background
from clusterip.apiserver import main as main_module
from clusterip.apiserver.main import serving
from clusterip.apiserver.options import Options
from clusterip.process.sockets import listen_tcp
from clusterip.storage.compaction import compact_periodically
from clusterip.storage.etcd import gateway
from clusterip.storage.open import open_store
from clusterip.storage.store import Closed, Compacted, Put, Store
from tests.support.etcd import Etcd, running_etcd

LONG = bool(os.environ.get("TEST_LONG"))
PATIENCE_SECONDS = gateway.PATIENCE_SECONDS if LONG else 2.0
SERVICE = "/api/v1/namespaces/default/services/kubernetes"
ADDRESS = "10.77.0.1"


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    with running_etcd(tmp_path) as running:
        yield running


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "PATIENCE_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(background, "LONGEST_PAUSE", 1.0)
    monkeypatch.setattr(main_module, "compact_periodically", lambda store: compact_periodically(store, 0.2))


class Client:
    def __init__(self, session: aiohttp.ClientSession, url: str, context: ssl.SSLContext) -> None:
        self._session, self._url, self._context = session, url, context

    async def __call__(self, method: str, path: str) -> tuple[int, Any]:
        async with self._session.request(method, self._url + path, ssl=self._context) as response:
            text = response.content_type == "text/plain"
            return response.status, await (response.text() if text else response.json())

    async def until(self, path: str, wanted: Callable[[int, Any], bool]) -> Any:
        """Ask until the answer is the wanted one."""
        async with asyncio.timeout(60):
            while True:
                answer = await self("GET", path)
                if wanted(*answer):
                    return answer[1]
                await asyncio.sleep(0.05)


@asynccontextmanager
async def api(url: str, directory: Path) -> AsyncIterator[tuple[Client, Store, asyncio.Task[None]]]:
    (directory / "tokens.csv").write_text('token,admin,admin,"system:masters"\n')
    options = Options(
        store=url,
        cert_dir=str(directory / "pki"),
        token_auth_file=str(directory / "tokens.csv"),
        advertise_address=ADDRESS,
        secure_port=0,
    )
    store = await open_store(url)
    socket = listen_tcp("127.0.0.1:0")
    headers = {"Authorization": "Bearer token"}
    try:
        async with (
            serving(options, store, [socket]) as following,
            aiohttp.ClientSession(headers=headers) as session,
        ):
            context = ssl.create_default_context(cafile=str(directory / "pki" / "apiserver.crt"))
            yield Client(session, f"https://127.0.0.1:{socket.getsockname()[1]}", context), store, following
    finally:
        await store.close()
        socket.close()


async def test_everything_goes_on_after_an_outage(etcd: Etcd, tmp_path: Path) -> None:
    async with api(f"etcd://{etcd.endpoint}", tmp_path) as (ask, store, following):
        await ask.until("/readyz", lambda code, _: code == 200)
        etcd.kill()
        report = await ask.until("/readyz?verbose", lambda code, _: code == 500)
        assert "[-]etcd failed" in report
        for task in ("compaction", "peers"):  # the first one only logs: it is soon done again
            assert f"poststarthook/{task}" in report
        code, status = await ask("GET", SERVICE)
        assert (code, status["reason"]) == (503, "ServiceUnavailable")
        assert (await ask("GET", "/livez"))[0] == 200  # starting it again would help nobody
        # Give every task the time to fail for good if it is going to.
        await asyncio.sleep(2 * PATIENCE_SECONDS)

        await asyncio.to_thread(etcd.start)
        await ask.until("/readyz", lambda code, _: code == 200)
        assert (await ask("DELETE", SERVICE))[0] == 200
        await ask.until(SERVICE, lambda code, _: code == 200)
        endpoints = SERVICE.replace("services", "endpoints")
        found = await ask.until(endpoints, lambda code, _: code == 200)
        assert found["subsets"][0]["addresses"] == [{"ip": ADDRESS}]
        await _compacted(store)
        assert not following.done()


async def test_a_server_whose_store_lost_its_data_ends(etcd: Etcd, tmp_path: Path) -> None:
    """It would serve from memory what is no more; whoever starts it again has one that does not."""
    async with api(f"etcd://{etcd.endpoint}", tmp_path) as (ask, _, following):
        await ask.until("/readyz", lambda code, _: code == 200)
        etcd.lose_data()
        await asyncio.to_thread(etcd.start)
        code, status = await ask("GET", SERVICE)
        assert (code, status["reason"]) == (503, "ServiceUnavailable")
        await asyncio.wait((following,), timeout=30)
        with pytest.raises(Closed, match="lost or replaced"):
            following.result()
    async with api(f"etcd://{etcd.endpoint}", tmp_path) as (ask, _, _):
        await ask.until(SERVICE, lambda code, _: code == 200)


async def _compacted(store: Store) -> None:
    """Until what is old by now is forgotten."""
    old = await store.revision()
    async with asyncio.timeout(20):
        while True:
            await store.transact((), [Put("/elsewhere", b"x")])
            try:
                await store.get("/elsewhere", old)
            except Compacted:
                return
            await asyncio.sleep(0.05)
