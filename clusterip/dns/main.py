"""The DNS server as a process: what it opens, runs and closes."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass, replace

from clusterip.client.config import ConfigError, load
from clusterip.client.informer import Informer
from clusterip.client.rest import Client
from clusterip.dns import metrics, names, wire
from clusterip.dns.cache import PLAIN_CACHE
from clusterip.dns.config.model import Capacity, Dns64Options, Prefetch
from clusterip.dns.counters import Counters
from clusterip.dns.direct import direct
from clusterip.dns.dns64 import dns64
from clusterip.dns.follow import Follower
from clusterip.dns.forward import Forwarder, Forwarding
from clusterip.dns.identity import Identity
from clusterip.dns.loop import LoopProbe
from clusterip.dns.options import Options
from clusterip.dns.ratelimit import Limiter
from clusterip.dns.resolvconf import Upstreams
from clusterip.dns.responder import Responder
from clusterip.dns.servers import Servers, tls_context
from clusterip.dns.upstream import Manner
from clusterip.dns.workers import Board
from clusterip.dns.zone import Zone
from clusterip.objects.core.namespace import NAMESPACES
from clusterip.objects.core.service import SERVICES
from clusterip.objects.discovery.endpointslice import ENDPOINTSLICES
from clusterip.process import Fatal
from clusterip.process.health import HealthServer, Page
from clusterip.process.sockets import parse_address

_PUBLISH_SECONDS = 1.0


async def main(options: Options, worker: Worker | None = None) -> None:
    """Serve DNS until cancelled.

    Questions are answered from the first moment: those about other names normally, those about the
    cluster with SERVFAIL until everything is known. Then ``/readyz`` turns green.

    Raises:
        Fatal: an option cannot be used, or an address cannot be bound.
    """
    for address in (*options.bind, *options.tls_bind):
        try:
            parse_address(address)
        except ValueError as error:
            raise Fatal(f"--bind: {error}") from None
    try:
        config = load(options.kubeconfig)
        zone = Zone(options.cluster_domain, options.ttl)
        forwarder = _forwarder(options)
    except (ConfigError, names.BadName) as error:
        raise Fatal(str(error)) from None
    responder = _responder(options, zone, forwarder)
    if options.loop_detection:
        responder.probe = worker.probe if worker is not None else LoopProbe()
    servers = Servers(responder)
    health = HealthServer("dns")
    collector = metrics.register(responder, servers.counters, worker)
    shared = worker is not None
    try:
        await servers.start(options.bind, reuse_port=shared)
        if options.tls_bind:
            context = tls_context(options.tls_cert_file, options.tls_private_key_file)
            await servers.start_tls(options.tls_bind, context, reuse_port=shared)
        await _start_health(health, zone, options, worker)
        async with Client(config) as client, asyncio.TaskGroup() as group:
            group.create_task(_follow(client, zone))
            if responder.probe is not None:
                group.create_task(responder.probe.run(forwarder))
            if worker is not None:
                group.create_task(worker.publish(servers.counters, zone))
    except OSError as error:
        raise Fatal(error.strerror or str(error)) from None
    finally:
        metrics.unregister(collector)
        servers.close()
        await responder.close()
        await health.close()


def _forwarder(options: Options) -> Forwarder:
    """Raises Fatal or BadName if an option cannot be used."""
    manner = Manner(force_tcp=options.force_tcp)
    forwarding = Forwarding(
        policy=options.forward_policy,
        excepted=tuple(map(names.to_wire, options.forward_except)),
        max_concurrent=options.max_concurrent,
    )
    cache = replace(
        PLAIN_CACHE,
        success=Capacity(max_ttl=options.max_cache_ttl, min_ttl=0),
        denial=Capacity(max_ttl=options.max_negative_cache_ttl, min_ttl=0),
        prefetch=Prefetch(options.prefetch) if options.prefetch else None,
        serve_stale=options.serve_stale or None,
        serve_stale_refresh="verify",
    )
    return Forwarder(Upstreams(options.forward, options.bind, manner), forwarding, cache)


def _responder(options: Options, zone: Zone, forwarder: Forwarder) -> Responder:
    try:
        identity = Identity(options.server_id, bytes.fromhex(options.cookie_secret))
    except ValueError as error:
        raise Fatal(f"--cookie-secret: {error}") from None
    responder = Responder(zone, forwarder, max_udp_size=options.max_udp_size, identity=identity)
    if options.rate_limit:
        responder.limiter = Limiter(options.rate_limit)
    if options.dns64:
        try:
            prefix = Dns64Options(ipaddress.IPv6Network(options.dns64))
            responder.handler = dns64(prefix, direct(zone, forwarder))
        except ValueError as error:
            raise Fatal(f"--dns64: {error}") from None
    return responder


@dataclass(frozen=True)
class Worker:
    """One of several processes that serve together."""

    index: int
    board: Board
    probe: LoopProbe

    async def publish(self, counters: Counters, zone: Zone) -> None:
        """Tell the others what is counted, for ever."""
        while True:
            self.board.publish(self.index, counters, synced=zone.synced)
            await asyncio.sleep(_PUBLISH_SECONDS)


async def _follow(client: Client, zone: Zone) -> None:
    """Keep the zone in step with the API server, for ever."""
    namespaces = Informer(client, NAMESPACES, wire.Namespace)
    services = Informer(client, SERVICES, wire.Service)
    slices = Informer(client, ENDPOINTSLICES, wire.EndpointSlice)
    Follower(zone, namespaces, services, slices)
    async with asyncio.TaskGroup() as group:
        for informer in (namespaces, services, slices):
            group.create_task(informer.run())


async def _start_health(
    health: HealthServer, zone: Zone, options: Options, worker: Worker | None = None
) -> None:
    """Besides our own paths those of CoreDNS's ``health`` and ``ready``, so that its manifests fit."""

    def synced() -> bool:
        return zone.synced and (worker is None or worker.board.synced(worker.index))

    health.add_page("/health", lambda: Page(200, b"OK"))
    health.add_page("/ready", lambda: Page(200, b"OK") if synced() else Page(503, b"kubernetes"))
    health.ready_check("synced", lambda: None if synced() else "no list of the cluster's Services yet")
    for address in dict.fromkeys((options.healthz_bind_address, options.metrics_bind_address)):
        try:
            await health.start(address)
        except ValueError as error:
            raise Fatal(str(error)) from None
