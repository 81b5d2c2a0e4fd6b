"""Metrics, by kube-proxy's names, labels and buckets (``pkg/proxy/metrics/metrics.go``).

kube-proxy has a proxier for each family. Here one batch is for both, so each figure of a batch counts for
every family there is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from clusterip.kernel.nftables import Family

disable_created_metrics()  # type: ignore[no-untyped-call]  # kube-proxy has no such series

families: tuple[str, ...] = ("IPv4", "IPv6")
"""The families that the data plane programs, as the label ``ip_family`` calls them."""

_PREFIX = "kubeproxy_"
_LATENCIES = tuple(0.001 * 2**power for power in range(15))
_PROGRAMMING = (
    *(0.25, 0.5),
    *range(1, 60),
    *range(60, 120, 5),
    *range(120, 301, 30),
)


def label_of(family: Family) -> str:
    """A family as the label ``ip_family`` calls it."""
    return "IPv4" if family is Family.IPV4 else "IPv6"


class _OfFamilies:
    """A metric with the label ``ip_family``, for what concerns all of them."""

    def __init__(self, metric: Histogram | Gauge | Counter) -> None:
        self._metric = metric

    def observe(self, value: float) -> None:
        for family in families:
            self._metric.labels(family).observe(value)  # type: ignore[union-attr]

    def set(self, value: float) -> None:
        for family in families:
            self._metric.labels(family).set(value)  # type: ignore[union-attr]

    def set_now(self) -> None:
        self.set(time.time())

    def inc(self, count: float = 1) -> None:
        for family in families:
            self._metric.labels(family).inc(count)  # type: ignore[union-attr]


def _latency(name: str, help_: str, buckets: Iterable[float] = _LATENCIES) -> _OfFamilies:
    return _OfFamilies(Histogram(_PREFIX + name, help_, ("ip_family",), buckets=tuple(buckets)))


sync_seconds = _latency("sync_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds")
full_sync_seconds = _latency(
    "sync_full_proxy_rules_duration_seconds",
    "SyncProxyRules latency in seconds for full resyncs: comparing everything with the kernel",
)
partial_sync_seconds = _latency(
    "sync_partial_proxy_rules_duration_seconds",
    "SyncProxyRules latency in seconds for partial resyncs: writing what has changed",
)
programming_seconds = _latency(
    "network_programming_duration_seconds", "In Cluster Network Programming Latency in seconds", _PROGRAMMING
)
last_sync_seconds = _OfFamilies(
    Gauge(
        _PREFIX + "sync_proxy_rules_last_timestamp_seconds",
        "The last time proxy rules were successfully synced",
        ("ip_family",),
    )
)
last_queued_seconds = _OfFamilies(
    Gauge(
        _PREFIX + "sync_proxy_rules_last_queued_timestamp_seconds",
        "The last time a sync of proxy rules was queued",
        ("ip_family",),
    )
)
sync_failures = _OfFamilies(
    Counter(
        _PREFIX + "sync_proxy_rules_nftables_sync_failures_total",
        "Cumulative proxy nftables sync failures",
        ("ip_family",),
    )
)
service_changes = Counter(
    _PREFIX + "sync_proxy_rules_service_changes_total", "Cumulative proxy rules Service changes"
)
endpoint_changes = Counter(
    _PREFIX + "sync_proxy_rules_endpoint_changes_total", "Cumulative proxy rules Endpoint changes"
)
service_changes_pending = Gauge(
    _PREFIX + "sync_proxy_rules_service_changes_pending", "Pending proxy rules Service changes"
)
endpoint_changes_pending = Gauge(
    _PREFIX + "sync_proxy_rules_endpoint_changes_pending", "Pending proxy rules Endpoint changes"
)
healthz_answers = Counter(_PREFIX + "proxy_healthz_total", "Cumulative proxy healthz HTTP status", ("code",))
livez_answers = Counter(_PREFIX + "proxy_livez_total", "Cumulative proxy livez HTTP status", ("code",))
forgetting_seconds = Histogram(
    _PREFIX + "conntrack_reconciler_sync_duration_seconds",
    "ReconcileConntrackFlowsLatency latency in seconds",
    ("ip_family",),
    buckets=_LATENCIES,
)
forgotten_flows = Counter(
    _PREFIX + "conntrack_reconciler_deleted_entries_total",
    "Cumulative conntrack flows deleted by conntrack reconciler",
    ("ip_family",),
)
api_requests = Counter(
    "rest_client_requests_total",
    "Number of HTTP requests, partitioned by status code, method, and host",
    ("code", "method", "host"),
)
change_seconds = Histogram(
    "clusterip_proxy_change_duration_seconds",
    "From a change's arrival at the proxy until the kernel has it; of changes written together, the oldest's",
    buckets=tuple(0.0001 * 2**power for power in range(20)),
)
longest_batch_seconds = Gauge(
    "clusterip_proxy_longest_batch_seconds", "The longest that one batch has kept the kernel's rules locked"
)
repairs = Counter("clusterip_proxy_repairs", "Times that another program's changes of the rules were undone")
refusals = Counter("clusterip_proxy_refusals", "Parts of the rules that the kernel refused")
refused = Gauge("clusterip_proxy_refused_parts", "Parts that the kernel refuses now, and has all the rest")


class NoLocalEndpoints(Collector):
    """``kubeproxy_sync_proxy_rules_no_local_endpoints_total``, counted when somebody asks.

    Upstream: how many Service ports with a ``Local`` policy have endpoints, but none on this node.
    """

    def __init__(self, count: Callable[[], dict[tuple[str, str], int]]) -> None:
        """``count`` gives the number for each policy (``internal``, ``external``) and family."""
        self._count = count
        REGISTRY.register(self)

    def close(self) -> None:
        REGISTRY.unregister(self)

    def describe(self) -> Iterator[Metric]:
        yield self._family()

    def collect(self) -> Iterator[Metric]:
        family = self._family()
        found = self._count()
        for policy in ("internal", "external"):
            for ip_family in families:
                family.add_metric([policy, ip_family], found.get((policy, ip_family), 0))
        yield family

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(
            _PREFIX + "sync_proxy_rules_no_local_endpoints_total",
            "Number of services with a Local traffic policy and no endpoints",
            labels=["traffic_policy", "ip_family"],
        )
