"""The constant part of the table: its sets and maps, its chains and their rules.

docs/proxy.md draws a packet's way through them. Nothing here depends on which Services exist; what
does are the elements (:mod:`.elements`) and the count chains (:mod:`.counts`).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from clusterip.kernel.nftables import (
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
from clusterip.kernel.nftables.batch import Element, Verdict
from clusterip.proxy.nftables.ranges import interval_elements

TABLE_NAME = "clusterip"
MASQUERADE_MARK = 0x4000  # kube-proxy's --iptables-masquerade-bit, 14
MASQUERADE_KIND = 1 << 21
"""The bit in the second half of a dispatch code that says "and masquerade": see ``counts.code``."""

REJECT_CODE = struct.pack("=II", 0, 1)
DROP_CODE = struct.pack("=II", 0, 2)

_AFFINITY_SIZE = 131_072
_TCP = bytes((6,))
_PRIORITY_FILTER, _PRIORITY_DNAT, _PRIORITY_SNAT = 0, -100, 100


@dataclass(frozen=True)
class LayoutOptions:
    """What of the proxy's configuration shapes the rules.

    ``pod_cidrs`` (of both families; may be empty) tell Pods from everybody else.
    ``all_node_addresses``: node ports answer on every local address but loopback ones, not only on
    those in the set ``node-port-ips``.
    """

    pod_cidrs: tuple[IPv4Network | IPv6Network, ...] = ()
    masquerade_all: bool = False
    all_node_addresses: bool = False


class Layout:
    """The table of one family."""

    def __init__(self, family: Family, options: LayoutOptions) -> None:
        address = IPV4_ADDR if family is Family.IPV4 else IPV6_ADDR
        frontend = (address, INET_PROTO, INET_SERVICE)
        backend = (address, INET_SERVICE)
        node_port = (INET_PROTO, INET_SERVICE)
        code = (MARK, MARK)
        self.family = family
        self.options = options
        self.words = address.length // 4
        """How many 32-bit registers an address takes."""
        # What to do with a connection to a virtual address, or to a node port.
        self.services = Set("services", frontend, code)
        self.node_ports = Set("node-ports", node_port, code)
        # The same for Pods and this node, where externalTrafficPolicy does not bind them.
        self.shortcuts = Set("shortcuts", frontend, code)
        self.node_port_shortcuts = Set("node-port-shortcuts", node_port, code)
        # Which ClusterIP and port stands for the endpoints of an external address or a node port.
        self.external_services = Set("external-services", frontend, frontend)
        self.node_port_services = Set("node-port-services", node_port, frontend)
        # (ClusterIP, protocol, port, slot) -> endpoint.
        self.endpoints = Set("endpoints", (*frontend, MARK), backend)
        self.local_endpoints = Set("local-endpoints", (*frontend, MARK), backend)
        # (ClusterIP, protocol, port, client) -> the endpoint it had; and which of those still count.
        self.affinity = Set(
            "affinity", (*frontend, address), backend, SetFlag.TIMEOUT | SetFlag.EVAL, size=_AFFINITY_SIZE
        )
        self.affine_endpoints = Set("affine-endpoints", (*frontend, *backend))
        self.affine_local_endpoints = Set("affine-local-endpoints", (*frontend, *backend))
        # Code -> count chain.
        self.dispatch = Set("dispatch", code, (VERDICT,))
        self.refusals = Set("refusals", code, (VERDICT,))
        self.cluster_ips = Set("cluster-ips", (address,))
        self.service_cidrs = Set("service-cidrs", (address,), flags=SetFlag.INTERVAL)
        self.pod_cidrs = Set("pod-cidrs", (address,), flags=SetFlag.INTERVAL)
        self.node_port_ips = Set("node-port-ips", (address,))
        # Addresses of this node's endpoints, twice: a Pod that reached itself.
        self.hairpins = Set("hairpins", (address, address))
        self.firewalled = Set("firewalled", frontend)
        self.allowed_sources = Set("allowed-sources", (*frontend, address), flags=SetFlag.INTERVAL)
        self.table = Table(family, TABLE_NAME, f"clusterip proxy, layout {self._digest()}")

    @property
    def changing_sets(self) -> tuple[Set, ...]:
        """The sets and maps whose elements follow Services and endpoints, all of plain values."""
        return (
            self.endpoints,
            self.local_endpoints,
            self.affine_endpoints,
            self.affine_local_endpoints,
            self.external_services,
            self.node_port_services,
            self.services,
            self.node_ports,
            self.shortcuts,
            self.node_port_shortcuts,
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

    def _digest(self) -> str:
        batch = Batch()
        self._create_contents(batch, Table(self.family, TABLE_NAME))
        contents = b"".join(payload for _, _, payload in batch.requests)
        return hashlib.sha256(contents).hexdigest()[:16]

    def _create_contents(self, batch: Batch, table: Table) -> None:
        for set_ in (
            *self.changing_sets,
            *self.range_sets,
            self.affinity,
            self.dispatch,
            self.refusals,
            self.pod_cidrs,
        ):
            batch.add_set(table, set_)
        own = [network for network in self.options.pod_cidrs if _family_of(network) is self.family]
        batch.add_ranges(table, self.pod_cidrs, interval_elements(own))
        for chain in _CHAINS:
            batch.add_chain(table, chain)
        refusals = [
            Element(REJECT_CODE, Verdict(x.GOTO, "reject")),
            Element(DROP_CODE, Verdict(x.DROP)),
        ]
        batch.add_ranges(table, self.refusals, refusals)
        for name, rules in self._rules(has_pod_cidrs=bool(own)).items():
            for expressions, comment in rules:
                batch.add_rule(table, name, expressions, comment)

    # Pieces of rules. Keys are built from register 0 on.

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

    def _to_local(self, *, source: bool) -> list[x.Expression]:
        return [x.fib_address_type(0, source=source), x.equals(0, struct.pack("=I", x.RTN_LOCAL))]

    def _new_connection(self) -> list[x.Expression]:
        return [x.ct_state(0), x.keep_bits(0, x.CT_STATE_NEW), x.differs(0, bytes(4))]

    def _from_pod(self, *, invert: bool = False) -> list[x.Expression]:
        return [x.source_address(self.family, 0), x.lookup(self.pod_cidrs.name, 0, invert=invert)]

    def _to_node(self) -> list[x.Expression]:
        destination = x.destination_address(self.family, 0)
        if not self.options.all_node_addresses:
            return [destination, x.lookup(self.node_port_ips.name, 0)]
        loopback = (
            [destination, x.bitwise(0, b"\xff\0\0\0", bytes(4)), x.differs(0, b"\x7f\0\0\0")]
            if self.family is Family.IPV4
            else [destination, x.differs(0, bytes(15) + b"\x01")]
        )
        return [*loopback, *self._to_local(source=False)]

    def _dispatch(self, key: list[x.Expression], map_: Set, verdicts: Set) -> list[x.Expression]:
        return [*key, x.lookup_value(map_.name, 0, 0), x.lookup_verdict(verdicts.name, 0)]

    def _dispatch_masqueraded(self, key: list[x.Expression], map_: Set) -> list[x.Expression]:
        return [
            *key,
            x.lookup_value(map_.name, 0, 0),
            x.set_bits(1, MASQUERADE_KIND),
            x.lookup_verdict(self.dispatch.name, 0),
        ]

    def _rules(self, *, has_pod_cidrs: bool) -> dict[str, list[_Rule]]:
        to_services = [(([x.verdict(x.JUMP, "services")]), "")]
        new = self._new_connection()
        return {
            "nat-prerouting": to_services,
            "nat-output": to_services,
            "services": self._service_rules(has_pod_cidrs),
            "node-ports": self._entry_rules(
                self.node_port_key(), self.node_ports, self.node_port_shortcuts, has_pod_cidrs
            ),
            "nat-postrouting": self._postrouting_rules(),
            "firewall-prerouting": [([*new, x.verdict(x.JUMP, "firewall")], "")],
            "firewall-output": [([*new, x.verdict(x.JUMP, "firewall")], "")],
            "firewall": self._firewall_rules(),
            "filter-input": [
                ([*new, x.verdict(x.JUMP, "refuse")], ""),
                ([*new, *self._to_node(), x.verdict(x.JUMP, "refuse-node-ports")], ""),
            ],
            "filter-forward": [([*new, x.verdict(x.JUMP, "refuse-cluster-ips")], "")],
            "filter-output": [([*new, x.verdict(x.JUMP, "refuse-cluster-ips")], "")],
            "refuse": [(self._dispatch(self.frontend_key(), self.services, self.refusals), "")],
            "refuse-node-ports": [(self._dispatch(self.node_port_key(), self.node_ports, self.refusals), "")],
            "refuse-cluster-ips": self._unknown_port_rules(),
            "reject": [
                ([x.layer4_protocol(0), x.equals(0, _TCP), x.reject_with_reset()], ""),
                ([x.reject_unreachable(self.family)], ""),
            ],
        }

    def _service_rules(self, has_pod_cidrs: bool) -> list[_Rule]:
        to_cluster_ip = [x.destination_address(self.family, 0), x.lookup(self.cluster_ips.name, 0)]
        rules: list[_Rule] = []
        if self.options.masquerade_all:
            rules.append(([*to_cluster_ip, *self.mark_for_masquerade()], "masquerade all"))
        elif has_pod_cidrs:
            outside = self._from_pod(invert=True)
            rules.append(
                ([*to_cluster_ip, *outside, *self.mark_for_masquerade()], "masquerade from outside the cluster")
            )
        rules += self._entry_rules(self.frontend_key(), self.services, self.shortcuts, has_pod_cidrs)
        rules.append(([*self._to_node(), x.verdict(x.GOTO, "node-ports")], ""))
        return rules

    def _entry_rules(
        self, key: list[x.Expression], entries: Set, shortcuts: Set, has_pod_cidrs: bool
    ) -> list[_Rule]:
        rules: list[_Rule] = []
        if has_pod_cidrs:
            from_pod = self._dispatch(key, shortcuts, self.dispatch)
            rules.append(([*self._from_pod(), *from_pod], "Pods pass by externalTrafficPolicy"))
        from_node = self._dispatch_masqueraded(key, shortcuts)
        rules.append(([*self._to_local(source=True), *from_node], "so does this node"))
        rules.append((self._dispatch(key, entries, self.dispatch), ""))
        return rules

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
        return [
            (
                [*self.frontend_key(), source, x.lookup(self.allowed_sources.name, 0), x.verdict(x.ACCEPT)],
                "loadBalancerSourceRanges",
            ),
            ([*self.frontend_key(), x.lookup(self.firewalled.name, 0), x.verdict(x.DROP)], ""),
        ]

    def _unknown_port_rules(self) -> list[_Rule]:
        destination = x.destination_address(self.family, 0)
        return [
            (self._dispatch(self.frontend_key(), self.services, self.refusals), ""),
            (
                [destination, x.lookup(self.cluster_ips.name, 0), x.verdict(x.GOTO, "reject")],
                "ports that a Service does not have",
            ),
            (
                [destination, x.lookup(self.service_cidrs.name, 0), x.verdict(x.DROP)],
                "addresses that no Service has",
            ),
        ]


_Rule = tuple[Sequence[x.Expression], str]

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
    Chain("node-ports"),
    Chain("firewall"),
    Chain("refuse"),
    Chain("refuse-node-ports"),
    Chain("refuse-cluster-ips"),
    Chain("reject"),
)


def _family_of(network: IPv4Network | IPv6Network) -> Family:
    return Family.IPV4 if network.version == 4 else Family.IPV6
