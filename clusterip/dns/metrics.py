"""Counters as Prometheus metrics, under CoreDNS's names where it has the same thing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from clusterip.dns.counters import Counters
from clusterip.dns.responder import Responder

if TYPE_CHECKING:
    from clusterip.dns.main import Worker

_RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")


class DnsCollector(Collector):
    """Reads the counters only when somebody asks: the hot path keeps plain integers."""

    def __init__(self, responder: Responder, counters: Counters, worker: Worker | None = None) -> None:
        self._responder = responder
        self._counters = counters
        self._worker = worker

    def collect(self) -> Iterator[Metric]:
        responder, counters, worker = self._responder, self._counters, self._worker
        if worker is not None:
            counters = worker.board.total(worker.index, counters)
        requests = CounterMetricFamily("coredns_dns_requests", "Queries received.", labels=["proto"])
        requests.add_metric(["udp"], counters.udp)
        requests.add_metric(["tcp"], counters.tcp)
        yield requests
        responses = CounterMetricFamily("coredns_dns_responses", "Answers sent, by code.", labels=["rcode"])
        for code, count in enumerate(counters.rcodes):
            if code < len(_RCODES) or count:
                responses.add_metric([_RCODES[code] if code < len(_RCODES) else str(code)], count)
        yield responses
        yield CounterMetricFamily(
            "coredns_panics", "Queries that met a bug and got SERVFAIL.", value=responder.errors
        )
        yield CounterMetricFamily(
            "clusterip_dns_malformed", "Packets that were no query.", value=responder.malformed
        )
        yield CounterMetricFamily(
            "clusterip_dns_unsent", "Answers that the network did not take.", value=counters.unsent
        )
        yield CounterMetricFamily(
            "clusterip_dns_forward_failures",
            "Questions that no upstream answered.",
            value=responder.forwarder.failures,
        )
        cache = responder.forwarder.cache
        yield CounterMetricFamily("coredns_cache_hits", "Answers from the cache.", value=cache.hits)
        yield CounterMetricFamily("coredns_cache_misses", "Questions not in it.", value=cache.misses)
        yield CounterMetricFamily("coredns_cache_served_stale", "Stale answers given.", value=cache.stale)
        yield CounterMetricFamily("coredns_cache_prefetch", "Fetched before the end.", value=cache.prefetches)
        yield GaugeMetricFamily("coredns_cache_entries", "Answers in the cache.", value=len(cache))
        yield CounterMetricFamily(
            "coredns_forward_max_concurrent_rejects",
            "Questions refused because too many were under way.",
            value=responder.forwarder.refused,
        )
        if responder.limiter is not None:
            limited = CounterMetricFamily("clusterip_dns_rate_limited", "Answers limited.", labels=["action"])
            limited.add_metric(["dropped"], responder.limiter.dropped)
            limited.add_metric(["truncated"], responder.limiter.truncated)
            yield limited
        kept = GaugeMetricFamily("clusterip_dns_kept_answers", "Ready-made answers.", labels=["kind"])
        kept.add_metric(["lasting"], len(responder.lasting))
        kept.add_metric(["fleeting"], len(responder.fleeting))
        yield kept
        yield GaugeMetricFamily("clusterip_dns_services", "Services in the zone.", value=len(responder.zone))


def register(responder: Responder, counters: Counters, worker: Worker | None = None) -> DnsCollector:
    """Make the counters, and those of other workers, part of ``/metrics``; undo with ``unregister``."""
    collector = DnsCollector(responder, counters, worker)
    REGISTRY.register(collector)
    return collector


def unregister(collector: DnsCollector) -> None:
    REGISTRY.unregister(collector)
