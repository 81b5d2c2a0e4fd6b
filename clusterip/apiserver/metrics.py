"""Metrics under the names that kube-apiserver gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Metric, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from clusterip.apiserver.cache import WatchCache
from clusterip.apiserver.router import RequestInfo
from clusterip.apiserver.version import VERSION
from clusterip.objects.registry import Resource

disable_created_metrics()  # type: ignore[no-untyped-call]  # kube-apiserver has no such series

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
_CONNECTIONS = frozenset(("attach", "exec", "log", "portforward", "proxy"))
"""Subresources that stay as long as their clients want (upstream's ``BasicLongRunningRequestCheck``)."""

_BUILD = {
    "major": "major",
    "minor": "minor",
    "gitVersion": "git_version",
    "gitCommit": "git_commit",
    "gitTreeState": "git_tree_state",
    "buildDate": "build_date",
    "goVersion": "go_version",
    "compiler": "compiler",
    "platform": "platform",
}
_MUTATING = frozenset(("create", "update", "patch", "delete", "deletecollection"))
_LABELS = ("verb", "group", "version", "resource", "subresource", "scope", "component")

_SECONDS = (
    *(0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5),
    *(2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60),
)

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
    buckets=_SECONDS,
)
_sli_durations = Histogram(
    "apiserver_request_sli_duration_seconds",
    "Response latency distribution (not counting webhook duration and priority & fairness queue wait times) "
    "in seconds for each verb, group, version, resource, subresource, scope and component.",
    _LABELS,
    buckets=_SECONDS,
)
_deprecated = Gauge(
    "apiserver_requested_deprecated_apis",
    "Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, "
    "subresource, and removed_release.",
    ("group", "version", "resource", "subresource", "removed_release"),
)
_watch_events = Counter(
    "apiserver_watch_events_total",
    "Number of events sent in watch clients.",
    ("group", "version", "resource"),
)
_watch_sizes = Histogram(
    "apiserver_watch_events_sizes",
    "Watch event size distribution in bytes.",
    ("group", "version", "resource"),
    buckets=(1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072),
)
_build = Gauge(
    "kubernetes_build_info",
    "A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, "
    "build date, Go version, and compiler from which Kubernetes was built, and platform on which it is "
    "running.",
    tuple(_BUILD.values()),
)
_build.labels(**{label: VERSION[name] for name, label in _BUILD.items()}).set(1)
_long_running = Gauge(
    "apiserver_longrunning_requests",
    "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, "
    "scope and component.",
    _LABELS,
)


def is_long_running(info: RequestInfo) -> bool:
    """Whether a request stays, so that it counts neither as in flight nor as slow."""
    return info.verb == "watch" or info.subresource in _CONNECTIONS


class Metrics:
    """Counts requests. Looking label values up is slow, so each combination is looked up once."""

    def __init__(self, cache: WatchCache) -> None:
        self._counters: dict[tuple[object, ...], Counter] = {}
        self._histograms: dict[tuple[object, ...], Histogram] = {}
        self._slis: dict[tuple[object, ...], Histogram] = {}
        self.in_flight = {"mutating": 0, "readOnly": 0}
        self._state = _State(cache, self.in_flight)
        REGISTRY.register(self._state)

    def close(self) -> None:
        REGISTRY.unregister(self._state)

    @staticmethod
    def kind_of(info: RequestInfo) -> str:
        """As what a request counts among those in flight; those that may stay do not count."""
        if is_long_running(info):
            return ""
        return "mutating" if info.verb in _MUTATING else "readOnly"

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
            self._slis.setdefault(key, _sli_durations.labels(*labels))
            if info.resource is not None and info.resource.deprecation:
                _deprecated.labels(info.group, info.version, resource, info.subresource, "").set(1)
        counter.inc()
        if not is_long_running(info):
            self._histograms[key].observe(seconds)
            self._slis[key].observe(seconds)

    def long_running(self, info: RequestInfo) -> Gauge:
        """The gauge of a kind of long-running request."""
        scope = "resource" if info.name else ("namespace" if info.namespace else "cluster")
        return _long_running.labels(*self._labels(info, info.plural, scope))

    @staticmethod
    def watch_events(resource: Resource[Any]) -> Callable[[list[bytes]], None]:
        """What counts the events that a watcher of ``resource`` is sent."""
        labels = resource.group, resource.version, resource.plural
        events, sizes = _watch_events.labels(*labels), _watch_sizes.labels(*labels)

        def count(frames: list[bytes]) -> None:
            events.inc(len(frames))
            for frame in frames:
                sizes.observe(len(frame))

        return count

    @staticmethod
    def _labels(info: RequestInfo, resource: str, scope: str) -> tuple[str, ...]:
        known = info.resource is not None
        return (
            "CONNECT" if info.subresource in _CONNECTIONS else _VERBS.get(info.verb, "other"),
            info.group if known else "",
            info.version if known else "",
            resource,
            info.subresource if known else "",
            scope if known else "",
            "apiserver",
        )


class _State(Collector):
    """What there is at the moment, counted when somebody asks."""

    def __init__(self, cache: WatchCache, in_flight: Mapping[str, int]) -> None:
        self._cache = cache
        self._in_flight = in_flight

    def collect(self) -> Iterable[Metric]:
        objects = GaugeMetricFamily(
            "apiserver_resource_objects",
            "Number of stored objects at the time of last check split by kind.",
            labels=("group", "resource"),
        )
        stored = GaugeMetricFamily(
            "apiserver_storage_objects",
            "Number of stored objects at the time of last check split by kind.",
            labels=("resource",),
        )
        versions = GaugeMetricFamily(
            "apiserver_watch_cache_resource_version",
            "Current resource version of watch cache broken by resource type.",
            labels=("group", "resource"),
        )
        for resource, count in self._cache.counts():
            objects.add_metric([resource.group, resource.plural], count)
            stored.add_metric([resource.group_resource], count)
            versions.add_metric([resource.group, resource.plural], self._cache.revision)
        running = GaugeMetricFamily(
            "apiserver_current_inflight_requests",
            "Maximal number of currently used inflight request limit of this apiserver per request kind in "
            "last second.",
            labels=("request_kind",),
        )
        for kind, count in self._in_flight.items():
            running.add_metric([kind], count)
        yield from (objects, stored, versions, running)
