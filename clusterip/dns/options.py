"""What the DNS server can be told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """Options of ``clusterip dns``; see there for what each means."""

    kubeconfig: str | None = None
    bind: tuple[str, ...] = (":53",)
    """Where to answer, UDP and TCP: ``HOST:PORT``."""
    cluster_domain: str = "cluster.local"
    forward: tuple[str, ...] = ("/etc/resolv.conf",)
    """Upstreams for all other names, ``ADDRESS[:PORT]`` or resolv.conf files, in order; empty: refuse."""
    ttl: int = 5
    """Seconds a client may keep an answer about the cluster."""
    max_udp_size: int = 1232
    """Largest UDP answer in bytes, whatever the client allows (DNS flag day 2020's figure)."""
    healthz_bind_address: str = ":8080"
    metrics_bind_address: str = ":9153"
