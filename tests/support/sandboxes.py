"""Pods' sandboxes without a node agent."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

from clusterip.node.layout import NodeDirectory
from clusterip.node.network.ipam import AddressPools
from clusterip.node.sandbox import sandbox as sandboxes
from clusterip.node.sandbox.sandbox import Sandbox, Settings
from clusterip.objects import codec
from clusterip.objects.core.pod import Pod

NETWORKS = [ip_network("10.244.7.0/24"), ip_network("fd00:7::/64")]
NODE, NODE6 = "192.0.2.1", "2001:db8::1"
OUTSIDE, OUTSIDE6 = "192.0.2.9", "2001:db8::9"
"""Addresses of a node, and of another machine on its network."""
SETTINGS = Settings(node_name="node-a", cluster_dns=("10.96.0.10",))


def make(root: Path, pools: AddressPools, uid: str, mtu: int = 0, **spec: object) -> Sandbox:
    pod = codec.convert({"metadata": {"name": uid, "namespace": "ns", "uid": uid}, "spec": spec}, Pod)
    return sandboxes.create(pod, NodeDirectory(root).pod(uid), pools, replace(SETTINGS, mtu=mtu))
