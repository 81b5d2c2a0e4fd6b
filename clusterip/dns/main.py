"""The DNS server as a process: what it opens, runs and closes."""

from __future__ import annotations

import asyncio

from clusterip.client.config import ConfigError, load
from clusterip.client.informer import Informer
from clusterip.client.rest import Client
from clusterip.dns import metrics, names, wire
from clusterip.dns.counters import Counters
from clusterip.dns.follow import Follower
from clusterip.dns.forward import Forwarder
from clusterip.dns.options import Options
from clusterip.dns.resolvconf import Upstreams
from clusterip.dns.responder import Responder
from clusterip.dns.tcp import TcpServer
from clusterip.dns.udp import UdpServer
from clusterip.dns.zone import Zone
from clusterip.objects.core.namespace import NAMESPACES
from clusterip.objects.core.service import SERVICES
from clusterip.objects.discovery.endpointslice import ENDPOINTSLICES
from clusterip.process import Fatal, log
from clusterip.process.health import HealthServer, Page
from clusterip.process.sockets import bind_udp, listen_tcp, parse_address

_log = log.get("dns")


async def main(options: Options) -> None:
    """Serve DNS until cancelled.

    Questions are answered from the first moment: those about other names normally, those about the
    cluster with SERVFAIL until everything is known. Then ``/readyz`` turns green.

    Raises:
        Fatal: an option cannot be used, or an address cannot be bound.
    """
    for address in options.bind:
        try:
            parse_address(address)
        except ValueError as error:
            raise Fatal(f"--bind: {error}") from None
    try:
        config = load(options.kubeconfig)
        zone = Zone(options.cluster_domain, options.ttl)
    except (ConfigError, names.BadName) as error:
        raise Fatal(str(error)) from None
    forwarder = Forwarder(Upstreams(options.forward, options.bind))
    responder = Responder(zone, forwarder, max_udp_size=options.max_udp_size)
    servers = Servers(responder)
    health = HealthServer("dns")
    collector = metrics.register(responder, servers.counters)
    try:
        await servers.start(options.bind)
        await _start_health(health, zone, options)
        async with Client(config) as client:
            await _follow(client, zone)
    except OSError as error:
        raise Fatal(error.strerror or str(error)) from None
    finally:
        metrics.unregister(collector)
        servers.close()
        await responder.close()
        await health.close()


class Servers:
    """The UDP and TCP servers on all addresses."""

    def __init__(self, responder: Responder) -> None:
        self.counters = Counters()
        self._responder = responder
        self._open: list[UdpServer | TcpServer] = []

    async def start(self, addresses: tuple[str, ...]) -> None:
        """Raises OSError if an address cannot be bound, ValueError if it cannot be read."""
        for address in addresses:
            datagrams, listening = bind_udp(address), listen_tcp(address)
            self._open.append(UdpServer(datagrams, self._responder, self.counters))
            tcp = TcpServer(self._responder, self.counters)
            await tcp.start(listening)
            self._open.append(tcp)
            _log.info("serving", address=address)

    def close(self) -> None:
        for server in self._open:
            server.close()


async def _follow(client: Client, zone: Zone) -> None:
    """Keep the zone in step with the API server, for ever."""
    namespaces = Informer(client, NAMESPACES, wire.Namespace)
    services = Informer(client, SERVICES, wire.Service)
    slices = Informer(client, ENDPOINTSLICES, wire.EndpointSlice)
    Follower(zone, namespaces, services, slices)
    async with asyncio.TaskGroup() as group:
        for informer in (namespaces, services, slices):
            group.create_task(informer.run())


async def _start_health(health: HealthServer, zone: Zone, options: Options) -> None:
    """Besides our own paths those of CoreDNS's ``health`` and ``ready``, so that its manifests fit."""
    health.add_page("/health", lambda: Page(200, b"OK"))
    health.add_page("/ready", lambda: Page(200, b"OK") if zone.synced else Page(503, b"kubernetes"))
    health.ready_check("synced", lambda: None if zone.synced else "no list of the cluster's Services yet")
    for address in dict.fromkeys((options.healthz_bind_address, options.metrics_bind_address)):
        try:
            await health.start(address)
        except ValueError as error:
            raise Fatal(str(error)) from None
