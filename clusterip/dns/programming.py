"""How long a change of endpoints takes to be seen in answers, as CoreDNS measures it.

See kubernetes/community, ``sig-scalability/slos/dns_programming_latency.md``. The EndpointSlice says when
what caused it happened. Only headless Services are measured: others do not depend on endpoints.
"""

from __future__ import annotations

from datetime import UTC, datetime

from prometheus_client import Histogram

from clusterip.dns.figures import DNS_REGISTRY
from clusterip.objects import times

_histogram = Histogram(
    "coredns_kubernetes_dns_programming_duration_seconds",
    "Seconds from a change of a Pod or Service to DNS answers that know of it.",
    ["service_kind"],
    buckets=[0.001 * 2**power for power in range(20)],
    registry=DNS_REGISTRY,
)


def observe(trigger: str) -> None:
    """A change with this trigger time (RFC 3339) is in the zone now. Texts that are no time do not count."""
    try:
        since = times.parse(trigger)
    except ValueError:
        return
    seconds = (datetime.now(UTC) - since).total_seconds()
    _histogram.labels("headless_with_selector").observe(max(0.0, seconds))
