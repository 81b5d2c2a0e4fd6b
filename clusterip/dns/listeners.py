"""One address that is served: its sockets, and how questions that come in there are answered."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from clusterip.dns.config.model import ServerOptions, TlsOptions
from clusterip.dns.config.source import BadConfig
from clusterip.dns.counters import Counters
from clusterip.dns.forward import Forwarder
from clusterip.dns.identity import Identity
from clusterip.dns.loop import LoopProbe
from clusterip.dns.metrics import Served
from clusterip.dns.options import Options
from clusterip.dns.plugins.compose import Composed
from clusterip.dns.plugins.errors import ErrorLog
from clusterip.dns.ratelimit import Limiter
from clusterip.dns.responder import Responder
from clusterip.dns.servers import Servers
from clusterip.dns.tlsfiles import Certificates


class Listener:
    """An address, UDP and TCP or TLS. ``take`` each configuration that is in force after the first."""

    def __init__(
        self, address: str, servers: Sequence[ServerOptions], composed: Composed, options: Options
    ) -> None:
        self.address = address
        self._blocks = servers
        self._composed = composed
        self._options = options
        self._tls: Certificates | None = None
        first = servers[0]
        port = address.rpartition(":")[2]
        host = "" if first.bind == ("",) else address.rpartition(":")[0]
        self.responder = Responder(composed.zone, composed.forwarder, max_udp_size=options.max_udp_size)
        if options.rate_limit:
            self.responder.limiter = Limiter(options.rate_limit)
        self.counters = Counters(f"{first.scheme}://{host}:{port}", _zones(servers))
        self._servers = Servers(self.responder, self.counters)
        self._configure()

    def bind(self, *, reuse_port: bool) -> None:
        """Take the address: questions wait there until ``serve``. Raises Fatal, OSError or ValueError."""
        first = self._blocks[0]
        self._servers.limits = first.tcp
        if first.tls is not None and first.scheme == "tls":
            self._tls = Certificates(first.tls)
        context = self._tls.context if self._tls is not None else None
        self._servers.bind([self.address], context, reuse_port=reuse_port)

    async def serve(self) -> None:
        """Answer, first what has waited."""
        await self._servers.serve()

    def take(self, servers: Sequence[ServerOptions], composed: Composed) -> list[Forwarder]:
        """Answer by another configuration from now on; the forwarders of the one before."""
        retired = self._composed.forwarders
        self._blocks, self._composed = servers, composed
        self._configure()
        self._servers.limits = servers[0].tcp
        self.counters.serve(_zones(servers))
        if self._tls is not None and servers[0].tls is not None:
            self._tls.renew(servers[0].tls)
        return retired

    def watch_for_loops(self, probe: LoopProbe) -> None:
        self.responder.probe = probe

    @property
    def loops_matter(self) -> bool:
        return any(server.loop for server in self._blocks)

    @property
    def forwarders(self) -> list[Forwarder]:
        return self._composed.forwarders

    @property
    def tls_options(self) -> TlsOptions | None:
        return self._blocks[0].tls if self._tls is not None else None

    @property
    def served(self) -> Served:
        """For the figures about it."""
        plugins = dict.fromkeys(name for server in self._blocks for name in server.plugins)
        zones = _zones(self._blocks)
        return Served(self.counters, self.responder, self._composed.forwarders, zones, plugins)

    def renew_certificate(self) -> None:
        """Take over what the files of the certificate have now."""
        if self._tls is not None:
            self._tls.renew()

    def close(self) -> None:
        """Answer no more."""
        self._servers.close()

    async def end(self) -> None:
        """Give up what waits for upstreams, after ``close``."""
        await self.responder.close()
        for forwarder in self._composed.forwarders:
            await forwarder.close()

    def _configure(self) -> None:
        composed, options = self._composed, self._options
        identity = next((each.nsid for each in self._blocks if each.nsid is not None), None)
        chaos = next((each.chaos for each in self._blocks if each.chaos is not None), None)
        secret = bytes.fromhex(options.cookie_secret) if options.cookie_secret else _SECRET
        self.responder.identity = Identity(identity or options.server_id, secret, chaos)
        rules = next((each.errors for each in self._blocks if each.errors is not None), None)
        self.responder.on_failure = ErrorLog(rules) if rules is not None else None
        self.responder.configure(composed.zone, composed.forwarder, composed.handler)


_SECRET = secrets.token_bytes(16)
"""For cookies, if none is given: the same for all addresses and after each reload."""


def by_address(servers: Sequence[ServerOptions]) -> dict[str, list[ServerOptions]]:
    """The server blocks by the ``HOST:PORT`` at which they answer.

    Raises:
        BadConfig: blocks of one address do not fit together.
    """
    found: dict[str, list[ServerOptions]] = {}
    for server in servers:
        if server.scheme == "tls" and server.tls is None:
            raise BadConfig(server.where, 'a tls:// zone needs a certificate: "tls CERT KEY"')
        for host in server.bind:
            address = f"[{host}]:{server.port}" if ":" in host else f"{host}:{server.port}"
            others = found.setdefault(address, [])
            if others and _manner(others[0]) != _manner(server):
                raise BadConfig(server.where, f"{address} is served with other TLS settings already")
            others.append(server)
    return found


def _manner(server: ServerOptions) -> tuple[str, TlsOptions | None]:
    return server.scheme, server.tls if server.scheme == "tls" else None


def _zones(servers: Sequence[ServerOptions]) -> list[bytes]:
    return [zone for server in servers for zone in server.zones]
