"""DNS over TCP (RFC 7766) and TLS (RFC 7858): messages pipelined, answered as they get ready."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import cast

from clusterip.dns.counters import Counters
from clusterip.dns.responder import Responder

_IDLE_SECONDS = 10.0
_MAX_CONNECTIONS = 1024
_MAX_IN_FLIGHT = 128
_BACKLOG = 4096
_BATCH_BYTES = 65_536
"""Answers written in one go; more would wait in memory for a client that may not take them."""
_HANDSHAKE_SECONDS = 5.0


class TcpConnection(asyncio.Protocol):
    """One client. Reading pauses while it has too much in flight or does not take its answers."""

    def __init__(self, server: TcpServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._batch: list[bytes] = []
        self._batched = 0
        self._reading = False
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
        self._read_on()

    def eof_received(self) -> bool:
        """The client asks no more; what it asked is still answered."""
        self._finishing = True
        self._close_if_done()
        return True

    def pause_writing(self) -> None:
        self._choked = True

    def resume_writing(self) -> None:
        self._choked = False
        # Not at once: this may be called from within a write.
        asyncio.get_running_loop().call_soon(self._read_on)

    def abort(self) -> None:
        self._transport.abort()

    def _read_on(self) -> None:
        """Answers meanwhile are written together."""
        if self._reading:
            return
        self._reading = True
        try:
            self._read()
        finally:
            self._reading = False

    def _read(self) -> None:
        """Answer what is complete in the buffer, as far as the limits allow."""
        buffer, offset = bytes(self._buffer), 0
        responder = self._server.responder
        while not self._transport.is_closing():
            if self._choked or self._in_flight >= _MAX_IN_FLIGHT:
                self._pause()
                break
            start = offset + 2
            end = start + int.from_bytes(buffer[offset:start], "big")
            if start > len(buffer) or end > len(buffer):
                self._resume()
                break
            packet, offset = buffer[start:end], end
            self._server.counters.tcp += 1
            self._in_flight += 1
            answer = responder.kept(packet)
            if answer is not None:
                self._send(answer)
            elif not responder.respond(packet, self._send, tcp=True, client=self._client):
                self._transport.abort()  # whatever it speaks, it is not DNS
                return
            if self._batched > _BATCH_BYTES:
                self._flush()
        if offset:
            del self._buffer[:offset]
            self._last_heard = asyncio.get_running_loop().time()
        self._flush()
        self._close_if_done()

    def _send(self, answer: bytes) -> None:
        self._in_flight -= 1
        if self._transport.is_closing():
            return
        if answer:  # nothing is said to whom an access list silences
            self._server.counters.rcodes[answer[3] & 15] += 1
            self._batch += (len(answer).to_bytes(2, "big"), answer)
            self._batched += len(answer)
        if not self._reading:
            self._flush()
            if self._paused:
                asyncio.get_running_loop().call_soon(self._read_on)
            else:
                self._close_if_done()

    def _flush(self) -> None:
        if self._batch and not self._transport.is_closing():
            self._transport.write(b"".join(self._batch))
        self._batch.clear()
        self._batched = 0

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _close_if_done(self) -> None:
        if self._finishing and not self._batch and not self._in_flight and not self._paused:
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

    async def start(self, listening: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Answer on a listening socket; with ``tls`` to clients that speak DNS over TLS (RFC 7858)."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: TcpConnection(self),
            sock=listening,
            backlog=_BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=_HANDSHAKE_SECONDS if tls is not None else None,
        )

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
