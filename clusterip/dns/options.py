"""What the DNS server can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Options:
    """Options of ``clusterip dns``; see there for what each means."""

    kubeconfig: str | None = None
    conf: str | None = None
    """A Corefile or YAML file. Then those of these options do not count that it has its own words for."""
    port: int = 53
    """Of the zones in ``conf`` that name none."""
    bind: tuple[str, ...] = (":53",)
    """Where to answer, UDP and TCP: ``HOST:PORT``."""
    cluster_domain: str = "cluster.local"
    forward: tuple[str, ...] = ("/etc/resolv.conf",)
    """Upstreams for all other names, ``ADDRESS[:PORT]`` or resolv.conf files, in order; empty: refuse."""
    forward_policy: Literal["sequential", "random", "round_robin"] = "sequential"
    forward_except: tuple[str, ...] = ()
    """Names at and below which no upstream is asked."""
    force_tcp: bool = False
    max_concurrent: int = 1000
    serve_stale: float = 3600.0
    """Seconds past its end for which an answer is still given if upstreams fail; 0: none."""
    prefetch: int = 0
    """Askings of a name after which it is fetched again before its end; 0: never."""
    max_cache_ttl: int = 3600
    max_negative_cache_ttl: int = 1800
    loop_detection: bool = True
    tls_bind: tuple[str, ...] = ()
    """Where to answer over TLS: ``HOST:PORT``."""
    tls_cert_file: str = ""
    tls_private_key_file: str = ""
    tls_client_ca_file: str = ""
    """Who signs the certificates that clients need; "": they need none."""
    lameduck: float = 0.0
    """Seconds to go on answering after being told to stop."""
    dns64: str = ""
    """An IPv6 prefix to make IPv6 addresses with, such as ``64:ff9b::/96``."""
    rate_limit: int = 0
    """Same answers per second and client network over UDP; 0: no limit."""
    server_id: str = ""
    """What to tell who asks for it (NSID, ``id.server``); "": the machine's name."""
    cookie_secret: str = ""
    """32 hexadecimal digits that all servers of one address share; "": made up."""
    workers: int = 1
    local_interface: str = ""
    """An interface that gets the addresses of ``bind``, and loses them at the end."""
    ttl: int = 5
    """Seconds a client may keep an answer about the cluster."""
    max_udp_size: int = 1232
    """Largest UDP answer in bytes, whatever the client allows (DNS flag day 2020's figure)."""
    healthz_bind_address: str = ":8080"
    metrics_bind_address: str = ":9153"
