"""DNS over TCP (RFC 7766): length-prefixed messages, pipelined, answered as they get ready."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from clusterip.dns.counters import Counters
from clusterip.dns.responder import Responder

_IDLE_SECONDS = 10.0
_MAX_CONNECTIONS = 1024
_MAX_IN_FLIGHT = 128
_BACKLOG = 4096


class TcpConnection(asyncio.Protocol):
    """One client. Reading pauses while it has too much in flight or does not take its answers."""

    def __init__(self, server: TcpServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._in_flight = 0
        self._choked = False
        self._paused = False
        self._finishing = False
        self._transport: asyncio.Transport
        self._client = ""
        self._last_heard = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        if not self._server.admit(self):
            self._transport.abort()
            return
        self._client = (self._transport.get_extra_info("peername") or ("",))[0]
        loop = asyncio.get_running_loop()
        self._last_heard = loop.time()
        self._timer = loop.call_later(_IDLE_SECONDS, self._check_idle)

    def connection_lost(self, error: Exception | None) -> None:
        self._server.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._read()

    def eof_received(self) -> bool:
        """The client asks no more; what it asked is still answered."""
        self._finishing = True
        self._close_if_done()
        return True

    def pause_writing(self) -> None:
        self._choked = True

    def resume_writing(self) -> None:
        self._choked = False
        self._read()

    def abort(self) -> None:
        self._transport.abort()

    def _read(self) -> None:
        """Answer what is complete in the buffer, as far as the limits allow."""
        while not self._transport.is_closing():
            if self._choked or self._in_flight >= _MAX_IN_FLIGHT:
                self._pause()
                return
            length = int.from_bytes(self._buffer[:2], "big")
            if len(self._buffer) < 2 + length:
                break
            packet = bytes(self._buffer[2 : 2 + length])
            del self._buffer[: 2 + length]
            self._last_heard = asyncio.get_running_loop().time()
            self._server.counters.tcp += 1
            self._in_flight += 1
            if not self._server.responder.respond(packet, self._send, tcp=True, client=self._client):
                self._transport.abort()  # whatever it speaks, it is not DNS
                return
        self._resume()
        self._close_if_done()

    def _send(self, answer: bytes) -> None:
        self._in_flight -= 1
        if self._transport.is_closing():
            return
        self._server.counters.rcodes[answer[3] & 15] += 1
        self._transport.write(len(answer).to_bytes(2, "big") + answer)
        if self._paused:
            asyncio.get_running_loop().call_soon(self._read)
        else:
            self._close_if_done()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _close_if_done(self) -> None:
        if self._finishing and not self._in_flight and not self._paused:
            self._transport.close()

    def _check_idle(self) -> None:
        loop = asyncio.get_running_loop()
        left = self._last_heard + _IDLE_SECONDS - loop.time()
        if left <= 0 and not self._in_flight:
            self._transport.abort()
            return
        self._timer = loop.call_later(max(left, 1.0), self._check_idle)


class TcpServer:
    """Answers connections on one listening socket."""

    def __init__(self, responder: Responder, counters: Counters) -> None:
        self.responder = responder
        self.counters = counters
        self.connections: set[TcpConnection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: TcpConnection(self), sock=listening, backlog=_BACKLOG)

    def admit(self, connection: TcpConnection) -> bool:
        """Take a new connection in, unless there are too many."""
        if len(self.connections) >= _MAX_CONNECTIONS:
            return False
        self.connections.add(connection)
        return True

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.abort()
