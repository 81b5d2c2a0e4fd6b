"""What kube-proxy counts in this mode."""

from __future__ import annotations

from prometheus_client import Counter

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
