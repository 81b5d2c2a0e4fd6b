"""What kube-proxy counts in this mode."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import REGISTRY, Counter, Gauge
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from clusterip.kernel.iptables_counters import Counters
from clusterip.proxy.iptables.environment import INVALID_DROPPED, LOCALHOST_ACCEPTED

failures = Counter(
    "kubeproxy_sync_proxy_rules_iptables_restore_failures",
    "Cumulative proxy iptables restore failures",
    ["ip_family"],
)
partial_failures = Counter(
    "kubeproxy_sync_proxy_rules_iptables_partial_restore_failures",
    "Cumulative proxy iptables partial restore failures",
    ["ip_family"],
)

rules_total = Gauge(
    "kubeproxy_sync_proxy_rules_iptables_total",
    "Total number of iptables rules owned by kube-proxy",
    ["table", "ip_family"],
)
rules_last = Gauge(
    "kubeproxy_sync_proxy_rules_iptables_last",
    "Number of iptables rules written by kube-proxy in last sync",
    ["table", "ip_family"],
)


class PacketMetrics(Collector):
    """What the kernel has counted, asked for when somebody reads the metrics."""

    _metrics = (
        (
            INVALID_DROPPED,
            "kubeproxy_iptables_ct_state_invalid_dropped_packets",
            "packets dropped by iptables to work around conntrack problems",
        ),
        (
            LOCALHOST_ACCEPTED,
            "kubeproxy_iptables_localhost_nodeports_accepted_packets",
            "Number of packets accepted on nodeports of loopback interface",
        ),
    )

    def __init__(self) -> None:
        self._counters: Counters | None = None
        self._names: frozenset[str] = frozenset()

    def read_from(self, counters: Counters | None, names: frozenset[str]) -> None:
        """Take these counters; None: none."""
        self._counters, self._names = counters, names

    def collect(self) -> Iterable[CounterMetricFamily]:
        for counter, name, text in self._metrics:
            if self._counters is None or counter not in self._names:
                continue
            packets = self._counters.packets(counter)
            if packets is not None:
                yield CounterMetricFamily(name, text, value=packets)


packets = PacketMetrics()
REGISTRY.register(packets)
