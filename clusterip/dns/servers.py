"""The sockets that are answered on."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from clusterip.dns.config.model import TcpLimits
from clusterip.dns.counters import Counters
from clusterip.dns.responder import Responder
from clusterip.dns.tcp import TcpServer
from clusterip.dns.udp import UdpServer
from clusterip.process import log
from clusterip.process.sockets import bind_udp, listen_tcp

_log = log.get("dns")


@dataclass(frozen=True)
class _Bound:
    """Sockets on which nobody listens yet but the kernel."""

    address: str
    datagrams: socket.socket | None
    listening: socket.socket
    tls: ssl.SSLContext | None


class Servers:
    """The UDP, TCP and TLS servers on all addresses."""

    def __init__(self, responder: Responder, counters: Counters | None = None) -> None:
        self.counters = counters or Counters()
        self._responder = responder
        self._bound: list[_Bound] = []
        self._open: list[UdpServer | TcpServer] = []
        self._limits = TcpLimits()

    @property
    def limits(self) -> TcpLimits:
        """What TCP and TLS connections may do; also those that are open."""
        return self._limits

    @limits.setter
    def limits(self, limits: TcpLimits) -> None:
        self._limits = limits
        for server in self._open:
            if isinstance(server, TcpServer):
                server.limits = limits

    def bind(
        self, addresses: Iterable[str], tls: ssl.SSLContext | None = None, *, reuse_port: bool = False
    ) -> None:
        """Take ``addresses``, with ``reuse_port`` beside others: questions wait there until ``serve``.

        Over UDP and TCP, or with ``tls`` over TLS (RFC 7858).

        Raises OSError if an address cannot be bound, ValueError if it cannot be read.
        """
        for address in addresses:
            datagrams = None if tls is not None else bind_udp(address, reuse_port=reuse_port)
            listening = listen_tcp(address, reuse_port=reuse_port)
            self._bound.append(_Bound(address, datagrams, listening, tls))

    async def serve(self) -> None:
        """Answer at the addresses that are bound."""
        while self._bound:
            bound = self._bound.pop(0)
            if bound.datagrams is not None:
                self._open.append(UdpServer(bound.datagrams, self._responder, self.counters))
            tcp = TcpServer(self._responder, self.counters, self._limits)
            await tcp.start(bound.listening, bound.tls)
            self._open.append(tcp)
            _log.info("serving over TLS" if bound.tls is not None else "serving", address=bound.address)

    async def start(self, addresses: Iterable[str], *, reuse_port: bool = False) -> None:
        """Answer over UDP and TCP at ``addresses``. Raises as ``bind``."""
        self.bind(addresses, reuse_port=reuse_port)
        await self.serve()

    async def start_tls(
        self, addresses: Iterable[str], context: ssl.SSLContext, *, reuse_port: bool = False
    ) -> None:
        """Answer over TLS at ``addresses``. Raises as ``bind``."""
        self.bind(addresses, context, reuse_port=reuse_port)
        await self.serve()

    def close(self) -> None:
        for bound in self._bound:
            bound.listening.close()
            if bound.datagrams is not None:
                bound.datagrams.close()
        for server in self._open:
            server.close()
