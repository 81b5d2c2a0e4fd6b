"""The sockets that are answered on."""

from __future__ import annotations

import ssl
from collections.abc import Iterable

from clusterip.dns.config.model import TcpLimits
from clusterip.dns.counters import Counters
from clusterip.dns.responder import Responder
from clusterip.dns.tcp import TcpServer
from clusterip.dns.udp import UdpServer
from clusterip.process import log
from clusterip.process.sockets import bind_udp, listen_tcp

_log = log.get("dns")


class Servers:
    """The UDP, TCP and TLS servers on all addresses."""

    def __init__(self, responder: Responder, counters: Counters | None = None) -> None:
        self.counters = counters or Counters()
        self._responder = responder
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

    async def start(self, addresses: Iterable[str], *, reuse_port: bool = False) -> None:
        """Answer over UDP and TCP at ``addresses``; with ``reuse_port`` others may do so too.

        Raises OSError if an address cannot be bound, ValueError if it cannot be read.
        """
        for address in addresses:
            datagrams = bind_udp(address, reuse_port=reuse_port)
            listening = listen_tcp(address, reuse_port=reuse_port)
            self._open.append(UdpServer(datagrams, self._responder, self.counters))
            tcp = TcpServer(self._responder, self.counters, self._limits)
            await tcp.start(listening)
            self._open.append(tcp)
            _log.info("serving", address=address)

    async def start_tls(
        self, addresses: Iterable[str], context: ssl.SSLContext, *, reuse_port: bool = False
    ) -> None:
        """Answer over TLS (RFC 7858) at ``addresses``. Raises as ``start``."""
        for address in addresses:
            tcp = TcpServer(self._responder, self.counters, self._limits)
            await tcp.start(listen_tcp(address, reuse_port=reuse_port), context)
            self._open.append(tcp)
            _log.info("serving over TLS", address=address)

    def close(self) -> None:
        for server in self._open:
            server.close()
