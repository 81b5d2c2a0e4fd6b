"""An HTTP server to be proxied to: it answers with the request it got, or as its path says."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import random
import ssl
import threading
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from clusterip.apiserver.tls import self_signed

PAGE = (
    "<!DOCTYPE html><HTML><!-- <a href=/no> --><A HREF=/x/y?q=1 CLASS='b&amp;c'>t</A><img src=\"rel.png\"/>"
    '<a href="http://elsewhere/z">o</a><script>if(a<b){"<a href=\'/no\'>"}</script><form action="/f/"></HTML>'
)
PROXIED_PAGE = (
    '<!DOCTYPE html><html><!-- <a href=/no> --><a href="{0}/x/y?q=1" class="b&amp;c">t</A>'
    '<img src="rel.png"/><a href="http://elsewhere/z">o</a><script>if(a<b){{"<a href=\'/no\'>"}}</script>'
    '<form action="{0}/f/"></HTML>'
)


class Backend:
    """Serves HTTP on ``port`` and HTTPS on ``tls_port`` of an address, from a thread of its own."""

    def __init__(self, directory: Path, address: str) -> None:
        self.address = address
        self.port = self.tls_port = 0
        self.asked: list[str] = []
        self.gone = threading.Event()
        self._certificate = self_signed(str(directory), [address])
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._hold = asyncio.Event()

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def go_on(self) -> None:
        """Let answers that are held go on."""
        self._loop.call_soon_threadsafe(self._hold.set)

    async def _start(self) -> None:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/websocket", self._websocket)
        app.router.add_route("*", "/page", self._page)
        app.router.add_route("*", "/redirect", self._redirect)
        app.router.add_route("*", "/status/{code}", self._status)
        app.router.add_route("*", "/headers", self._headers)
        app.router.add_route("*", "/held", self._held)
        app.router.add_route("*", "/repeat", self._repeat)
        app.router.add_route("*", "/cut", self._cut)
        app.router.add_route("*", "/{anything:.*}", self._echo)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._certificate)
        await web.TCPSite(self._runner, self.address, 0).start()
        await web.TCPSite(self._runner, self.address, 0, ssl_context=context).start()
        self.port, self.tls_port = (each[1] for each in self._runner.addresses)

    async def _echo(self, request: web.Request) -> web.Response:
        return web.json_response(_told(request) | {"body": (await request.read()).decode()})

    async def _page(self, request: web.Request) -> web.Response:
        encoding = request.query.get("encoding", "")
        page = PAGE.encode()
        if length := int(request.query.get("noise", "0")):
            page = b"<!-- " + base64.b64encode(random.Random(1).randbytes(length)) + b" -->" + page
        body = gzip.compress(page) if encoding == "gzip" else page
        headers = {"Content-Encoding": encoding} if encoding else {}
        return web.Response(body=body, content_type="text/html", headers=headers)

    async def _redirect(self, request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": request.query["to"]})

    async def _status(self, request: web.Request) -> web.Response:
        return web.Response(status=int(request.match_info["code"]), text="told so")

    async def _headers(self, _request: web.Request) -> web.Response:
        several = [("Set-Cookie", "a=b"), ("Set-Cookie", "c=d"), ("X-Kept", "1"), ("Server", "mine")]
        hop = [("Connection", "X-Dropped"), ("X-Dropped", "1"), ("Keep-Alive", "timeout=5")]
        return web.Response(text="x", headers=[*several, *hop, ("Access-Control-Allow-Origin", "*")])

    async def _held(self, request: web.Request) -> web.StreamResponse:
        """Begins an answer; goes on when told to, and notes when the client has left instead."""
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun\n")
        try:
            await self._hold.wait()
        except asyncio.CancelledError:
            self.gone.set()
            raise
        self._hold.clear()
        await response.write(b"ended\n")
        return response

    async def _repeat(self, request: web.Request) -> web.StreamResponse:
        """Sends each piece of the body back as it comes."""
        response = web.StreamResponse()
        await response.prepare(request)
        async for piece in request.content.iter_any():
            await response.write(piece)
        return response

    async def _cut(self, request: web.Request) -> web.StreamResponse:
        """Promises more than it sends."""
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"begun")
        assert request.transport
        request.transport.close()
        return response

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.Response(status=426, text="a WebSocket, please")
        socket = web.WebSocketResponse(protocols=("wanted",))
        await socket.prepare(request)
        await socket.send_json(_told(request))
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(f"you said {message.data}")
        return socket


def _told(request: web.Request) -> dict[str, Any]:
    headers: list[tuple[str, str]] = [(k.decode().lower(), v.decode()) for k, v in request.raw_headers]
    return {"method": request.method, "target": request.raw_path, "headers": headers}


def headers_of(told: str | bytes) -> dict[str, str]:
    """The headers that an echo tells of; of one given twice, the last."""
    return dict(json.loads(told)["headers"])
