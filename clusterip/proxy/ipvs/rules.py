"""What IPVS cannot do itself, in nftables: masquerading, source ranges, refusing what no Service has.

The rules are constant; Services are elements of sets. Packets to a Service's address pass ``prerouting``
(marked, perhaps dropped), then ``input``, where IPVS takes them, sends them on through ``output`` and
``postrouting``, where marked ones are masqueraded; connection tracking follows as ``vs.conntrack`` is set.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import NamedTuple

from clusterip.kernel.nftables import Family
from clusterip.proxy.backend import BackendOptions
from clusterip.proxy.model import Address, NodeAddresses, PortState, family_of

TABLE = "clusterip-ipvs"

_PROTOCOLS = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp", socket.IPPROTO_SCTP: "sctp"}
_FRONTEND = "{address} . inet_proto . inet_service"


class Element(NamedTuple):
    """An element of a set, as nft writes it."""

    set: str
    text: str


def definition(family: Family, options: BackendOptions) -> str:
    """The table with its sets, empty, and rules."""
    ip, address = ("ip", "ipv4_addr") if family is Family.IPV4 else ("ip6", "ipv6_addr")
    mark = f"{1 << options.masquerade_bit:#x}"
    frontend = _FRONTEND.format(address=address)
    to = f"{ip} daddr . meta l4proto . th dport"
    others = _others(ip, family, options)
    reset = "meta l4proto tcp reject with tcp reset"
    unreachable = "icmp type port-unreachable" if family is Family.IPV4 else "icmpv6 type port-unreachable"
    return f"""\
table {ip} {TABLE} {{
    comment "Services: what IPVS cannot do"
    set services {{ type {frontend}; comment "all there are"; }}
    set cluster-ips {{ type {frontend}; }}
    set external {{ type {frontend}; comment "to endpoints on any node"; }}
    set firewalled {{ type {frontend}; comment "with loadBalancerSourceRanges"; }}
    set allowed-sources {{ type {frontend} . {address}; flags interval; }}
    set node-ports {{ type inet_proto . inet_service; comment "to endpoints on any node"; }}
    set node-port-ips {{ type {address}; }}
    set service-ips {{ type {address}; comment "on kube-ipvs0"; }}
    set dropped {{ type {frontend}; comment "no endpoint on this node, for anybody"; }}
    set dropped-outside {{ type {frontend}; comment "the same, but for Pods and the node"; }}
    set dropped-node-ports {{ type inet_proto . inet_service; comment "the same"; }}
    set hairpins {{ type {address} . {address}; comment "Pods of this node that may reach themselves"; }}

    chain prerouting {{
        type filter hook prerouting priority mangle; policy accept;
        ct state new jump firewall
        iifname != "lo" ct state new {others}jump outside
        jump mark-prerouting
    }}
    chain outside {{
        {to} @dropped-outside drop
        {ip} daddr @node-port-ips meta l4proto . th dport @dropped-node-ports drop
    }}
    chain output {{
        type filter hook output priority mangle; policy accept;
        ct state new jump firewall
        {ip} saddr @service-ips ct state new meta mark set mark or {mark} comment "the node itself"
        jump mark-prerouting
    }}
    chain firewall {{
        {to} @dropped drop
        {to} . {ip} saddr @allowed-sources return
        {to} @firewalled drop
    }}
    chain mark-prerouting {{
{_masquerade_cluster_ips(to, mark, others, options)}        {to} @external meta mark set mark or {mark}
        {ip} daddr @node-port-ips meta l4proto . th dport @node-ports meta mark set mark or {mark}
    }}
    chain input {{
        type filter hook input priority filter; policy accept;
        ct state new {ip} daddr @service-ips jump known
    }}
    chain known {{
        {to} @services return
        {reset}
        meta l4proto {{ udp, sctp }} reject with {unreachable}
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        meta mark & {mark} == {mark} meta mark set mark & {0xFFFFFFFF ^ (1 << options.masquerade_bit):#x} \
masquerade fully-random
        {ip} saddr . {ip} daddr @hairpins masquerade fully-random
    }}
}}
"""


def _others(ip: str, family: Family, options: BackendOptions) -> str:
    """The match for packets that no Pod has sent; empty if that cannot be told."""
    pods = options.pods
    version = 4 if family is Family.IPV4 else 6
    cidrs = ", ".join(str(cidr) for cidr in pods.cidrs if cidr.version == version)
    if cidrs:
        return f"{ip} saddr != {{ {cidrs} }} "
    if pods.bridge:
        return f'iifname != "{pods.bridge}" '
    return f'iifname != "{pods.interface_prefix}*" ' if pods.interface_prefix else ""


def _masquerade_cluster_ips(to: str, mark: str, others: str, options: BackendOptions) -> str:
    if options.masquerade_all:
        others = ""
    elif not others:
        return ""
    return f"        {others}{to} @cluster-ips meta mark set mark or {mark}\n"


def node_elements(addresses: NodeAddresses, family: Family) -> set[Element]:
    return {Element("node-port-ips", _show(ip)) for ip in addresses.node_ports if family_of(ip) is family}


def bound_element(address: Address) -> Element:
    """For an address on our interface."""
    return Element("service-ips", _show(address))


def port_elements(state: PortState, addresses: NodeAddresses) -> set[Element]:
    """The elements of one Service port."""
    return set(_port_elements(state, addresses))


def _port_elements(state: PortState, addresses: NodeAddresses) -> Iterator[Element]:
    port = state.port
    protocol = _PROTOCOLS[port.key.protocol]
    external = (*port.external_ips, *port.load_balancer_ips)
    for address in (port.cluster_ip, *external):
        yield Element("services", f"{_show(address)} . {protocol} . {port.port}")
    yield Element("cluster-ips", f"{_show(port.cluster_ip)} . {protocol} . {port.port}")
    if not port.external_local:
        for address in external:
            yield Element("external", f"{_show(address)} . {protocol} . {port.port}")
        if port.node_port:
            yield Element("node-ports", f"{protocol} . {port.node_port}")
    if port.internal_local and state.choice.exist and not state.choice.local:
        yield Element("dropped", f"{_show(port.cluster_ip)} . {protocol} . {port.port}")
    if port.external_local and state.choice.exist and not state.choice.local:
        for address in external:
            yield Element("dropped-outside", f"{_show(address)} . {protocol} . {port.port}")
        if port.node_port:
            yield Element("dropped-node-ports", f"{protocol} . {port.node_port}")
    for on_node in state.choice.on_node:
        yield Element("hairpins", f"{_show(on_node)} . {_show(on_node)}")
    if not port.source_ranges:
        return
    for address in port.load_balancer_ips:
        frontend = f"{_show(address)} . {protocol} . {port.port}"
        yield Element("firewalled", frontend)
        for network in port.source_ranges:
            yield Element("allowed-sources", f"{frontend} . {network}")
        if any(_within(ip, state) for ip in addresses.primary) and not _within(address, state):
            # From this node, packets to the address come from the address itself, as it is bound here.
            yield Element("allowed-sources", f"{frontend} . {_show(address)}")


def _within(address: Address, state: PortState) -> bool:
    number = int.from_bytes(address, "big")
    return any(
        network.max_prefixlen == 8 * len(address)
        and int(network.network_address) <= number <= int(network.broadcast_address)
        for network in state.port.source_ranges
    )


def _show(address: Address) -> str:
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)
