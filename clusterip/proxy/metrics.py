"""Metrics, by kube-proxy's names where it has them (``pkg/proxy/metrics/metrics.go``)."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_BUCKETS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 4, 8, 16)

sync_seconds = Histogram(
    "kubeproxy_sync_proxy_rules_duration_seconds", "Time to write changes to the kernel", buckets=_BUCKETS
)
full_sync_seconds = Histogram(
    "kubeproxy_sync_full_proxy_rules_duration_seconds",
    "Time to compare everything with the kernel and write the difference",
    buckets=_BUCKETS,
)
programming_seconds = Histogram(
    "kubeproxy_network_programming_duration_seconds",
    "Time from a change of a Service or Pod until its rules are in the kernel",
    buckets=(*_BUCKETS, 32, 64, 128, 256),
)
last_sync_seconds = Gauge(
    "kubeproxy_sync_proxy_rules_last_timestamp_seconds", "When changes were last written to the kernel"
)
sync_failures = Counter(
    "kubeproxy_sync_proxy_rules_nftables_sync_failures", "Batches that the kernel refused"
)
service_changes = Counter("kubeproxy_sync_proxy_rules_service_changes", "Changes of Services seen")
endpoint_changes = Counter("kubeproxy_sync_proxy_rules_endpoint_changes", "Changes of EndpointSlices seen")
longest_batch_seconds = Gauge(
    "clusterip_proxy_longest_batch_seconds", "The longest that one batch has kept the kernel's rules locked"
)
refusals = Counter("clusterip_proxy_refusals", "Parts of the rules that the kernel refused")
refused = Gauge("clusterip_proxy_refused_parts", "Parts that the kernel refuses now, and has all the rest")
