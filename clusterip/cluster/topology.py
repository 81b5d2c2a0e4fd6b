"""The cluster's network on one machine, as a list of steps.

::

    machine ── clusterip0 ──┐
    node-1  ── eth0 ────────┤ br0 in the namespace clusterip-switch
    node-2  ── eth0 ────────┤
    node-3  ── eth0 ────────┘

The bridge has a namespace to itself, so that the machine's own firewall and connection tracking (Docker
drops what it does not forward itself, and ``bridge-nf-call-iptables`` shows it bridged frames) have no
say in traffic between nodes, just as they would not between real machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path

from clusterip.cluster.config import ClusterConfig
from clusterip.cluster.steps import (
    Address,
    Bridge,
    Cgroup,
    Masquerade,
    Namespace,
    NamespaceDirectory,
    Route,
    SocketPrograms,
    Step,
    Sysctl,
    Up,
    Veth,
)
from clusterip.kernel import namespaces

_BRIDGE = "br0"
_NODE_LINK = "eth0"
_MACHINE = ""


def plan(config: ClusterConfig, uplinks: Sequence[str] = ()) -> list[Step]:
    """The steps that build the network.

    Args:
        config: the cluster's shape.
        uplinks: the machine's interfaces that lead outside; answers coming in there for nodes and Pods
            must be forwarded.
    """
    return [
        NamespaceDirectory(),
        *([Cgroup(str(Path(cgroup).parent))] if (cgroup := config.cgroup_of(config.node_names[0])) else []),
        *_switch(config),
        *(step for node in config.node_names for step in _node(config, node)),
        *_machine(config, uplinks),
    ]


def pod_route(config: ClusterConfig, node: str, pod_cidr: str) -> Step:
    """The machine's route to a node's Pods."""
    version = ip_network(pod_cidr).version
    gateway = next(each for each in config.addresses_of(node) if ip_address(each).version == version)
    return Route(_MACHINE, pod_cidr, gateway, config.link)


def _switch(config: ClusterConfig) -> list[Step]:
    switch = config.switch_namespace
    return [
        Namespace(switch),
        Up(switch, "lo"),
        Bridge(switch, _BRIDGE),
        Sysctl(switch, "net.ipv6.conf.all.disable_ipv6", "1"),
        *_without_bridge_netfilter(switch),
    ]


def _without_bridge_netfilter(namespace: str) -> list[Step]:
    """Frames pass a bridge unseen by IP netfilter, where the kernel would show them (br_netfilter)."""
    name = "net.bridge.bridge-nf-call-iptables"
    try:
        namespaces.read_sysctl(name)
    except FileNotFoundError:
        return []
    return [Sysctl(namespace, name, "0")]


def _node(config: ClusterConfig, node: str) -> list[Step]:
    namespace = config.namespace_of(node)
    return [
        Namespace(namespace),
        *([Cgroup(cgroup), SocketPrograms(namespace)] if (cgroup := config.cgroup_of(node)) else []),
        Up(namespace, "lo"),
        *_without_bridge_netfilter(namespace),
        Sysctl(namespace, "net.ipv4.ip_forward", "1"),
        # A reply may take another way than its request did: the client's node, then the Service's.
        Sysctl(namespace, "net.ipv4.conf.all.rp_filter", "0"),
        Sysctl(namespace, "net.ipv4.conf.default.rp_filter", "0"),
        Veth(namespace, _NODE_LINK, config.switch_namespace, _BRIDGE, node),
        Sysctl(namespace, f"net.ipv4.conf.{_NODE_LINK}.rp_filter", "0"),
        Address(namespace, _NODE_LINK, f"{config.address_of(node)}/{config.subnet.prefixlen}"),
        Route(namespace, None, str(config.machine_address), _NODE_LINK),
        *_node_ipv6(config, node),
    ]


def _node_ipv6(config: ClusterConfig, node: str) -> list[Step]:
    ipv6 = config.ipv6
    if ipv6 is None:
        return []
    namespace = config.namespace_of(node)
    _, address = config.addresses_of(node)
    return [
        Sysctl(namespace, "net.ipv6.conf.all.forwarding", "1"),
        Address(namespace, _NODE_LINK, f"{address}/{ipv6.subnet.prefixlen}"),
        Route(namespace, None, str(ipv6.machine_address), _NODE_LINK),
    ]


def _machine(config: ClusterConfig, uplinks: Sequence[str]) -> list[Step]:
    ipv6 = config.ipv6
    sources = (config.subnet, config.pod_cidr, *((ipv6.subnet, ipv6.pods) if ipv6 is not None else ()))
    first = config.address_of(config.node_names[0])
    return [
        Veth(_MACHINE, config.link, config.switch_namespace, _BRIDGE, "machine"),
        Address(_MACHINE, config.link, f"{config.machine_address}/{config.subnet.prefixlen}"),
        Route(_MACHINE, str(config.service_cidr), str(first), config.link),
        *_machine_ipv6(config),
        # Per interface: writing net.ipv4.ip_forward itself would reset other settings of every one.
        *(Sysctl(_MACHINE, f"net/ipv4/conf/{link}/forwarding", "1") for link in (config.link, *uplinks)),
        Masquerade(config.table, tuple(map(str, sources)), config.link),
    ]


def _machine_ipv6(config: ClusterConfig) -> list[Step]:
    """The machine reaches nodes, Pods and Services. It forwards nothing: that would be for all its links."""
    ipv6 = config.ipv6
    if ipv6 is None:
        return []
    _, first = config.addresses_of(config.node_names[0])
    return [
        Address(_MACHINE, config.link, f"{ipv6.machine_address}/{ipv6.subnet.prefixlen}"),
        Route(_MACHINE, str(ipv6.services), first, config.link),
    ]
