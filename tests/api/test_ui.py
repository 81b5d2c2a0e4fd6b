"""The dashboard's two servers: what they give, to whom, and to whom not. The page itself is JavaScript."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from clusterip.client.config import load
from clusterip.ui.assets import POLICY
from clusterip.ui.local import PROTOCOL, LocalServer
from clusterip.ui.upstream import Upstream
from tests.support.apiserver import RunningApiServer

SERVICES = "/api/v1/services"
SERVICE = {"metadata": {"name": "seen"}, "spec": {"ports": [{"port": 80}]}}


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
        yield session


@pytest.fixture
async def local(apiserver: RunningApiServer) -> AsyncIterator[LocalServer]:
    async with Upstream(load(str(apiserver.kubeconfig))) as upstream:
        server = LocalServer(upstream)
        async with server.serving():
            yield server


def address(server: LocalServer) -> str:
    return f"http://127.0.0.1:{server.port}"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def protocols(key: str) -> tuple[str, str]:
    encoded = base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")
    return PROTOCOL, f"base64url.bearer.authorization.k8s.io.{encoded}"


async def test_anybody_may_have_the_page_of_the_api_server(
    apiserver: RunningApiServer, session: aiohttp.ClientSession
) -> None:
    async with session.get(f"{apiserver.url}/ui/") as answer:
        assert (answer.status, answer.headers["Content-Security-Policy"]) == (200, POLICY)
        assert answer.content_type == "text/html"
        page = await answer.text()
        tag = answer.headers["ETag"]
    assert "<script type=" in page
    async with session.get(f"{apiserver.url}/ui/", headers={"If-None-Match": tag}) as answer:
        assert answer.status == 304
    async with session.get(f"{apiserver.url}/ui", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (301, "/ui/")
    for method, path, code in (
        ("GET", "/ui/js/main.js", 200),
        ("HEAD", "/ui/css/base.css", 200),
        ("POST", "/ui/", 405),
        ("GET", "/ui/nothing.js", 404),
        ("GET", "/ui/%2e%2e/assets.py", 404),
        ("GET", SERVICES, 401),
    ):
        async with session.request(method, URL(apiserver.url + path, encoded=True)) as answer:
            assert (path, answer.status) == (path, code)


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere() -> None:
    import clusterip.ui

    static = Path(clusterip.ui.__file__).parent / "static"
    html = (static / "index.html").read_text()
    assert "style=" not in html
    assert "<style" not in html
    assert html.count("<script") == html.count('<script type="module" src="js/')
    for path in static.rglob("*"):
        if path.suffix in (".js", ".css", ".html"):
            text = path.read_text()
            assert "innerHTML" not in text
            assert {word for word in text.split('"') if word.startswith("http")} <= {
                "http://www.w3.org/2000/svg",
                "https:",
            }


async def test_watches_over_a_websocket_with_a_token(
    apiserver: RunningApiServer, session: aiohttp.ClientSession
) -> None:
    url = f"{apiserver.url}{SERVICES}?watch=1"
    async with session.ws_connect(url, protocols=protocols(apiserver.token)) as socket:
        assert socket.protocol == PROTOCOL
        assert (await socket.receive_json())["type"] == "ADDED"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await session.ws_connect(url, protocols=protocols("wrong"))
    assert refused.value.status == 401


async def test_the_local_server_acts_as_the_kubeconfig_says(
    local: LocalServer, session: aiohttp.ClientSession
) -> None:
    assert local.url == f"{address(local)}/ui/#key={local.key}"
    headers = bearer(local.key)
    path = f"{address(local)}/api/v1/namespaces/default/services"
    async with session.post(path, json=SERVICE, headers=headers) as answer:
        assert answer.status == 201
    async with session.post(path, json={"spec": {}}, headers=headers) as answer:
        assert answer.status == 422
        assert (await answer.json())["reason"] == "Invalid"
    async with session.get(f"{path}/seen", headers={**headers, "Accept": "application/yaml"}) as answer:
        assert (answer.status, answer.content_type) == (200, "application/yaml")
        assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    async with session.get(f"{address(local)}/metrics", headers=headers) as answer:
        assert answer.status == 404


async def test_the_local_server_passes_watches_on(local: LocalServer, session: aiohttp.ClientSession) -> None:
    url = f"{address(local)}{SERVICES}?watch=1"
    async with session.ws_connect(url, protocols=protocols(local.key)) as socket:
        assert (await socket.receive_json())["type"] == "ADDED"
        assert socket.protocol == PROTOCOL
    async with session.ws_connect(f"{url}&fieldSelector=nonsense", protocols=protocols(local.key)) as socket:
        event: dict[str, Any] = json.loads(await socket.receive_str())
        assert (event["type"], event["object"]["code"]) == ("ERROR", 400)
        assert (await socket.receive()).type == aiohttp.WSMsgType.CLOSE


async def test_a_watch_ends_with_its_page(local: LocalServer, session: aiohttp.ClientSession) -> None:
    before = asyncio.all_tasks()
    url = f"{address(local)}{SERVICES}?watch=1"
    socket = await session.ws_connect(url, protocols=protocols(local.key))
    await socket.receive()
    relaying = [task for task in asyncio.all_tasks() - before if "_relay" in repr(task)]
    assert len(relaying) == 1
    await socket.close()
    done, _ = await asyncio.wait(relaying, timeout=10)
    assert done


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Host": "evil.example:80", "Authorization": "Bearer KEY"}, 403),
        ({"Origin": "https://evil.example", "Authorization": "Bearer KEY"}, 403),
        ({"Origin": "null", "Authorization": "Bearer KEY"}, 403),
        ({"Cookie": "key=KEY"}, 401),
    ],
)
async def test_the_local_server_serves_nobody_else(
    local: LocalServer, session: aiohttp.ClientSession, headers: dict[str, str], code: int
) -> None:
    shown = {name: value.replace("KEY", local.key) for name, value in headers.items()}
    async with session.get(address(local) + SERVICES, headers=shown) as answer:
        assert answer.status == code
        assert (await answer.json())["kind"] == "Status"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await session.ws_connect(f"{address(local)}{SERVICES}?watch=1", headers=shown)
    assert refused.value.status == code


async def test_the_local_server_says_that_the_api_server_is_gone(
    own_apiserver: RunningApiServer, session: aiohttp.ClientSession
) -> None:
    async with Upstream(load(str(own_apiserver.kubeconfig))) as upstream:
        server = LocalServer(upstream)
        async with server.serving():
            own_apiserver.kill()
            async with session.get(address(server) + SERVICES, headers=bearer(server.key)) as answer:
                assert answer.status == 502
                assert "cannot reach the API server" in (await answer.json())["message"]
