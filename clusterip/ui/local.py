"""``clusterip ui``: the page on loopback, and behind it the API as whom a kubeconfig names.

Whoever can talk to this server acts with the kubeconfig's rights, and everybody on the machine can connect
to it, as can every web page in a browser here. So each request to the API has to show a key that only the
opened URL has. The page gets it in the URL's fragment, which is sent nowhere, keeps it for its tab, and
sends it as a bearer token, as it sends a token to an API server. A cookie would go to every port of this
host, whoever listens there. ``Host`` must name this server, so that no foreign name that resolves to
loopback leads here (DNS rebinding), and ``Origin``, where there is one, must be this server.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

from clusterip.client.credentials import CredentialsError
from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.watching import LineSplitter
from clusterip.objects import codec
from clusterip.objects.meta import Status
from clusterip.ui import assets
from clusterip.ui.upstream import Upstream

PROTOCOL = "clusterip.ui"
"""The WebSocket subprotocol that the page names beside the one with its token."""

_KEY_BYTES = 32
_BODY_LIMIT = 3 * 1024 * 1024
_TOKEN_PROTOCOL = "base64url.bearer.authorization.k8s.io."
_PASSED = ("Accept", "Content-Type")
_RETURNED = ("Content-Type", "Warning", "Retry-After", "Audit-Id")
_API = ("/api/", "/apis/", "/version")


class LocalServer:
    """The page and the API on one origin.

    Attributes:
        key: what a request to the API must show.
        port: where it listens.
    """

    def __init__(self, upstream: Upstream) -> None:
        self.key = secrets.token_urlsafe(_KEY_BYTES)
        self.port = 0
        self._upstream = upstream

    @property
    def url(self) -> str:
        """What to open. Whoever knows it has the kubeconfig's rights for as long as this server runs."""
        return f"http://127.0.0.1:{self.port}{assets.PREFIX}#key={self.key}"

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[None]:
        """Listen on loopback; port 0 takes a free one.

        Raises:
            OSError: the port cannot be had.
        """
        listening = socket.create_server(("127.0.0.1", port))
        self.port = listening.getsockname()[1]
        runner = web.ServerRunner(web.Server(self._handle, access_log=None), handle_signals=False)
        await runner.setup()
        try:
            await web.SockSite(runner, listening).start()
            yield
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self._is_for_us(request):
            return _refusal(403, "Forbidden", "this server answers only the page that it serves itself")
        if assets.is_ours(request.path):
            found = assets.answer(request.method, request.path, request.headers.get("If-None-Match", ""))
            return web.Response(status=found.status, headers=dict(found.headers), body=found.body)
        if request.path == "/":
            return web.Response(status=302, headers={**assets.HEADERS, "Location": assets.PREFIX})
        if not self._has_key(request):
            return _refusal(401, "Unauthorized", "open the URL that `clusterip ui` printed")
        if not request.path.startswith(_API):
            return _refusal(404, "NotFound", "only the Kubernetes API is passed on")
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._watch(request)
        return await self._pass(request)

    def _is_for_us(self, request: web.BaseRequest) -> bool:
        hosts = (f"127.0.0.1:{self.port}", f"localhost:{self.port}")
        origins = (None, *(f"http://{host}" for host in hosts))
        return request.headers.get("Host") in hosts and request.headers.get("Origin") in origins

    def _has_key(self, request: web.BaseRequest) -> bool:
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            shown = _of_protocols(request.headers.get("Sec-WebSocket-Protocol", ""))
        return hmac.compare_digest(shown.strip().encode(), self.key.encode())

    async def _pass(self, request: web.BaseRequest) -> web.StreamResponse:
        if (request.content_length or 0) > _BODY_LIMIT:
            return _refusal(413, "RequestEntityTooLarge", f"a request has at most {_BODY_LIMIT} bytes")
        headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
        body = await request.read() or None
        try:
            async with self._upstream.pass_on(request.method, request.raw_path, headers, body) as answer:
                response = web.StreamResponse(status=answer.status)
                for name in _RETURNED:
                    for value in answer.headers.getall(name, ()):
                        response.headers.add(name, value)
                response.headers["Cache-Control"] = "no-store"
                response.headers["X-Content-Type-Options"] = "nosniff"
                # What a Pod answers through the API must not become a page of this origin.
                response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                return response
        except (Unreachable, CredentialsError) as error:
            if request.transport is None or request.transport.is_closing():
                raise
            return _refusal(502, "BadGateway", str(error))

    async def _watch(self, request: web.BaseRequest) -> web.StreamResponse:
        """A watch, each event a message: on an API server of any kind it is a plain, endless answer."""
        browser = web.WebSocketResponse(protocols=(PROTOCOL,), heartbeat=30.0)
        await browser.prepare(request)
        relaying = asyncio.create_task(self._relay(request.raw_path, browser))
        leaving = asyncio.create_task(_until_closed(browser))
        try:
            await asyncio.wait((relaying, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (relaying, leaving):
                task.cancel()
            await asyncio.gather(relaying, leaving, return_exceptions=True)
        await browser.close()
        return browser

    async def _relay(self, target: str, browser: web.WebSocketResponse) -> None:
        try:
            async with self._upstream.stream(target) as content:
                lines = LineSplitter()
                while chunk := await content.readany():
                    for line in lines.feed(chunk):
                        await browser.send_str(line.decode())
        except ApiError as error:
            await browser.send_str(_error_event(error.status))
        except (Unreachable, CredentialsError) as error:
            status = Status(status="Failure", message=str(error), reason="ServiceUnavailable", code=503)
            await browser.send_str(_error_event(status))


async def _until_closed(browser: web.WebSocketResponse) -> None:
    """Nothing is expected from the page but that it leaves."""
    async for _ in browser:
        pass


def _of_protocols(header: str) -> str:
    """The token among WebSocket subprotocols, which are the only thing that a page can set."""
    for protocol in header.split(","):
        encoded = protocol.strip()
        if encoded.startswith(_TOKEN_PROTOCOL):
            encoded = encoded[len(_TOKEN_PROTOCOL) :]
            try:
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            except (binascii.Error, UnicodeDecodeError):
                return ""
    return ""


def _error_event(status: Status) -> str:
    return msgspec.json.encode({"type": "ERROR", "object": codec.to_tree(status)}).decode()


def _refusal(code: int, reason: str, message: str) -> web.Response:
    status = Status(
        kind="Status", apiVersion="v1", status="Failure", reason=reason, message=message, code=code
    )
    return web.Response(
        status=code,
        body=codec.encode(status),
        content_type="application/json",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
    )
