"""Counters as Prometheus metrics, under CoreDNS's names where it has the same thing."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from clusterip.dns.counters import Counters
from clusterip.dns.responder import Responder

_RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")


class DnsCollector(Collector):
    """Reads the counters only when somebody asks: the hot path keeps plain integers."""

    def __init__(self, responder: Responder, counters: Counters) -> None:
        self._responder = responder
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        responder, counters = self._responder, self._counters
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
        kept = GaugeMetricFamily("clusterip_dns_kept_answers", "Ready-made answers.", labels=["kind"])
        kept.add_metric(["lasting"], len(responder.lasting))
        kept.add_metric(["fleeting"], len(responder.fleeting))
        yield kept
        yield GaugeMetricFamily("clusterip_dns_services", "Services in the zone.", value=len(responder.zone))


def register(responder: Responder, counters: Counters) -> DnsCollector:
    """Make the counters part of ``/metrics``; undo with ``unregister``."""
    collector = DnsCollector(responder, counters)
    REGISTRY.register(collector)
    return collector


def unregister(collector: DnsCollector) -> None:
    REGISTRY.unregister(collector)
