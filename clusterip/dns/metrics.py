"""Counters as Prometheus metrics, under CoreDNS's names and labels where it has the same thing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Protocol

from prometheus_client import REGISTRY
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from clusterip.dns import names
from clusterip.dns.board import Board, SummedCollector
from clusterip.dns.config.values import RCODES, TYPES
from clusterip.dns.counters import Counters, Histogram
from clusterip.dns.figures import DNS_REGISTRY
from clusterip.dns.forward import Forwarder
from clusterip.dns.responder import Responder
from clusterip.dns.zone import Zone

_types = {
    TYPES[name]: name
    for name in (
        *("A", "AAAA", "CNAME", "DNSKEY", "DS", "MX", "NSEC", "NSEC3", "NS", "PTR", "RRSIG", "SOA", "SRV"),
        *("TXT", "HTTPS", "SVCB", "IXFR", "AXFR", "ANY"),
    )
}
"""Those that CoreDNS tells apart (``plugin/metrics/vars/monitor.go``)."""
_rcodes = {number: name for name, number in RCODES.items() if name != "BADSIG"}
_VIEW = ""


@dataclass
class Served:
    """One address that is served, for the figures about it."""

    counters: Counters
    responder: Responder
    forwarders: Sequence[Forwarder] = ()
    zones: Sequence[bytes] = (b"\0",)
    plugins: Iterable[str] = ()


class Source(Protocol):
    """What the figures are of."""

    @property
    def served(self) -> Sequence[Served]: ...
    @property
    def zones(self) -> Sequence[Zone]: ...
    @property
    def reloads(self) -> Reloads: ...


@dataclass
class Reloads:
    """How often the configuration was taken over, and which it is."""

    done: int = 0
    failed: int = 0
    digest: str = field(default="")
    """SHA-512 of the configuration's text; "": it is not from a file."""


class DnsCollector(Collector):
    """Reads the counters only when somebody asks: the hot path keeps plain integers."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        served = self._source.served
        for each in served:
            each.counters.fold()
        yield from _questions(served)
        yield from _answers(served)
        yield from _sums(served)
        yield from _caches(served)
        yield from _plugins(served)
        yield from _reloads(self._source.reloads)
        services = sum(len(zone) for zone in self._source.zones)
        yield GaugeMetricFamily("clusterip_dns_services", "Services in the zones.", value=services)
        build = GaugeMetricFamily(
            "coredns_build_info", "What runs.", labels=["version", "revision", "goversion"]
        )
        build.add_metric([f"clusterip-{metadata.version('clusterip')}", "", ""], 1)
        yield build


def _questions(served: Sequence[Served]) -> Iterator[Metric]:
    labels = ["server", "zone", "view", "proto", "family", "type"]
    requests = CounterMetricFamily("coredns_dns_requests", "Queries received.", labels=labels)
    dnssec = CounterMetricFamily(
        "coredns_dns_do_requests", "Queries with the DO bit.", labels=["server", "zone", "view"]
    )
    for each in served:
        counters = each.counters
        for request, count in counters.requests.items():
            kind = _types.get(request.type, "other")
            texts = [_zone(request.zone), _VIEW, request.proto, str(request.family), kind]
            requests.add_metric([counters.server, *texts], count)
        for zone, count in counters.dnssec.items():
            dnssec.add_metric([counters.server, _zone(zone), _VIEW], count)
    yield _merged(requests)
    yield dnssec
    yield _histograms(
        "coredns_dns_request_size_bytes",
        "Bytes of queries.",
        ["server", "zone", "view", "proto"],
        served,
        lambda counters: {
            (_zone(zone), _VIEW, proto): found for (zone, proto), found in counters.request_sizes.items()
        },
    )
    yield _histograms(
        "coredns_dns_request_duration_seconds",
        "Seconds from a query to its answer.",
        ["server", "zone", "view"],
        served,
        lambda counters: {(_zone(zone), _VIEW): found for zone, found in counters.durations.items()},
    )


def _answers(served: Sequence[Served]) -> Iterator[Metric]:
    labels = ["server", "zone", "view", "rcode", "plugin"]
    responses = CounterMetricFamily("coredns_dns_responses", "Answers sent, by code.", labels=labels)
    for each in served:
        for (zone, rcode), count in each.counters.responses.items():
            texts = [_zone(zone), _VIEW, _rcodes.get(rcode, str(rcode)), ""]
            responses.add_metric([each.counters.server, *texts], count)
    yield responses
    yield _histograms(
        "coredns_dns_response_size_bytes",
        "Bytes of answers.",
        ["server", "zone", "view", "proto"],
        served,
        lambda counters: {
            (_zone(zone), _VIEW, proto): found for (zone, proto), found in counters.response_sizes.items()
        },
    )


def _sums(served: Sequence[Served]) -> Iterator[Metric]:
    def total(of: Callable[[Served], int]) -> int:
        return sum(map(of, served))

    yield CounterMetricFamily(
        "coredns_panics",
        "Queries that met a bug and got SERVFAIL.",
        value=total(lambda s: s.responder.errors),
    )
    yield CounterMetricFamily(
        "clusterip_dns_malformed",
        "Packets that were no query.",
        value=total(lambda s: s.responder.malformed),
    )
    yield CounterMetricFamily(
        "clusterip_dns_unsent",
        "Answers that the network did not take.",
        value=total(lambda s: s.counters.unsent),
    )
    yield CounterMetricFamily(
        "clusterip_dns_forward_failures",
        "Questions that no upstream answered.",
        value=total(lambda s: sum(each.failures for each in s.forwarders)),
    )
    yield CounterMetricFamily(
        "coredns_forward_max_concurrent_rejects",
        "Questions refused because too many were under way.",
        value=total(lambda s: sum(each.refused for each in s.forwarders)),
    )
    limiters = [each.responder.limiter for each in served if each.responder.limiter is not None]
    if limiters:
        limited = CounterMetricFamily("clusterip_dns_rate_limited", "Answers limited.", labels=["action"])
        limited.add_metric(["dropped"], sum(each.dropped for each in limiters))
        limited.add_metric(["truncated"], sum(each.truncated for each in limiters))
        yield limited
    kept = GaugeMetricFamily("clusterip_dns_kept_answers", "Ready-made answers.", labels=["kind"])
    kept.add_metric(["lasting"], total(lambda s: len(s.responder.lasting)))
    kept.add_metric(["fleeting"], total(lambda s: len(s.responder.fleeting)))
    yield kept


def _caches(served: Sequence[Served]) -> Iterator[Metric]:
    plain, typed = ["server", "zones", "view"], ["server", "type", "zones", "view"]
    entries = GaugeMetricFamily("coredns_cache_entries", "Answers in the cache.", labels=typed)
    hits = CounterMetricFamily("coredns_cache_hits", "Answers from the cache.", labels=typed)
    evictions = CounterMetricFamily("coredns_cache_evictions", "Answers that had to go.", labels=typed)
    requests = CounterMetricFamily("coredns_cache_requests", "Questions to the cache.", labels=plain)
    misses = CounterMetricFamily("coredns_cache_misses", "Questions not in it.", labels=plain)
    stale = CounterMetricFamily("coredns_cache_served_stale", "Stale answers given.", labels=plain)
    prefetch = CounterMetricFamily("coredns_cache_prefetch", "Fetched before the end.", labels=plain)
    for each in served:
        caches = [forwarder.cache for forwarder in each.forwarders]
        if not caches:
            continue
        server, zones = each.counters.server, ",".join(map(_zone, each.zones))
        for kind, sizes, hit, gone in (
            (
                "success",
                [c.sizes[0] for c in caches],
                [c.hits for c in caches],
                [c.evictions for c in caches],
            ),
            (
                "denial",
                [c.sizes[1] for c in caches],
                [c.denial_hits for c in caches],
                [c.denial_evictions for c in caches],
            ),
        ):
            entries.add_metric([server, kind, zones, _VIEW], sum(sizes))
            hits.add_metric([server, kind, zones, _VIEW], sum(hit))
            evictions.add_metric([server, kind, zones, _VIEW], sum(gone))
        found = [server, zones, _VIEW]
        requests.add_metric(found, sum(c.hits + c.denial_hits + c.misses for c in caches))
        misses.add_metric(found, sum(c.misses for c in caches))
        stale.add_metric(found, sum(c.stale for c in caches))
        prefetch.add_metric(found, sum(c.prefetches for c in caches))
    yield from (entries, hits, evictions, requests, misses, stale, prefetch)


def _plugins(served: Sequence[Served]) -> Iterator[Metric]:
    labels = ["server", "zone", "view", "name"]
    enabled = GaugeMetricFamily("coredns_plugin_enabled", "Plugins in use.", labels=labels)
    for each in served:
        for zone in each.zones:
            for plugin in each.plugins:
                enabled.add_metric([each.counters.server, _zone(zone), _VIEW, plugin], 1)
    yield enabled


def _reloads(reloads: Reloads) -> Iterator[Metric]:
    yield CounterMetricFamily("coredns_reload_failed", "Reloads that failed.", value=reloads.failed)
    yield CounterMetricFamily("clusterip_dns_reloads", "Configurations taken over.", value=reloads.done)
    version = GaugeMetricFamily("coredns_reload_version_info", "The configuration.", labels=["hash", "value"])
    if reloads.digest:
        version.add_metric(["sha512", reloads.digest], 1)
    yield version


def _histograms(
    name: str,
    text: str,
    labels: list[str],
    served: Sequence[Served],
    of: Callable[[Counters], dict[tuple[str, ...], Histogram]],
) -> Metric:
    family = HistogramMetricFamily(name, text, labels=labels)
    for each in served:
        for texts, found in of(each.counters).items():
            total = 0
            buckets = []
            for bound, count in zip((*found.bounds, float("inf")), found.counts, strict=True):
                total += count
                buckets.append(("+Inf" if bound == float("inf") else str(float(bound)), float(total)))
            family.add_metric([each.counters.server, *texts], buckets=buckets, sum_value=found.sum)
    return family


def _merged(family: CounterMetricFamily) -> CounterMetricFamily:
    """Samples with the same labels (types that are not told apart) as one."""
    merged = CounterMetricFamily(family.name, family.documentation, labels=list(family._labelnames))
    totals: dict[tuple[str, ...], float] = {}
    for sample in family.samples:
        key = tuple(sample.labels.values())
        totals[key] = totals.get(key, 0.0) + sample.value
    for key, value in totals.items():
        merged.add_metric(list(key), value)
    return merged


def _zone(zone: bytes) -> str:
    """A zone as a label; "dropped" for questions that no server block is for, as in CoreDNS."""
    return names.to_text(zone) if zone and zone != b"\0" else "." if zone else "dropped"


class Export:
    """The figures of this process, and of the other workers, as part of ``/metrics``."""

    def __init__(self, source: Source, board: Board | None = None, index: int = 0) -> None:
        self._own = DnsCollector(source)
        self._shown = SummedCollector(DNS_REGISTRY, board, index) if board is not None else _Whole()
        self._board = board
        self._index = index
        DNS_REGISTRY.register(self._own)
        REGISTRY.register(self._shown)

    def publish(self, *, synced: bool) -> None:
        """Let the other workers see the figures."""
        if self._board is not None:
            self._board.publish(self._index, DNS_REGISTRY.collect(), synced=synced)

    def close(self) -> None:
        REGISTRY.unregister(self._shown)
        DNS_REGISTRY.unregister(self._own)


class _Whole(Collector):
    """All of this part's figures."""

    def collect(self) -> Iterable[Metric]:
        return DNS_REGISTRY.collect()
