"""How upstreams do, under CoreDNS's names for it (``plugin/pkg/proxy/metrics.go``)."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from clusterip.dns.config.values import RCODES
from clusterip.dns.counters import TIME_BUCKETS
from clusterip.dns.figures import DNS_REGISTRY

_NAME = "forward"
_rcodes = {number: name for name, number in RCODES.items()}
_seconds = Histogram(
    "coredns_proxy_request_duration_seconds",
    "Seconds until an upstream answered.",
    ["proxy_name", "to", "rcode"],
    buckets=TIME_BUCKETS,
    registry=DNS_REGISTRY,
)
_health_failures = Counter(
    "coredns_proxy_healthcheck_failures_total",
    "Health checks that an upstream did not answer.",
    ["proxy_name", "to"],
    registry=DNS_REGISTRY,
)


def observe_exchange(upstream: str, rcode: int, seconds: float) -> None:
    """An upstream has answered."""
    _seconds.labels(_NAME, upstream, _rcodes.get(rcode, str(rcode))).observe(seconds)


def count_failed_check(upstream: str) -> None:
    """An upstream has not answered a health check."""
    _health_failures.labels(_NAME, upstream).inc()
