"""What the chains are called. Upstream: ``pkg/proxy/iptables/proxier.go``."""

from __future__ import annotations

import base64
import hashlib

SERVICES = "KUBE-SERVICES"
EXTERNAL_SERVICES = "KUBE-EXTERNAL-SERVICES"
NODE_PORTS = "KUBE-NODEPORTS"
POSTROUTING = "KUBE-POSTROUTING"
MARK_MASQUERADE = "KUBE-MARK-MASQ"
FORWARD = "KUBE-FORWARD"
FIREWALL = "KUBE-PROXY-FIREWALL"
CANARY = "KUBE-PROXY-CANARY"
"""A chain with nothing in it: when it is gone, somebody has flushed all rules."""

OWNER = "CLUSTERIP-PROXY"
"""A chain of ``mangle`` with nothing in it, by which our rules are told from kube-proxy's: when another mode
takes over, ours go without being asked for."""

KUBELET_FIREWALL = "KUBE-FIREWALL"
"""A chain that kubelets make as well; whoever comes first."""
KUBELET_CHAINS = ("KUBE-KUBELET-CANARY", "KUBE-IPTABLES-HINT")
"""Chains of ``mangle`` by which a kubelet shows which kind of iptables the host uses."""

CLUSTER = "KUBE-SVC-"
LOCAL = "KUBE-SVL-"
SOURCE_RANGES = "KUBE-FW-"
EXTERNAL = "KUBE-EXT-"
ENDPOINT = "KUBE-SEP-"
PER_SERVICE = (CLUSTER, LOCAL, SOURCE_RANGES, EXTERNAL, ENDPOINT)


def digest(port: str, protocol: str, endpoint: str = "") -> str:
    """The 16 letters that follow the prefix: a chain's name has 28 at most.

    ``port`` is ``namespace/name:port``, ``protocol`` in lower case, ``endpoint`` with its port.
    """
    sha = hashlib.sha256(f"{port}{protocol}{endpoint}".encode()).digest()
    return base64.b32encode(sha[:10]).decode()
