"""The sockets that are answered on."""

from __future__ import annotations

import ssl
from collections.abc import Iterable

from clusterip.dns.counters import Counters
from clusterip.dns.responder import Responder
from clusterip.dns.tcp import TcpServer
from clusterip.dns.udp import UdpServer
from clusterip.process import Fatal, log
from clusterip.process.sockets import bind_udp, listen_tcp

_log = log.get("dns")


class Servers:
    """The UDP, TCP and TLS servers on all addresses."""

    def __init__(self, responder: Responder, counters: Counters | None = None) -> None:
        self.counters = counters or Counters()
        self._responder = responder
        self._open: list[UdpServer | TcpServer] = []

    async def start(self, addresses: Iterable[str], *, reuse_port: bool = False) -> None:
        """Answer over UDP and TCP at ``addresses``; with ``reuse_port`` others may do so too.

        Raises OSError if an address cannot be bound, ValueError if it cannot be read.
        """
        for address in addresses:
            datagrams = bind_udp(address, reuse_port=reuse_port)
            listening = listen_tcp(address, reuse_port=reuse_port)
            self._open.append(UdpServer(datagrams, self._responder, self.counters))
            tcp = TcpServer(self._responder, self.counters)
            await tcp.start(listening)
            self._open.append(tcp)
            _log.info("serving", address=address)

    async def start_tls(
        self, addresses: Iterable[str], context: ssl.SSLContext, *, reuse_port: bool = False
    ) -> None:
        """Answer over TLS (RFC 7858) at ``addresses``. Raises as ``start``."""
        for address in addresses:
            tcp = TcpServer(self._responder, self.counters)
            await tcp.start(listen_tcp(address, reuse_port=reuse_port), context)
            self._open.append(tcp)
            _log.info("serving over TLS", address=address)

    def close(self) -> None:
        for server in self._open:
            server.close()


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """What a TLS server needs, of files in PEM format. Raises Fatal if they cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["dot"])
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise Fatal(f"cannot serve TLS with {certificate} and {key}: {error}") from None
    return context
