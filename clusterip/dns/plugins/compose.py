"""From a configuration to handlers: which plugins stand before the answer, in CoreDNS's order.

The order is fixed, whatever that of the file (coredns ``plugin.cfg``). Where nothing shapes questions or
answers there is no handler at all, and the responder's own short way is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from clusterip.dns import names
from clusterip.dns.cluster import Cluster
from clusterip.dns.config.kubernetes import REVERSE
from clusterip.dns.config.model import AutopathOptions, KubernetesOptions, ServerOptions
from clusterip.dns.config.source import BadConfig
from clusterip.dns.dns64 import dns64
from clusterip.dns.forward import Forwarder
from clusterip.dns.message import Query
from clusterip.dns.plugins import small
from clusterip.dns.plugins.autopath import autopath
from clusterip.dns.plugins.chain import Handler, Outcome, refuse
from clusterip.dns.plugins.forward import forward
from clusterip.dns.plugins.hosts import hosts
from clusterip.dns.plugins.kubernetes import kubernetes
from clusterip.dns.plugins.loadbalance import loadbalance
from clusterip.dns.plugins.local import local
from clusterip.dns.plugins.log import log_queries
from clusterip.dns.plugins.metadata import metadata
from clusterip.dns.plugins.rewrite import rewrite
from clusterip.dns.plugins.route import route
from clusterip.dns.plugins.template import template
from clusterip.dns.plugins.transfer import transfer
from clusterip.dns.plugins.upstreams import forwarder
from clusterip.dns.zone import Zone

ClusterOf = Callable[[KubernetesOptions], Cluster]
"""The cluster that a ``kubernetes`` shows."""


@dataclass
class Composed:
    """How the questions of one address are answered."""

    handler: Handler | None
    """None: from ``zone``, and else by ``forwarder``."""
    zone: Zone
    forwarder: Forwarder
    forwarders: list[Forwarder] = field(default_factory=list)
    """All, to be closed in the end."""


def compose(servers: Sequence[ServerOptions], cluster_of: ClusterOf, own: Iterable[str]) -> Composed:
    """The handler of the server blocks of one address.

    ``own``: the server's own addresses, never to be asked.

    Raises:
        BadConfig: an upstream or a template cannot be used.
    """
    own = list(own)
    made: list[Forwarder] = []
    table: dict[bytes, Handler] = {}

    def root(query: Query) -> Outcome:
        return routed(query)

    routed = route(table)
    for server in servers:
        forwarders = [forwarder(server, options, own) for options in server.forwards]
        made += forwarders
        handler = _chain(server, forwarders, cluster_of, root)
        table.update(dict.fromkeys(server.zones, handler))
    nobody = Forwarder(list)
    first = made[0] if made else nobody
    plain = servers[0].kubernetes if len(servers) == 1 and _is_plain(servers[0]) else None
    zone = cluster_of(plain).zone if plain is not None else _no_zone()
    return Composed(None if plain is not None else routed, zone, first, [*made, nobody])


def _no_zone() -> Zone:
    """One with nothing in it and to come, for responders that have a handler."""
    zone = Zone("cluster.local", 5)
    zone.synced = True
    return zone


def _is_plain(server: ServerOptions) -> bool:
    """Whether the responder's own way answers just as the chain would."""
    options = server.kubernetes
    shaped = (
        server.rewrites
        or server.templates
        or server.acl
        or server.logs
        or server.autopath
        or server.hosts
        or server.ttl
        or server.dns64
        or server.any
        or server.minimal
        or server.whoami
        or server.local != "off"
        or server.bufsize
        or server.headers
        or server.transfers
        or (server.loadbalance and (server.loadbalance.prefer or server.loadbalance.weights))
    )
    if shaped or options is None or options.more_domains or options.multicluster:
        return False
    if server.zones != (b"\0",) or len(server.forwards) > 1:
        return False
    if any(each.origin != b"\0" or each.excepted for each in server.forwards):
        return False
    return set(options.reverse_zones) == set(REVERSE) == set(options.fallthrough)


def _chain(
    server: ServerOptions, forwarders: Sequence[Forwarder], cluster_of: ClusterOf, root: Handler
) -> Handler:
    """Built from the end to the start."""
    cluster = cluster_of(server.kubernetes) if server.kubernetes is not None else None
    zones = cluster.zones if cluster is not None else []
    handler: Handler = small.whoami if server.whoami else refuse
    last = True
    for options, each in reversed(list(zip(server.forwards, forwarders, strict=True))):
        handler = forward(each, options, handler, last=last)
        last = False
    if server.kubernetes is not None:
        handler = kubernetes(zones, server.kubernetes, root, handler)
    if server.hosts is not None:
        handler = hosts(server.hosts, handler)
    if server.transfers:
        handler = transfer(server.transfers, zones, handler)
    for text in reversed(server.templates):
        handler = template(text, root, handler)
    if server.minimal:
        handler = small.minimal(handler)
    if server.headers:
        handler = small.header(server.headers, handler)
    if server.acl:
        handler = small.acl(server.acl, handler)
    if server.autopath is not None:
        handler = autopath(server.autopath.zones, _search(server.autopath, cluster), handler)
    if server.rewrites:
        handler = rewrite(server.rewrites, root, handler)
    if server.loadbalance is not None and (server.loadbalance.prefer or server.loadbalance.weights):
        handler = loadbalance(server.loadbalance, handler)
    if server.any:
        handler = small.no_any(handler)
    if server.dns64 is not None:
        handler = dns64(server.dns64, handler)
    if server.local != "off":
        handler = local(handler, prefixes=server.local == "prefixes")
    if server.ttl is not None:
        handler = small.ttl(server.ttl, handler)
    for line in reversed(server.logs):
        handler = log_queries(line, handler)
    if server.bufsize:
        handler = small.bufsize(server.bufsize, handler)
    if server.metadata:
        domains = [zone.domain for zone in zones]
        pod_at = cluster.pod_at if cluster is not None else lambda _address: None
        handler = metadata(server.metadata, domains, pod_at, handler)
    return handler


def _search(options: AutopathOptions, cluster: Cluster | None) -> Callable[[Query], list[bytes]]:
    if not options.kubernetes:
        return lambda query: list(options.search)
    if cluster is None:
        raise BadConfig(None, "autopath @kubernetes: there is no kubernetes in its server block")
    domain = cluster.zone.domain
    services = names.label_of("svc") + domain

    def search_of(query: Query) -> list[bytes]:
        pod = cluster.pod_at(query.client)
        if pod is None:
            return []
        return [names.label_of(pod.metadata.namespace) + services, services, domain, *options.search]

    return search_of
