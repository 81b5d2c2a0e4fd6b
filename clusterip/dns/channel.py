"""A connection to an upstream that is kept and shared: queries over TCP (RFC 7766) or TLS (RFC 7858)."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from typing import cast


class Channel:
    """Opened when there is something to ask, closed when nothing has been asked for a while."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str = "",
        idle_seconds: float = 10.0,
        source_address: str = "",
    ) -> None:
        """``server_name``: what the upstream's certificate must be for; by default its address."""
        self._host, self._port, self._tls = host, port, tls
        self._server_name = (server_name or host) if tls is not None else None
        self._idle_seconds = idle_seconds
        self._source = (source_address, 0) if source_address else None
        self._opening = asyncio.Lock()
        self._connection: _Connection | None = None

    async def ask(self, query: bytes) -> bytes:
        """The message that comes back with the query's ID.

        Raises:
            OSError: no connection, a bad certificate, or closed before it came.
        """
        connection, fresh = await self._connect()
        try:
            return await connection.ask(query)
        except ConnectionResetError:
            if fresh:
                raise
        # It was closed for idleness, perhaps while the query was under way: that is no failure.
        connection, _ = await self._connect()
        return await connection.ask(query)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    async def _connect(self) -> tuple[_Connection, bool]:
        async with self._opening:
            if self._connection is not None and self._connection.is_open:
                return self._connection, False
            loop = asyncio.get_running_loop()
            _, self._connection = await loop.create_connection(
                lambda: _Connection(self._idle_seconds),
                self._host,
                self._port,
                ssl=self._tls,
                server_hostname=self._server_name,
                local_addr=self._source,
            )
            return self._connection, True


class _Connection(asyncio.Protocol):
    def __init__(self, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._buffer = bytearray()
        self._waiting: dict[bytes, asyncio.Future[bytes]] = {}
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, query: bytes) -> bytes:
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        own = secrets.token_bytes(2)
        while own in self._waiting:
            own = secrets.token_bytes(2)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[own] = answer
        self._stop_timer()
        self._transport.write(len(query).to_bytes(2, "big") + own + query[2:])
        try:
            return query[:2] + (await answer)[2:]
        finally:
            self._waiting.pop(own, None)
            if not self._waiting and self.is_open:
                self._stop_timer()
                self._timer = asyncio.get_running_loop().call_later(self._idle_seconds, self.close)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._stop_timer()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionResetError("the connection was closed"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 2:
            length = int.from_bytes(self._buffer[:2], "big")
            if len(self._buffer) < 2 + length:
                return
            packet = bytes(self._buffer[2 : 2 + length])
            del self._buffer[: 2 + length]
            answer = self._waiting.get(packet[:2])
            if answer is not None and not answer.done():
                answer.set_result(packet)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
