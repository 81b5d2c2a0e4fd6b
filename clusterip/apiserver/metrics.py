"""Metrics under the names that kube-apiserver gives them."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from clusterip.apiserver.cache import WatchCache
from clusterip.apiserver.router import RequestInfo

_VERBS = {
    "get": "GET",
    "list": "LIST",
    "watch": "WATCH",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETECOLLECTION",
    "post": "POST",
    "put": "PUT",
    "head": "GET",
}
_LABELS = ("verb", "group", "version", "resource", "subresource", "scope", "component")

_requests = Counter(
    "apiserver_request_total",
    "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, "
    "scope, component, and HTTP response code.",
    (*_LABELS, "dry_run", "code"),
)
_durations = Histogram(
    "apiserver_request_duration_seconds",
    "Response latency distribution in seconds for each verb, dry run value, group, version, resource, "
    "subresource, scope and component.",
    (*_LABELS, "dry_run"),
    buckets=(
        0.005,
        0.025,
        0.05,
        0.1,
        0.2,
        0.4,
        0.6,
        0.8,
        1.0,
        1.25,
        1.5,
        2,
        3,
        4,
        5,
        6,
        8,
        10,
        15,
        20,
        30,
        45,
        60,
    ),
)
_long_running = Gauge(
    "apiserver_longrunning_requests",
    "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, "
    "scope and component.",
    _LABELS,
)


class Metrics:
    """Counts requests. Looking label values up is slow, so each combination is looked up once."""

    def __init__(self, cache: WatchCache) -> None:
        self._counters: dict[tuple[object, ...], Counter] = {}
        self._histograms: dict[tuple[object, ...], Histogram] = {}
        self._storage = _StorageObjects(cache)
        REGISTRY.register(self._storage)

    def close(self) -> None:
        REGISTRY.unregister(self._storage)

    def observe(self, info: RequestInfo, code: int, seconds: float) -> None:
        resource = info.plural if info.resource is not None else ""
        scope = "resource" if info.name else ("namespace" if info.namespace else "cluster")
        key = (info.verb, info.group, resource, info.subresource, scope, info.dry_run)
        counter = self._counters.get((*key, code))
        if counter is None:
            labels = self._labels(info, resource, scope)
            dry_run = "All" if info.dry_run else ""
            counter = self._counters[(*key, code)] = _requests.labels(*labels, dry_run, str(code))
            self._histograms.setdefault(key, _durations.labels(*labels, dry_run))
        counter.inc()
        if info.verb != "watch":
            self._histograms[key].observe(seconds)

    def long_running(self, info: RequestInfo) -> Gauge:
        """The gauge of a kind of long-running request."""
        scope = "resource" if info.name else ("namespace" if info.namespace else "cluster")
        return _long_running.labels(*self._labels(info, info.plural, scope))

    @staticmethod
    def _labels(info: RequestInfo, resource: str, scope: str) -> tuple[str, ...]:
        known = info.resource is not None
        return (
            _VERBS.get(info.verb, "other"),
            info.group if known else "",
            info.version if known else "",
            resource,
            info.subresource if known else "",
            scope if known else "",
            "apiserver",
        )


class _StorageObjects(Collector):
    """How many objects of each kind there are, counted when somebody asks."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            "apiserver_resource_objects",
            "Number of stored objects at the time of last check split by kind.",
            labels=("group", "resource"),
        )
        for resource, count in self._cache.counts():
            family.add_metric([resource.group, resource.plural], count)
        yield family
