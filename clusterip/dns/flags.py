"""The command line's flags as a configuration: what runs by flags runs as what runs by a file does."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace

from clusterip.dns import names
from clusterip.dns.cache import PLAIN_CACHE
from clusterip.dns.config.forwarding import target
from clusterip.dns.config.kubernetes import REVERSE
from clusterip.dns.config.model import (
    CacheOptions,
    Capacity,
    Config,
    Consolidation,
    Dns64Options,
    ForwardOptions,
    KubernetesOptions,
    Prefetch,
    ServerOptions,
    TlsOptions,
)
from clusterip.dns.config.source import BadConfig, Directive, Where
from clusterip.dns.forward import UNWILLING
from clusterip.dns.options import Options
from clusterip.process.sockets import parse_address

_PREFIX_SIZES = (32, 40, 48, 56, 64, 96)
_STARTUP_SECONDS = 2.0
_SUMMARY_SECONDS = 30.0
"""Failures are logged one by one at most so often: while upstreams are away there are very many."""
_PATIENCE = 1.8
"""Seconds after which a stale answer is better than waiting (RFC 8767 section 5)."""
_STALE_TTL = 30
"""Seconds for which a client may keep a stale answer (RFC 8767 section 4)."""


def config_of(options: Options) -> Config:
    """The configuration that the flags stand for. Raises BadConfig if one of them cannot be used."""
    try:
        names.to_wire(options.cluster_domain)
        excepted = tuple(map(names.to_wire, options.forward_except))
    except names.BadName as error:
        raise BadConfig(None, str(error)) from None
    kubernetes = KubernetesOptions(
        options.cluster_domain,
        reverse_zones=REVERSE,
        pods="insecure",
        ttl=options.ttl,
        fallthrough=REVERSE,
        startup_timeout=_STARTUP_SECONDS,
    )
    block = ServerOptions(
        (b"\0",),
        53,
        Where("the command line", 0),
        kubernetes=kubernetes,
        forwards=_forwards(options, excepted),
        cache=_cache(options),
        dns64=_dns64(options.dns64),
        loop=options.loop_detection,
        errors=(Consolidation(_SUMMARY_SECONDS, re.compile(""), "warning", show_first=True),),
        plugins={"kubernetes": Where("the command line", 0)},
    )
    servers = [replace(block, bind=(host,), port=port) for host, port in _addresses("--bind", options.bind)]
    certificate = TlsOptions(options.tls_cert_file, options.tls_private_key_file, options.tls_client_ca_file)
    if options.tls_client_ca_file:
        certificate = replace(certificate, client_auth="require_and_verify")
    for host, port in _addresses("--tls-bind", options.tls_bind):
        servers.append(replace(block, bind=(host,), port=port, scheme="tls", tls=certificate))
    return Config(
        tuple(servers),
        health=_pages(options.healthz_bind_address),
        prometheus=_pages(options.metrics_bind_address),
        lameduck=options.lameduck,
    )


def _addresses(flag: str, texts: tuple[str, ...]) -> list[tuple[str, int]]:
    try:
        return [parse_address(text) for text in texts]
    except ValueError as error:
        raise BadConfig(None, f"{flag}: {error}") from None


def _pages(address: str) -> tuple[str, ...]:
    return () if address in ("", "0") else (address,)


def _forwards(options: Options, excepted: tuple[bytes, ...]) -> tuple[ForwardOptions, ...]:
    if not options.forward:
        return ()
    line = Directive("--forward", [], Where("the command line", 0))
    return (
        ForwardOptions(
            b"\0",
            tuple(target(line, text) for text in options.forward),
            line.where,
            excepted=excepted,
            policy=options.forward_policy,
            max_fails=3,
            max_concurrent=options.max_concurrent,
            force_tcp=options.force_tcp,
            failover=UNWILLING,
        ),
    )


def _cache(options: Options) -> CacheOptions:
    return replace(
        PLAIN_CACHE,
        success=Capacity(max_ttl=options.max_cache_ttl, min_ttl=0),
        denial=Capacity(max_ttl=options.max_negative_cache_ttl, min_ttl=0),
        prefetch=Prefetch(options.prefetch) if options.prefetch else None,
        serve_stale=options.serve_stale or None,
        serve_stale_refresh="verify",
        verify_timeout=_PATIENCE,
        stale_ttl=_STALE_TTL,
    )


def _dns64(text: str) -> Dns64Options | None:
    if not text:
        return None
    try:
        prefix = ipaddress.IPv6Network(text)
    except ValueError as error:
        raise BadConfig(None, f"--dns64: {error}") from None
    if prefix.prefixlen not in _PREFIX_SIZES:
        raise BadConfig(None, f"--dns64: {prefix}: the length of a NAT64 prefix is one of {_PREFIX_SIZES}")
    return Dns64Options(prefix)
