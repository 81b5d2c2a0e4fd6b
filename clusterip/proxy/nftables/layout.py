"""The constant part of the table: its sets and maps, its chains and their rules.

docs/proxy.md draws a packet's way through them. Nothing here depends on which Services exist; what
does are the elements (:mod:`.elements`) and the count chains (:mod:`.counts`).
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from enum import Enum

from clusterip.kernel.nftables import (
    CLASSID,
    INET_PROTO,
    INET_SERVICE,
    IPV4_ADDR,
    IPV6_ADDR,
    MARK,
    VERDICT,
    Batch,
    Chain,
    Family,
    Hook,
    Set,
    SetFlag,
    Table,
)
from clusterip.kernel.nftables import expressions as x
from clusterip.proxy.model import Network
from clusterip.proxy.nftables import target
from clusterip.proxy.nftables.ranges import interval_elements

TABLE_NAME = "clusterip"
MASQUERADE_MARK = 0x4000  # kube-proxy's --iptables-masquerade-bit, 14

_AFFINITY_SIZE = 131_072
_TCP = bytes((6,))
_PRIORITY_FILTER, _PRIORITY_DNAT, _PRIORITY_SNAT = 0, -100, 100


class Entry(Enum):
    """The maps through which connections enter. The value is the map's name.

    Shortcuts are for Pods and this node, whom ``externalTrafficPolicy: Local`` does not bind.
    """

    SERVICES = "services"
    NODE_PORTS = "node-ports"
    SHORTCUTS = "shortcuts"
    NODE_PORT_SHORTCUTS = "node-port-shortcuts"

    @property
    def is_node_port(self) -> bool:
        return self in (Entry.NODE_PORTS, Entry.NODE_PORT_SHORTCUTS)


@dataclass(frozen=True)
class LayoutOptions:
    """What of the proxy's configuration shapes the rules.

    ``pod_cidrs`` (of both families; may be empty) tell Pods from everybody else.
    ``all_node_addresses``: the families in which node ports answer on every local address but loopback
    ones, not only on those in the set ``node-port-ips``.
    """

    pod_cidrs: tuple[Network, ...] = ()
    masquerade_all: bool = False
    all_node_addresses: frozenset[Family] = frozenset()


class Layout:
    """The table of one family."""

    def __init__(self, family: Family, options: LayoutOptions) -> None:
        address = IPV4_ADDR if family is Family.IPV4 else IPV6_ADDR
        frontend = (address, INET_PROTO, INET_SERVICE)
        node_port = (INET_PROTO, INET_SERVICE)
        self.family = family
        self.options = options
        self.words = address.length // 4
        """How many 32-bit registers an address takes."""
        # Where connections enter: virtual address or node port -> target.
        self.entries = {
            entry: Set(entry.value, node_port if entry.is_node_port else frontend, (CLASSID,))
            for entry in Entry
        }
        # Where no endpoint can take them.
        self.rejected = Set("rejected", frontend)
        self.dropped = Set("dropped", frontend)
        self.rejected_node_ports = Set("rejected-node-ports", node_port)
        self.dropped_node_ports = Set("dropped-node-ports", node_port)
        # (group, slot) -> endpoint.
        self.endpoints = Set("endpoints", (CLASSID, MARK), (address, INET_SERVICE))
        # With session affinity: (group, slot) -> handle -> endpoint; (address, client) -> handle.
        self.choices = Set("choices", (CLASSID, MARK), (CLASSID,))
        self.handles = Set("handles", (CLASSID,), (address, INET_SERVICE))
        self.affinity = Set(
            "affinity", (*frontend, address), (CLASSID,), SetFlag.TIMEOUT | SetFlag.EVAL, size=_AFFINITY_SIZE
        )
        # Target -> count chain.
        self.dispatch = Set("dispatch", (CLASSID,), (VERDICT,))
        self.cluster_ips = Set("cluster-ips", (address,))
        self.service_cidrs = Set("service-cidrs", (address,), flags=SetFlag.INTERVAL)
        self.pod_cidrs = Set("pod-cidrs", (address,), flags=SetFlag.INTERVAL)
        self.node_port_ips = Set("node-port-ips", (address,))
        # Addresses of this node's endpoints, twice: a Pod that reached itself.
        self.hairpins = Set("hairpins", (address, address))
        # loadBalancerSourceRanges.
        self.firewalled = Set("firewalled", frontend)
        self.allowed_sources = Set("allowed-sources", (*frontend, address), flags=SetFlag.INTERVAL)
        self.table = Table(family, TABLE_NAME, f"clusterip proxy, layout {self._digest()}")

    @property
    def changing_sets(self) -> tuple[Set, ...]:
        """The sets and maps whose elements follow Services and endpoints, all of plain values.

        In an order in which a map comes after those that its values point into.
        """
        return (
            self.endpoints,
            self.handles,
            self.choices,
            *self.entries.values(),
            self.rejected,
            self.dropped,
            self.rejected_node_ports,
            self.dropped_node_ports,
            self.cluster_ips,
            self.hairpins,
            self.firewalled,
            self.node_port_ips,
        )

    @property
    def range_sets(self) -> tuple[Set, ...]:
        """The sets of ranges that follow Services and service CIDRs."""
        return (self.allowed_sources, self.service_cidrs)

    def create(self, batch: Batch) -> None:
        """Add the table and everything constant in it to a batch."""
        batch.add_table(self.table)
        self._create_contents(batch, self.table)

    def rules_per_chain(self) -> dict[str, int]:
        """How many rules each constant chain has."""
        return {name: len(rules) for name, rules in self._all_rules().items()}

    def _digest(self) -> str:
        batch = Batch()
        self._create_contents(batch, Table(self.family, TABLE_NAME))
        contents = b"".join(payload for _, _, payload in batch.requests)
        return hashlib.sha256(contents).hexdigest()[:16]

    def _create_contents(self, batch: Batch, table: Table) -> None:
        constant = (self.affinity, self.dispatch, self.pod_cidrs)
        for set_ in (*self.changing_sets, *self.range_sets, *constant):
            batch.add_set(table, set_)
        batch.add_ranges(table, self.pod_cidrs, interval_elements(self._own_pod_cidrs()))
        for chain in _CHAINS:
            batch.add_chain(table, chain)
        for name, rules in self._all_rules().items():
            for expressions, comment in rules:
                batch.add_rule(table, name, expressions, comment)

    def _own_pod_cidrs(self) -> list[Network]:
        return [network for network in self.options.pod_cidrs if family_of(network) is self.family]

    def _all_rules(self) -> dict[str, list[_Rule]]:
        return self._rules(has_pod_cidrs=bool(self._own_pod_cidrs()))

    # Pieces of rules. Keys are built from register 0 on.

    def entry_map(self, entry: Entry) -> Set:
        return self.entries[entry]

    def entry_key(self, entry: Entry) -> list[x.Expression]:
        """Load what the map of that entry is searched for."""
        return self.node_port_key() if entry.is_node_port else self.frontend_key()

    def frontend_key(self) -> list[x.Expression]:
        """Load destination address, protocol and port."""
        return [
            x.destination_address(self.family, 0),
            x.layer4_protocol(self.words),
            x.destination_port(self.words + 1),
        ]

    def node_port_key(self) -> list[x.Expression]:
        """Load protocol and port."""
        return [x.layer4_protocol(0), x.destination_port(1)]

    def mark_for_masquerade(self) -> list[x.Expression]:
        return [x.load_mark(0), x.set_bits(0, MASQUERADE_MARK), x.store_mark(0)]

    def _is_local(self, *, source: bool) -> list[x.Expression]:
        return [x.fib_address_type(0, source=source), x.equals(0, struct.pack("=I", x.RTN_LOCAL))]

    def _is_new(self) -> list[x.Expression]:
        return [x.ct_state(0), x.keep_bits(0, x.CT_STATE_NEW), x.differs(0, bytes(4))]

    def _is_from_pod(self, *, invert: bool = False) -> list[x.Expression]:
        return [x.source_address(self.family, 0), x.lookup(self.pod_cidrs.name, 0, invert=invert)]

    def _is_to(self, addresses: Set) -> list[x.Expression]:
        return [x.destination_address(self.family, 0), x.lookup(addresses.name, 0)]

    def _is_to_node(self) -> list[x.Expression]:
        if self.family not in self.options.all_node_addresses:
            return self._is_to(self.node_port_ips)
        destination = x.destination_address(self.family, 0)
        loopback = (
            [x.bitwise(0, b"\xff\0\0\0", bytes(4)), x.differs(0, b"\x7f\0\0\0")]
            if self.family is Family.IPV4
            else [x.differs(0, bytes(15) + b"\x01")]
        )
        return [destination, *loopback, *self._is_local(source=False)]

    def _aim(self, entry: Entry) -> list[x.Expression]:
        """Store the target that an entry map has for the packet."""
        return [
            *self.entry_key(entry),
            x.lookup_value(self.entries[entry].name, 0, 0),
            x.store_priority(0),
        ]

    def _dispatch(self) -> list[x.Expression]:
        """Go to the count chain that the packet's target names."""
        return [
            x.load_priority(0),
            x.keep_bits(0, target.CHAIN_MASK),
            x.lookup_verdict(self.dispatch.name, 0),
        ]

    def _rules(self, *, has_pod_cidrs: bool) -> dict[str, list[_Rule]]:
        to_services = [(([x.verdict(x.JUMP, "services")]), "")]
        new = self._is_new()
        to_firewall = [([*new, x.verdict(x.JUMP, "firewall")], "")]
        to_cluster_ips = [
            ([*new, x.verdict(x.JUMP, "refuse")], ""),
            ([*new, x.verdict(x.JUMP, "unknown")], ""),
        ]
        return {
            "firewall-prerouting": to_firewall,
            "firewall-output": to_firewall,
            "nat-prerouting": to_services,
            "nat-output": to_services,
            "nat-postrouting": self._postrouting_rules(),
            "filter-input": [
                ([*new, x.verdict(x.JUMP, "refuse")], ""),
                ([*new, *self._is_to_node(), x.verdict(x.JUMP, "refuse-node-ports")], ""),
            ],
            "filter-forward": to_cluster_ips,
            "filter-output": to_cluster_ips,
            "services": self._service_rules(has_pod_cidrs),
            "external": self._entry_rules(Entry.SERVICES, Entry.SHORTCUTS, has_pod_cidrs),
            "node-ports": self._entry_rules(Entry.NODE_PORTS, Entry.NODE_PORT_SHORTCUTS, has_pod_cidrs),
            "masquerade-shortcut": [
                ([x.load_priority(0), x.set_bits(0, target.MASQUERADE), x.store_priority(0)], ""),
                (self._dispatch(), ""),
            ],
            "firewall": self._firewall_rules(),
            "refuse": self._refuse_rules(self.frontend_key(), self.rejected, self.dropped),
            "refuse-node-ports": self._refuse_rules(
                self.node_port_key(), self.rejected_node_ports, self.dropped_node_ports
            ),
            "unknown": [
                ([*self._is_to(self.cluster_ips), x.verdict(x.GOTO, "refuse-now")], "ports no Service has"),
                ([*self._is_to(self.service_cidrs), x.verdict(x.DROP)], "addresses no Service has"),
            ],
            "refuse-now": [
                ([x.layer4_protocol(0), x.equals(0, _TCP), x.reject_with_reset()], ""),
                ([x.reject_unreachable(self.family)], ""),
            ],
        }

    def _service_rules(self, has_pod_cidrs: bool) -> list[_Rule]:
        to_cluster_ip = self._is_to(self.cluster_ips)
        rules: list[_Rule] = []
        if self.options.masquerade_all:
            rules.append(([*to_cluster_ip, *self.mark_for_masquerade()], "masquerade all"))
        elif has_pod_cidrs:
            from_outside = self._is_from_pod(invert=True)
            rules.append(([*to_cluster_ip, *from_outside, *self.mark_for_masquerade()], "from outside"))
        rules.append(([x.verdict(x.JUMP, "external")], ""))
        rules.append(([*self._is_to_node(), x.verdict(x.GOTO, "node-ports")], ""))
        return rules

    def _entry_rules(self, entry: Entry, shortcut: Entry, has_pod_cidrs: bool) -> list[_Rule]:
        rules: list[_Rule] = []
        if has_pod_cidrs:
            from_pod = [*self._is_from_pod(), *self._aim(shortcut), *self._dispatch()]
            rules.append((from_pod, "Pods are not bound by externalTrafficPolicy"))
        from_node = [*self._is_local(source=True), *self._aim(shortcut)]
        rules.append(([*from_node, x.verdict(x.GOTO, "masquerade-shortcut")], "nor is this node"))
        rules.append(([*self._aim(entry), *self._dispatch()], ""))
        return rules

    def _refuse_rules(self, key: list[x.Expression], rejected: Set, dropped: Set) -> list[_Rule]:
        return [
            ([*key, x.lookup(rejected.name, 0), x.verdict(x.GOTO, "refuse-now")], "no endpoints"),
            ([*key, x.lookup(dropped.name, 0), x.verdict(x.DROP)], "none on this node"),
        ]

    def _postrouting_rules(self) -> list[_Rule]:
        marked = [x.load_mark(0), x.keep_bits(0, MASQUERADE_MARK), x.differs(0, bytes(4))]
        unmark = [x.load_mark(0), x.clear_bits(0, MASQUERADE_MARK), x.store_mark(0)]
        translated = [x.ct_status(0), x.keep_bits(0, x.CT_STATUS_DST_NAT), x.differs(0, bytes(4))]
        hairpin = [
            x.source_address(self.family, 0),
            x.destination_address(self.family, self.words),
            x.lookup(self.hairpins.name, 0),
        ]
        return [
            ([*marked, *unmark, x.masquerade()], ""),
            ([*translated, *hairpin, x.masquerade()], "a Pod that reached itself"),
        ]

    def _firewall_rules(self) -> list[_Rule]:
        source = x.source_address(self.family, self.words + 2)
        allowed = [*self.frontend_key(), source, x.lookup(self.allowed_sources.name, 0), x.verdict(x.ACCEPT)]
        others = [*self.frontend_key(), x.lookup(self.firewalled.name, 0), x.verdict(x.DROP)]
        return [(allowed, "loadBalancerSourceRanges"), (others, "")]


_Rule = tuple[list[x.Expression], str]

_CHAINS = (
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
    Chain("refuse"),
    Chain("refuse-node-ports"),
    Chain("unknown"),
    Chain("refuse-now"),
)


def family_of(network: Network) -> Family:
    return Family.IPV4 if network.version == 4 else Family.IPV6
