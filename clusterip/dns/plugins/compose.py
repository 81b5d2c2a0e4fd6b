"""From a configuration to handlers: which plugins stand before the answer, in CoreDNS's order.

The order is fixed, whatever that of the file (coredns ``plugin.cfg``). Where nothing shapes questions or
answers there is no handler at all, and the responder's own short way is taken.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from clusterip.dns import names
from clusterip.dns.cache import PLAIN_CACHE
from clusterip.dns.config.kubernetes import REVERSE
from clusterip.dns.config.model import AutopathOptions, ForwardOptions, ServerOptions
from clusterip.dns.config.source import BadConfig
from clusterip.dns.dns64 import dns64
from clusterip.dns.forward import Forwarder, Forwarding
from clusterip.dns.message import Query
from clusterip.dns.plugins import small
from clusterip.dns.plugins.autopath import autopath
from clusterip.dns.plugins.chain import Handler, Outcome, refuse
from clusterip.dns.plugins.forward import forward
from clusterip.dns.plugins.hosts import hosts
from clusterip.dns.plugins.kubernetes import kubernetes
from clusterip.dns.plugins.rewrite import rewrite
from clusterip.dns.plugins.route import route
from clusterip.dns.plugins.template import template
from clusterip.dns.resolvconf import Upstreams
from clusterip.dns.upstream import Manner
from clusterip.dns.zone import Zone
from clusterip.process import Fatal

NamespaceAt = Callable[[str], str | None]
"""The namespace of the Pod with an address."""


@dataclass
class Composed:
    """How the questions of one port are answered."""

    handler: Handler | None
    """None: from the zone, and else by ``forwarder``."""
    forwarder: Forwarder
    """The first one, whose figures are shown."""
    forwarders: list[Forwarder] = field(default_factory=list)
    """All, to be closed in the end."""


def compose(
    servers: Sequence[ServerOptions], zone: Zone, own: Iterable[str], namespace_at: NamespaceAt
) -> Composed:
    """The handler of the server blocks of one port.

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
        forwarders = [_forwarder(server, options, own) for options in server.forwards]
        made += forwarders
        handler = _chain(server, forwarders, zone, root, namespace_at)
        table.update(dict.fromkeys(server.zones, handler))
    nobody = Forwarder(list)
    first = made[0] if made else nobody
    plain = len(servers) == 1 and _is_plain(servers[0])
    return Composed(None if plain else routed, first, [*made, nobody])


def _is_plain(server: ServerOptions) -> bool:
    """Whether the responder's own way answers just as the chain would."""
    options = server.kubernetes
    shaped = server.rewrites or server.templates or server.acl or server.logs or server.autopath
    if shaped or server.hosts or server.ttl or server.dns64 or options is None:
        return False
    if server.zones != (b"\0",) or len(server.forwards) > 1:
        return False
    if any(each.origin != b"\0" or each.excepted for each in server.forwards):
        return False
    return set(options.reverse_zones) == set(REVERSE) == set(options.fallthrough)


def _chain(
    server: ServerOptions,
    forwarders: Sequence[Forwarder],
    zone: Zone,
    root: Handler,
    namespace_at: NamespaceAt,
) -> Handler:
    """Built from the end to the start."""
    handler: Handler = refuse
    for options, forwarder in reversed(list(zip(server.forwards, forwarders, strict=True))):
        handler = forward(forwarder, options, handler)
    if server.kubernetes is not None:
        handler = kubernetes(zone, server.kubernetes, root, handler)
    if server.hosts is not None:
        handler = hosts(server.hosts, handler)
    for each in reversed(server.templates):
        handler = template(each, handler)
    if server.autopath is not None:
        search = _search(server.autopath, zone, namespace_at)
        handler = autopath(server.autopath.zones, search, handler)
    if server.rewrites:
        handler = rewrite(server.rewrites, handler)
    if server.dns64 is not None:
        handler = dns64(server.dns64, handler)
    if server.ttl is not None:
        handler = small.ttl(server.ttl, handler)
    if server.acl:
        handler = small.acl(server.acl, handler)
    for line in reversed(server.logs):
        handler = small.log_queries(line, handler)
    return handler


def _search(
    options: AutopathOptions, zone: Zone, namespace_at: NamespaceAt
) -> Callable[[Query], list[bytes]]:
    services = names.label_of("svc") + zone.domain

    def search_of(query: Query) -> list[bytes]:
        if not options.kubernetes:
            return list(options.search)
        namespace = namespace_at(query.client)
        if namespace is None:
            return []
        return [names.label_of(namespace) + services, services, zone.domain, *options.search]

    return search_of


def _forwarder(server: ServerOptions, options: ForwardOptions, own: list[str]) -> Forwarder:
    forwarding = Forwarding(
        policy=options.policy,
        max_concurrent=options.max_concurrent,
        health_check=options.health_check,
        health_check_domain=names.to_wire(options.health_check_domain),
        health_check_recursive=options.health_check_recursive,
    )
    manner = Manner(
        tls=_context(options),
        server_name=options.tls_servername,
        force_tcp=options.force_tcp,
        idle_seconds=options.expire,
        down_after=options.max_fails,
    )
    texts = [
        f"tls://{each.address}" + (f"%{each.server_name}" if each.server_name else "")
        if each.tls
        else each.address
        for each in options.targets
    ]
    try:
        upstreams = Upstreams(texts, own, manner)
    except Fatal as error:
        raise BadConfig(options.where, str(error).replace("--forward", "forward")) from None
    return Forwarder(upstreams, forwarding, server.cache or PLAIN_CACHE)


def _context(options: ForwardOptions) -> ssl.SSLContext | None:
    """``tls [CERT KEY [CA]]`` or ``tls CA``; None without ``tls://`` upstreams."""
    if not any(target.tls for target in options.targets):
        return None
    files = options.tls
    authority = files[-1] if len(files) in (1, 3) else None
    try:
        context = ssl.create_default_context(cafile=authority)
        if len(files) > 1:
            context.load_cert_chain(files[0], files[1])
    except OSError as error:
        raise BadConfig(options.where, f"forward: tls: {error}") from None
    return context
