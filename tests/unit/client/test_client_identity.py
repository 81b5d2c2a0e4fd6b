"""Who the client is, to a real TLS server: certificates, tokens and plugins that change; proxies between."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from clusterip.client.config import Config, ConfigError, load
from clusterip.client.credentials import CredentialsError
from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.proxies import proxy_for
from clusterip.client.rest import Client
from tests.support.pki import Authority

EXEC_V1 = "client.authentication.k8s.io/v1"


class Mirror:
    """A TLS server that answers with what it knows of its client; tokens in ``refused`` get 401."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory)
        self.refused: set[str] = set()
        self.port = 0
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        application = web.Application()
        application.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        certificate, key = self.authority.issue("server", "server", addresses=["127.0.0.1"])
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.authority.certificate))
        context.load_cert_chain(certificate, key)
        context.verify_mode = ssl.CERT_OPTIONAL
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/endless":
            answer = web.StreamResponse()
            await answer.prepare(request)
            await answer.write(b"begun")
            await asyncio.Event().wait()
        if request.path == "/slow":
            self.asked.set()
            await self.go_on.wait()
        authorization = request.headers.get("Authorization", "")
        if authorization in self.refused:
            return web.json_response({"code": 401, "reason": "Unauthorized", "message": "no"}, status=401)
        peer = request.get_extra_info("peercert")
        subject = dict(part[0] for part in peer["subject"]) if peer else {}
        return web.json_response(
            {
                "name": subject.get("commonName", ""),
                "authorization": authorization,
                "connection": id(request.transport),
                "encoding": request.headers.get("Accept-Encoding", ""),
            }
        )


@pytest.fixture
async def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Mirror]:
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    mirror = Mirror(tmp_path)
    await mirror.start()
    yield mirror
    await mirror.stop()


def config(
    mirror: Mirror, user: dict[str, Any] | None = None, host: str = "127.0.0.1", **cluster: Any
) -> Config:
    file = mirror.authority.directory / "kubeconfig"
    whole = {"server": f"https://{host}:{mirror.port}", "certificate-authority": "ca.crt", **cluster}
    tree = {
        "clusters": [{"name": "c", "cluster": whole}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    file.write_text(yaml.safe_dump(tree))
    return load(str(file))


async def seen(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await client.request("GET", "/who"))
    return found


async def test_a_certificate_that_is_replaced_is_used_from_then_on(mirror: Mirror) -> None:
    mirror.authority.issue("me", "first")
    user = {"client-certificate": "me.crt", "client-key": "me.key"}
    async with Client(config(mirror, user)) as client:
        before = await seen(client)
        assert before["name"] == "first"
        assert (await seen(client))["connection"] == before["connection"]
        mirror.authority.issue("me", "second")
        assert (await seen(client))["name"] == "second"


async def test_a_replaced_certificate_breaks_watches_alone(mirror: Mirror) -> None:
    """A watch ends, so that its client comes again as who it is now; a request comes to its end."""
    mirror.authority.issue("me", "first")
    user = {"client-certificate": "me.crt", "client-key": "me.key"}
    async with Client(config(mirror, user)) as client, asyncio.timeout(20), asyncio.TaskGroup() as tasks:

        async def watch() -> None:
            async with client.stream("/endless") as content:
                assert await content.read(5) == b"begun"
                watching.set()
                await content.read(1)

        watching = asyncio.Event()
        watched = asyncio.ensure_future(watch())
        slow = tasks.create_task(client.request("GET", "/slow"))
        await watching.wait()
        await mirror.asked.wait()
        mirror.authority.issue("me", "second")
        together = await asyncio.gather(*(seen(client) for _ in range(20)))  # more than there are connections
        assert {each["name"] for each in together} == {"second"}
        with pytest.raises(Unreachable, match="Connection closed"):
            await watched
        mirror.go_on.set()
        assert json.loads(await slow)["name"] == "first"


async def test_a_certificate_being_replaced_does_no_harm(
    mirror: Mirror, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = mirror.authority.issue("me", "first")
    user = {"client-certificate": "me.crt", "client-key": "me.key"}
    async with Client(config(mirror, user)) as client:
        assert (await seen(client))["name"] == "first"
        old_key = key.read_bytes()
        mirror.authority.issue("me", "second")
        new_key = key.read_bytes()
        key.write_bytes(old_key)  # the certificate is there already, its key not yet
        assert (await seen(client))["name"] == "first"
        assert "going on with the last certificates" in caplog.text
        certificate.unlink()
        assert (await seen(client))["name"] == "first"
        mirror.authority.issue("me", "third")
        assert (await seen(client))["name"] == "third"
        assert new_key != old_key


async def test_another_authority_is_taken_over(mirror: Mirror, tmp_path: Path) -> None:
    right = mirror.authority.certificate.read_bytes()
    (tmp_path / "other").mkdir()
    wrong = Authority(tmp_path / "other").certificate.read_bytes()
    async with Client(config(mirror)) as client:
        await seen(client)
        mirror.authority.certificate.write_bytes(wrong)
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            await seen(client)
        mirror.authority.certificate.write_bytes(right)
        await seen(client)


async def test_the_name_in_the_servers_certificate(mirror: Mirror) -> None:
    async with Client(config(mirror, host="localhost")) as client:
        with pytest.raises(Unreachable, match="localhost"):
            await seen(client)
    async with Client(config(mirror, host="localhost", **{"tls-server-name": "127.0.0.1"})) as client:
        await seen(client)
    unchecked = {"insecure-skip-tls-verify": True, "certificate-authority": ""}
    async with Client(config(mirror, host="localhost", **unchecked)) as client:
        await seen(client)


async def test_compression_can_be_refused(mirror: Mirror) -> None:
    async with Client(config(mirror)) as client:
        assert "gzip" in (await seen(client))["encoding"]
    async with Client(config(mirror, **{"disable-compression": True})) as client:
        assert (await seen(client))["encoding"] == "identity"


async def test_a_refused_token_is_read_again(mirror: Mirror, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one")
    stat = token.stat()
    async with Client(config(mirror, {"tokenFile": "token"})) as client:
        assert (await seen(client))["authorization"] == "Bearer one"
        mirror.refused.add("Bearer one")
        with token.open("r+") as file:  # the same file, and (some file systems are coarse) of the same time
            file.write("two")
        os.utime(token, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        with pytest.raises(ApiError) as caught:
            await seen(client)
        assert caught.value.code == 401
        assert (await seen(client))["authorization"] == "Bearer two"


def plugin(directory: Path, **answer: Any) -> dict[str, Any]:
    """A plugin's entry in a kubeconfig: it counts its calls, keeps what it was told, and answers so."""
    program = directory / "plugin.py"
    (directory / "answer").write_text(json.dumps(answer))
    program.write_text(
        "import json, os, pathlib, sys\n"
        f"here = pathlib.Path({str(directory)!r})\n"
        "calls = here / 'calls'\n"
        "calls.write_text((calls.read_text() if calls.exists() else '') + 'x')\n"
        "(here / 'info').write_text(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "print((here / 'answer').read_text().replace('CALLS', str(len(calls.read_text()))))\n"
    )
    return {
        "command": sys.executable,
        "args": [str(program)],
        "apiVersion": EXEC_V1,
        "interactiveMode": "Never",
    }


def credential(**status: Any) -> dict[str, Any]:
    return {"apiVersion": EXEC_V1, "kind": "ExecCredential", "status": status}


async def test_a_plugins_token_until_it_expires_or_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    entry = plugin(tmp_path, **credential(token="token-CALLS", expirationTimestamp="2099-01-01T00:00:00Z"))
    async with Client(config(mirror, {"exec": entry})) as client:
        assert (await seen(client))["authorization"] == "Bearer token-1"
        assert (await seen(client))["authorization"] == "Bearer token-1"
        mirror.refused.add("Bearer token-1")
        with pytest.raises(ApiError):
            await seen(client)
        assert (await seen(client))["authorization"] == "Bearer token-2"
    entry = plugin(tmp_path, **credential(token="token-CALLS", expirationTimestamp="2020-01-01T00:00:00Z"))
    async with Client(config(mirror, {"exec": entry})) as client:
        assert (await seen(client))["authorization"] == "Bearer token-3"
        assert (await seen(client))["authorization"] == "Bearer token-4"


async def test_a_plugins_certificate(mirror: Mirror, tmp_path: Path) -> None:
    def answer(name: str) -> dict[str, Any]:
        certificate, key = mirror.authority.issue("plugin", name)
        pair = {"clientCertificateData": certificate.read_text(), "clientKeyData": key.read_text()}
        return credential(expirationTimestamp="2020-01-01T00:00:00Z", **pair)

    async with Client(config(mirror, {"exec": plugin(tmp_path, **answer("first"))})) as client:
        assert await seen(client) | {"connection": 0, "encoding": ""} == {
            "name": "first",
            "authorization": "",
            "connection": 0,
            "encoding": "",
        }
        (tmp_path / "answer").write_text(json.dumps(answer("second")))
        assert (await seen(client))["name"] == "second"


async def test_what_a_plugin_is_told(mirror: Mirror, tmp_path: Path) -> None:
    entry = plugin(tmp_path, **credential(token="t")) | {"provideClusterInfo": True}
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "here"}}
    async with Client(config(mirror, {"exec": entry}, extensions=[extension])) as client:
        await seen(client)
    info = json.loads((tmp_path / "info").read_text())
    assert (info["apiVersion"], info["kind"], info["spec"]["interactive"]) == (
        EXEC_V1,
        "ExecCredential",
        False,
    )
    cluster = info["spec"]["cluster"]
    assert cluster["server"] == f"https://127.0.0.1:{mirror.port}"
    assert cluster["config"] == {"audience": "here"}
    assert cluster["certificate-authority-data"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"apiVersion": "client.authentication.k8s.io/v1beta1", "kind": "ExecCredential"}, "v1beta1"),
        ({"apiVersion": EXEC_V1, "kind": "Pod"}, "answered with Pod"),
        (credential(), "neither a token nor a certificate"),
        (credential(clientKeyData="k"), "a certificate or a key alone"),
    ],
)
async def test_answers_of_plugins_that_cannot_be_used(
    mirror: Mirror, tmp_path: Path, answer: dict[str, Any], told: str
) -> None:
    async with Client(config(mirror, {"exec": plugin(tmp_path, **answer)})) as client:
        with pytest.raises(CredentialsError, match=told):
            await seen(client)


@pytest.mark.parametrize(
    ("user", "told"),
    [
        ({"exec": {"command": "x", "apiVersion": "client.authentication.k8s.io/v1alpha1"}}, "must be"),
        ({"exec": {"command": "x", "apiVersion": EXEC_V1, "interactiveMode": "Perhaps"}}, "interactiveMode"),
        ({"auth-provider": {"name": "gcp"}}, "'gcp' is of old"),
    ],
)
def test_users_that_cannot_be_used(tmp_path: Path, user: dict[str, Any], told: str) -> None:
    mirror = Mirror(tmp_path)
    with pytest.raises(ConfigError, match=told):
        config(mirror, user)


async def test_a_plugin_that_must_ask_somebody(mirror: Mirror, tmp_path: Path) -> None:
    entry = plugin(tmp_path, **credential(token="t")) | {"interactiveMode": "Always"}
    async with Client(config(mirror, {"exec": entry})) as client:
        with pytest.raises(CredentialsError, match="there is no terminal"):
            await seen(client)


class Proxy:
    """A proxy that joins connections (CONNECT) and remembers to where."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.port = 0

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        target = head.split(" ")[1]
        self.asked.append(target)
        port = target.rsplit(":", 1)[1]
        there, back = await asyncio.open_connection("127.0.0.1", int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(self._copy(reader, back), self._copy(there, writer))

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
        target.close()


async def test_a_proxy_between(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy()
    async with await proxy.start():
        url = f"http://127.0.0.1:{proxy.port}"
        async with Client(config(mirror, **{"proxy-url": url})) as client:
            await seen(client)
        assert proxy.asked == [f"127.0.0.1:{mirror.port}"]
        monkeypatch.setenv("HTTPS_PROXY", url)
        named = {"tls-server-name": "127.0.0.1"}
        async with Client(config(mirror, host="api.example", **named)) as client:
            await seen(client)
        assert proxy.asked[1] == f"api.example:{mirror.port}"


@pytest.mark.parametrize(
    ("server", "exceptions", "proxied"),
    [
        ("https://api.example:6443", "", True),
        ("https://api.example:6443", "other.example", True),
        ("https://api.example:6443", "example", False),
        ("https://api.example:6443", ".example", False),
        ("https://api.example:6443", "*.example", False),
        ("https://api.example:6443", "api.example:443", True),
        ("https://api.example:6443", "api.example:6443", False),
        ("https://badexample", "example", True),
        ("https://10.96.0.1", "10.96.0.0/12", False),
        ("https://10.96.0.1", "10.0.0.1, 10.96.0.1", False),
        ("https://10.96.0.1", "192.0.2.0/24", True),
        ("https://[fd00::1]:443", "fd00::/8", False),
        ("https://anything", "*", False),
        ("https://localhost:6443", "", False),
        ("https://127.0.0.5", "", False),
        ("http://api.example", "", False),
    ],
)
def test_proxies_from_the_environment(server: str, exceptions: str, proxied: bool) -> None:
    environment = {"https_proxy": "proxy.example:3128", "NO_PROXY": exceptions}
    assert proxy_for(server, environment) == ("http://proxy.example:3128" if proxied else None)


def test_proxies_of_other_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="only HTTP proxies"):
        config(Mirror(tmp_path), **{"proxy-url": "socks5://127.0.0.1:1"})
