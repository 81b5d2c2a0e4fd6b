"""DNS over TCP (RFC 7766) and TLS (RFC 7858): messages pipelined, answered as they get ready."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from time import monotonic, perf_counter
from typing import cast

from clusterip.dns.config.model import TcpLimits
from clusterip.dns.counters import Counters
from clusterip.dns.responder import Responder

_MAX_CONNECTIONS = 1024
_MAX_PER_CLIENT = 256
"""One client must not be able to take all connections."""
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
        self.client = ("", 0)
        self._local = ("", 0)
        self._asked = 0
        self._last_heard = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self.client = (self._transport.get_extra_info("peername") or self.client)[:2]
        self._local = (self._transport.get_extra_info("sockname") or self._local)[:2]
        if not self._server.admit(self):
            self._transport.abort()
            return
        self._family = 1 if "." in self.client[0] else 2
        self._tally = self._server.counters.tally("tcp", self._family)
        loop = asyncio.get_running_loop()
        self._last_heard = monotonic()
        self._timer = loop.call_later(self._server.limits.idle, self._check_idle)

    def connection_lost(self, error: Exception | None) -> None:
        self._server.dismiss(self)
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
        self._last_heard = monotonic()
        # Not at once: this may be called from within a write.
        asyncio.get_running_loop().call_soon(self._read_on)

    def abort(self) -> None:
        self._transport.abort()

    @property
    def idle_since(self) -> float:
        """When it was last heard of; infinite while something is under way."""
        return float("inf") if self._in_flight else self._last_heard

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
        if 0 < self._server.limits.queries <= self._asked:
            self._buffer.clear()
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
            self._in_flight += 1
            self._asked += 1
            answer = responder.kept(packet)
            if answer is not None:
                self._tally[answer] = self._tally.get(answer, 0) + 1
                self._in_flight -= 1
                self._put(packet[:2] + answer)
            elif not self._ask(packet):
                self._transport.abort()  # whatever it speaks, it is not DNS
                return
            if self._asked == self._server.limits.queries:
                self._finishing = True  # what it has asked is answered, and no more
                offset = len(buffer)
                break
            if self._batched > _BATCH_BYTES:
                self._flush()
        if offset:
            del self._buffer[:offset]
            self._last_heard = monotonic()
        self._flush()
        self._close_if_done()

    def _ask(self, packet: bytes) -> bool:
        """Have a question answered; False if it deserves no answer."""
        counters = self._server.counters
        started = perf_counter()

        def send(answer: bytes, *, final: bool = True) -> None:
            if answer and final:
                counters.answered(answer, "tcp", self._family, len(packet), perf_counter() - started)
            self._send(answer, final=final)

        return self._server.responder.respond(packet, send, tcp=True, client=self.client, local=self._local)

    def _put(self, answer: bytes) -> None:
        self._batch += (len(answer).to_bytes(2, "big"), answer)
        self._batched += len(answer)

    def _send(self, answer: bytes, *, final: bool) -> None:
        self._in_flight -= final
        if self._transport.is_closing():
            return
        if answer:  # nothing is said to whom an access list silences
            self._put(answer)
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
        left = self._last_heard + self._server.limits.idle - monotonic()
        if left <= 0 and (self._choked or not self._in_flight):
            self._transport.abort()
            return
        self._timer = loop.call_later(max(left, 1.0), self._check_idle)


class TcpServer:
    """Answers connections on one listening socket."""

    def __init__(self, responder: Responder, counters: Counters, limits: TcpLimits | None = None) -> None:
        self.responder = responder
        self.counters = counters
        self.limits = limits or TcpLimits()
        self._per_client: Counter[str] = Counter()
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
        """Take a new connection in, unless its client has too many.

        If there are too many of all clients, that goes which has been silent for longest, if one is
        (RFC 7766 section 6.2.3).
        """
        host = connection.client[0]
        if self._per_client[host] >= _MAX_PER_CLIENT:
            return False
        if len(self.connections) >= _MAX_CONNECTIONS:
            oldest = min(self.connections, key=lambda each: each.idle_since)
            if oldest.idle_since == float("inf"):
                return False
            self.dismiss(oldest)
            oldest.abort()
        self._per_client[host] += 1
        self.connections.add(connection)
        return True

    def dismiss(self, connection: TcpConnection) -> None:
        """A connection is no more."""
        if connection not in self.connections:
            return
        self.connections.discard(connection)
        host = connection.client[0]
        self._per_client[host] -= 1
        if not self._per_client[host]:
            del self._per_client[host]

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.abort()
