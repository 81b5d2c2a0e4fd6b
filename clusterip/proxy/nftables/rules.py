"""The constant rules, chain by chain. docs/proxy.md draws a packet's way through them."""

from __future__ import annotations

from clusterip.kernel.nftables import Chain, Family, Hook, Set
from clusterip.kernel.nftables import expressions as x
from clusterip.proxy.backend import BackendOptions
from clusterip.proxy.nftables import target
from clusterip.proxy.nftables.pieces import Pieces
from clusterip.proxy.nftables.sets import Entry

Rule = tuple[list[x.Expression], str]
"""What a rule does, and its comment."""

_TCP = bytes((6,))
_PRIORITY_FILTER, _PRIORITY_DNAT, _PRIORITY_SNAT = 0, -100, 100

CHAINS = (
    Chain("firewall-prerouting", "filter", Hook.PREROUTING, _PRIORITY_DNAT - 10),
    Chain("firewall-output", "filter", Hook.OUTPUT, _PRIORITY_DNAT - 10),
    Chain("nat-prerouting", "nat", Hook.PREROUTING, _PRIORITY_DNAT),
    Chain("nat-output", "nat", Hook.OUTPUT, _PRIORITY_DNAT),
    Chain("nat-postrouting", "nat", Hook.POSTROUTING, _PRIORITY_SNAT),
    Chain("filter-input", "filter", Hook.INPUT, _PRIORITY_FILTER),
    Chain("filter-forward", "filter", Hook.FORWARD, _PRIORITY_FILTER),
    Chain("filter-output", "filter", Hook.OUTPUT, _PRIORITY_FILTER),
    Chain("services"),
    Chain("external"),
    Chain("node-ports"),
    Chain("masquerade-shortcut"),
    Chain("firewall"),
    Chain("allowed-sources"),
    Chain("refuse"),
    Chain("refuse-node-ports"),
    Chain("unknown"),
    Chain("refuse-now"),
)


def constant_rules(p: Pieces, options: BackendOptions) -> dict[str, list[Rule]]:
    """The rules of each constant chain."""
    to_services = [(([x.verdict(x.JUMP, "services")]), "")]
    new = p.is_new()
    to_firewall = [([*new, x.verdict(x.JUMP, "firewall")], "")]
    to_cluster_ips = [
        ([*new, x.verdict(x.JUMP, "refuse")], ""),
        ([*new, x.verdict(x.JUMP, "unknown")], ""),
    ]
    invalid = [
        x.ct_state(0),
        x.keep_bits(0, x.CT_STATE_INVALID),
        x.differs(0, bytes(4)),
        x.verdict(x.DROP),
    ]
    drop_invalid = [(invalid, "nothing could translate them back")] if p.drop_invalid else []
    return {
        "firewall-prerouting": to_firewall,
        "firewall-output": to_firewall,
        "nat-prerouting": to_services,
        "nat-output": to_services,
        "nat-postrouting": _postrouting_rules(p),
        "filter-input": [
            ([*new, x.verdict(x.JUMP, "refuse")], ""),
            ([*new, *_is_to_node(p, options), x.verdict(x.JUMP, "refuse-node-ports")], ""),
        ],
        "filter-forward": [*drop_invalid, *to_cluster_ips],
        "filter-output": to_cluster_ips,
        "services": _service_rules(p, options),
        "external": _entry_rules(p, Entry.SERVICES, Entry.SHORTCUTS),
        "node-ports": _entry_rules(p, Entry.NODE_PORTS, Entry.NODE_PORT_SHORTCUTS),
        "masquerade-shortcut": [
            ([x.load_priority(0), x.set_bits(0, target.MASQUERADE), x.store_priority(0)], ""),
            (p.go_on(), ""),
        ],
        "firewall": _firewall_rules(p),
        "allowed-sources": [],  # see sources.py
        "refuse": _refuse_rules(p, p.frontend_key(), p.rejected, p.dropped),
        "refuse-node-ports": _refuse_rules(p, p.node_port_key(), p.rejected_node_ports, p.dropped_node_ports),
        "unknown": [
            ([*p.is_to(p.cluster_ips), x.verdict(x.GOTO, "refuse-now")], "ports no Service has"),
            ([*p.is_to(p.service_cidrs), x.verdict(x.DROP)], "addresses no Service has"),
        ],
        "refuse-now": [
            ([x.layer4_protocol(0), x.equals(0, _TCP), x.reject_with_reset()], ""),
            ([x.reject_unreachable(p.family)], ""),
        ],
    }


def _service_rules(p: Pieces, options: BackendOptions) -> list[Rule]:
    to_cluster_ip = p.is_to(p.cluster_ips)
    rules: list[Rule] = []
    if options.masquerade_all:
        rules.append(([*to_cluster_ip, *p.mark_for_masquerade()], "masquerade all"))
    elif p.knows_pods:
        from_outside = p.is_from_pod(invert=True)
        rules.append(([*to_cluster_ip, *from_outside, *p.mark_for_masquerade()], "from outside"))
    rules.append(([x.verdict(x.JUMP, "external")], ""))
    rules.append(([*_is_to_node(p, options), x.verdict(x.GOTO, "node-ports")], ""))
    return rules


def _entry_rules(p: Pieces, entry: Entry, shortcut: Entry) -> list[Rule]:
    rules: list[Rule] = []
    if p.knows_pods:
        from_pod = [*p.is_from_pod(), *p.aim(shortcut), *p.go_on()]
        rules.append((from_pod, "Pods are not bound by externalTrafficPolicy"))
    from_node = [*p.is_local(source=True), *p.aim(shortcut)]
    rules.append(([*from_node, x.verdict(x.GOTO, "masquerade-shortcut")], "nor is this node"))
    rules.append(([*p.aim(entry), *p.go_on()], ""))
    return rules


def _refuse_rules(p: Pieces, key: list[x.Expression], rejected: Set, dropped: Set) -> list[Rule]:
    return [
        ([*key, x.lookup(rejected.name, 0), x.verdict(x.GOTO, "refuse-now")], "no endpoints"),
        ([*key, x.lookup(dropped.name, 0), x.verdict(x.DROP)], "none on this node"),
    ]


def _postrouting_rules(p: Pieces) -> list[Rule]:
    marked = [x.load_mark(0), x.keep_bits(0, p.masquerade_mark), x.differs(0, bytes(4))]
    unmark = [x.load_mark(0), x.clear_bits(0, p.masquerade_mark), x.store_mark(0)]
    translated = [x.ct_status(0), x.keep_bits(0, x.CT_STATUS_DST_NAT), x.differs(0, bytes(4))]
    hairpin = [
        x.source_address(p.family, 0),
        x.destination_address(p.family, p.words),
        x.lookup(p.hairpins.name, 0),
    ]
    return [
        ([*marked, *unmark, x.masquerade()], ""),
        ([*translated, *hairpin, x.masquerade()], "a Pod that reached itself"),
    ]


def _firewall_rules(p: Pieces) -> list[Rule]:
    limited = [*p.frontend_key(), x.lookup(p.firewalled.name, 0)]
    return [
        ([*limited, x.verdict(x.JUMP, "allowed-sources")], "loadBalancerSourceRanges"),
        ([*limited, x.verdict(x.DROP)], ""),
    ]


def _is_to_node(p: Pieces, options: BackendOptions) -> list[x.Expression]:
    if p.family not in options.all_node_addresses:
        return p.is_to(p.node_port_ips)
    destination = x.destination_address(p.family, 0)
    loopback = (
        [x.bitwise(0, b"\xff\0\0\0", bytes(4)), x.differs(0, b"\x7f\0\0\0")]
        if p.family is Family.IPV4
        else [x.differs(0, bytes(15) + b"\x01")]
    )
    return [destination, *loopback, *p.is_local(source=False)]
