"""What the proxy can be told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """Options of ``clusterip proxy``; the names are kube-proxy's."""

    kubeconfig: str | None = None
    hostname_override: str = ""
    """The name of this node's Node object; empty: the host's name in lower case."""
    proxy_mode: str = "nftables"
    cluster_cidr: tuple[str, ...] = ()
    """The Pods' addresses: who else connects to a ClusterIP is masqueraded."""
    masquerade_all: bool = False
    nodeport_addresses: tuple[str, ...] = ()
    """Where node ports answer: ranges of local addresses; empty or ``primary``: the Node's InternalIPs."""
    healthz_bind_address: str = "0.0.0.0:10256"
    metrics_bind_address: str = "127.0.0.1:10249"
    cleanup: bool = False
    """Remove the rules and end."""
