"""Servers that take connections but are not ready, over TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web

from clusterip.client.config import Config
from clusterip.member import checks
from clusterip.member.balancer import Address, Balancer
from clusterip.member.checks import Checks
from clusterip.process.sockets import listen_tcp
from tests.support.pki import Authority


class Server:
    """Answers to /readyz with ``status``, or not at all if that is 0."""

    def __init__(self) -> None:
        self.status = 200
        self.address: Address = ("", 0)

    async def answer(self, _request: web.Request) -> web.Response:
        if not self.status:
            await asyncio.Event().wait()
        return web.Response(status=self.status)

    @asynccontextmanager
    async def running(self, authority: Authority) -> AsyncIterator[Server]:
        application = web.Application()
        application.router.add_get("/readyz", self.answer)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*authority.issue("server", "server", addresses=["127.0.0.1"]))
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        host, port = runner.addresses[0][:2]
        self.address = (host, port)
        try:
            yield self
        finally:
            await runner.cleanup()


async def test_a_server_that_is_not_ready_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(checks, "_ANSWER_SECONDS", 0.3)
    authority = Authority(tmp_path)
    trusted = ssl.create_default_context(cadata=authority.certificate.read_text())
    async with Server().running(authority) as first, Server().running(authority) as second:
        balancer = Balancer([first.address, second.address])
        listener = listen_tcp("127.0.0.1:0")
        address = listener.getsockname()[:2]
        serving = asyncio.create_task(balancer.serve(listener))
        held = Checks(balancer, Config(server="https://127.0.0.1:1", ssl_context=trusted))
        reader, writer = await asyncio.open_connection(*address, ssl=trusted, server_hostname="127.0.0.1")
        assert balancer.used == [first.address]
        await held.once()
        assert balancer.used == [first.address]
        first.status = second.status = 503
        await held.once()  # nobody is better
        assert balancer.used == [first.address]
        second.status = 200
        await held.once()
        with suppress(ConnectionError, ssl.SSLError):
            assert await reader.read() == b""
        writer.close()
        assert balancer.servers == [second.address, first.address]
        # One that hangs is left, too.
        first.status, second.status = 200, 0
        reader, writer = await asyncio.open_connection(*address, ssl=trusted, server_hostname="127.0.0.1")
        assert balancer.used == [second.address]
        await held.once()
        assert balancer.servers == [first.address, second.address]
        await held.close()
        writer.close()
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
