"""From ``forward`` and ``cache`` as they are configured to what asks upstreams."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from clusterip.dns import names
from clusterip.dns.cache import PLAIN_CACHE
from clusterip.dns.config.model import ForwardOptions, ServerOptions, Target
from clusterip.dns.config.source import BadConfig
from clusterip.dns.forward import Forwarder, Forwarding
from clusterip.dns.resolvconf import Upstreams
from clusterip.dns.upstream import Manner
from clusterip.process import Fatal


def forwarder(server: ServerOptions, options: ForwardOptions, own: Sequence[str]) -> Forwarder:
    """What asks the upstreams of one ``forward``; ``own``: our addresses, never to be asked.

    Raises:
        BadConfig: an upstream or a certificate cannot be used.
    """
    forwarding = Forwarding(
        policy=options.policy,
        max_concurrent=options.max_concurrent,
        read_timeout=options.read_timeout,
        max_attempts=options.max_connect_attempts,
        failover=options.failover,
        health_check=options.health_check,
        health_check_domain=names.to_wire(options.health_check_domain),
        health_check_recursive=options.health_check_recursive,
    )
    manner = Manner(
        tls=_context(options),
        server_name=options.tls_servername,
        force_tcp=options.force_tcp,
        source_address=options.source_address,
        idle_seconds=options.expire,
        down_after=options.max_fails,
    )
    try:
        upstreams = Upstreams(map(_text, options.targets), own, manner, options.resolver)
    except Fatal as error:
        if not options.where.line:  # it is from a flag, and says so
            raise BadConfig(None, str(error)) from None
        raise BadConfig(options.where, str(error).replace("--forward", "forward")) from None
    return Forwarder(upstreams, forwarding, server.cache or PLAIN_CACHE)


def _text(target: Target) -> str:
    if not target.tls:
        return target.address
    return f"tls://{target.address}" + (f"%{target.server_name}" if target.server_name else "")


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
