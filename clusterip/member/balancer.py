"""One local address for all API servers.

Connections go to the server that answered last, and to the next one if it does not. TLS is between the
client and the server; here are only bytes. A server that is gone without a word is noticed by TCP's own
means, and its connections are broken, so that clients come again.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterable

from clusterip.process import log

Address = tuple[str, int]

_CONNECT_SECONDS = 2.0
_IDLE_SECONDS = 5
_PROBES, _PROBE_SECONDS = 3, 2
_CHUNK = 1 << 16

_log = log.get("member")


class Balancer:
    """Passes connections on. ``servers`` may change at any time; those that are open stay."""

    def __init__(self, servers: Iterable[Address]) -> None:
        self._servers = list(dict.fromkeys(servers))
        self._links: dict[asyncio.Task[None], Address | None] = {}

    @property
    def servers(self) -> list[Address]:
        """In the order in which they are tried."""
        return list(self._servers)

    @property
    def used(self) -> list[Address]:
        """Those that connections lead to now."""
        return list(dict.fromkeys(server for server in self._links.values() if server is not None))

    def __str__(self) -> str:
        return ",".join(map(shown, self._servers))

    def follow(self, servers: Iterable[Address]) -> None:
        """Take over a new list. An empty one is none: something must be tried."""
        wanted = list(dict.fromkeys(servers))
        if not wanted or {*wanted} == {*self._servers}:
            return
        kept = [server for server in self._servers if server in wanted]
        self._servers = kept + [server for server in wanted if server not in kept]
        _log.info("servers changed", servers=str(self))

    def leave(self, server: Address, other: Address) -> None:
        """Break the connections to a server, which come again to another one."""
        rest = [each for each in self._servers if each not in (server, other)]
        self._servers = [other, *rest, server]
        for link, leads_to in self._links.items():
            if leads_to == server:
                link.cancel()

    async def serve(self, listener: socket.socket) -> None:
        """Take connections until cancelled."""
        server = await asyncio.start_server(self._accept, sock=listener)
        async with server:
            try:
                await server.serve_forever()
            finally:
                for link in self._links:
                    link.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.create_task(self._link(reader, writer))
        self._links[link] = None
        link.add_done_callback(self._links.pop)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            found = await self._connect()
            if found is not None:
                server, upstream = found
                link = asyncio.current_task()
                assert link is not None
                self._links[link] = server
                await _join(reader, writer, *upstream)
        finally:
            writer.transport.abort()

    async def _connect(self) -> tuple[Address, tuple[asyncio.StreamReader, asyncio.StreamWriter]] | None:
        for server in list(self._servers):
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    opened = await asyncio.open_connection(*server)
            except (OSError, TimeoutError) as error:
                _log.debug("server does not answer", server=shown(server), error=str(error))
                if self._servers and self._servers[0] == server:  # others need not find that out again
                    self._servers.append(self._servers.pop(0))
                continue
            _watch_over(opened[1].get_extra_info("socket"))
            return server, opened
        return None


def shown(server: Address) -> str:
    """``HOST:PORT``."""
    host, port = server
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _watch_over(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _PROBE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
    milliseconds = (_IDLE_SECONDS + _PROBES * _PROBE_SECONDS) * 1000
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


async def _join(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
) -> None:
    """Carry bytes both ways until both ends have closed, or one has broken."""
    there = asyncio.create_task(_carry(reader, far_writer))
    back = asyncio.create_task(_carry(far_reader, writer))
    try:
        await asyncio.gather(there, back)
    except OSError:
        pass
    finally:
        there.cancel()
        back.cancel()
        far_writer.transport.abort()


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(_CHUNK):
        target.write(data)
        await target.drain()
    with contextlib.suppress(OSError):
        target.write_eof()
