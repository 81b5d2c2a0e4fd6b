"""The rules of one Service port. Upstream: ``syncProxyRules`` in ``pkg/proxy/iptables/proxier.go``.

How a connection goes::

    KUBE-SERVICES ──ClusterIP──────────────────► KUBE-SVC-* ──► KUBE-SEP-* ──► DNAT
       │  (internal policy Local: ─────────────► KUBE-SVL-*) ──► KUBE-SEP-*
       ├──external IP, load balancer──► KUBE-EXT-* ──► KUBE-SVC-* or KUBE-SVL-*
       │     (with source ranges: KUBE-FW-* before)
       └──node port: KUBE-NODEPORTS ──► KUBE-EXT-*
"""

from __future__ import annotations

import ipaddress
import socket
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from clusterip.kernel.nftables import Family
from clusterip.proxy.iptables import names
from clusterip.proxy.iptables.environment import LOCALHOST_ACCEPTED, Environment, count_in, text_of
from clusterip.proxy.iptables.rule import comment, probability, rule
from clusterip.proxy.model import Address, Destination, Network, PortState

NAT = "nat"
FILTER = "filter"

_PROTOCOLS = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp", socket.IPPROTO_SCTP: "sctp"}


class Entry(NamedTuple):
    """A rule in a chain that all Services share."""

    table: str
    chain: str
    rule: str


class PortRules(NamedTuple):
    """``entries`` lead to ``chains``, which are in the table ``nat`` and belong to this port alone."""

    entries: tuple[Entry, ...] = ()
    chains: dict[str, tuple[str, ...]] = {}

    def by_table(self) -> Counter[str]:
        """How many rules there are in each table."""
        counted = Counter(entry.table for entry in self.entries)
        counted[NAT] += sum(map(len, self.chains.values()))
        return counted


NO_RULES = PortRules()


def render(state: PortState, environment: Environment, *, comments: bool = True) -> PortRules:
    """The rules for a Service port. ``comments``: also on endpoints, which large clusters do without."""
    return _Port(state, environment, comments).render()


class _Port:
    def __init__(self, state: PortState, environment: Environment, comments: bool) -> None:
        port, choice, _ = state
        self.port = port
        self.env = environment
        self.name = str(port.key)
        self.protocol = _PROTOCOLS[port.key.protocol]
        self.comments = comments
        self.cluster = _sorted(choice.cluster) if port.uses_cluster else []
        self.local = _sorted(choice.local) if port.uses_local else []
        self.exist = choice.exist
        suffix = names.digest(self.name, self.protocol)
        self.cluster_chain = names.CLUSTER + suffix
        self.local_chain = names.LOCAL + suffix
        self.external_chain = names.EXTERNAL + suffix
        self.ranges_chain = names.SOURCE_RANGES + suffix
        self.internal_exist = bool(self.local) if port.internal_local else choice.exist
        self.external_exist = bool(self.local) if port.external_local else choice.exist
        self.has_ranges = bool(choice.exist and port.load_balancer_ips and port.source_ranges)

    def render(self) -> PortRules:
        entries = [*self._cluster_ip(), *self._external_ips(), *self._load_balancer(), *self._node_port()]
        if self.port.health_check_port:
            entries.append(
                Entry(
                    FILTER,
                    names.NODE_PORTS,
                    self._to(
                        "tcp",
                        "",
                        self.port.health_check_port,
                        f"{self.name} health check node port",
                        "ACCEPT",
                    ),
                )
            )
        return PortRules(tuple(entries), {chain: tuple(rules) for chain, rules in self._chains()})

    # What all Services share.

    def _cluster_ip(self) -> Iterator[Entry]:
        port = self.port
        chain = self.local_chain if port.internal_local else self.cluster_chain
        if self.internal_exist:
            yield self._portal("cluster IP", port.cluster_ip, chain)
        else:
            yield Entry(FILTER, names.SERVICES, self._no_answer(port.cluster_ip))

    def _external_ips(self) -> Iterator[Entry]:
        for address in self.port.external_ips:
            if self.exist:
                yield self._portal("external IP", address, self.external_chain)
            if not self.external_exist:
                yield Entry(FILTER, names.EXTERNAL_SERVICES, self._no_answer(address))

    def _load_balancer(self) -> Iterator[Entry]:
        for address in self.port.load_balancer_ips:
            if self.exist:
                chain = self.ranges_chain if self.has_ranges else self.external_chain
                yield self._portal("loadbalancer IP", address, chain)
            if self.has_ranges:
                why = f"{self.name} traffic not accepted by {self.ranges_chain}"
                drop = self._to(self.protocol, self.env.show(address), self.port.port, why, "DROP")
                yield Entry(FILTER, names.FIREWALL, drop)
            if not self.external_exist:
                yield Entry(FILTER, names.EXTERNAL_SERVICES, self._no_answer(address))

    def _node_port(self) -> Iterator[Entry]:
        number = self.port.node_port
        if not number:
            return
        if self.exist:
            if (
                self.env.localhost_node_ports
                and LOCALHOST_ACCEPTED in self.env.counters
                and self.env.family is Family.IPV4
            ):
                counted = rule(
                    destination="127.0.0.0/8",
                    protocol=self.protocol,
                    matches=f"{comment(self.name)} -m {self.protocol} --dport {number}"
                    f" {count_in(LOCALHOST_ACCEPTED)}",
                    target=self.external_chain,
                )
                yield Entry(NAT, names.NODE_PORTS, counted)
            yield Entry(
                NAT, names.NODE_PORTS, self._to(self.protocol, "", number, self.name, self.external_chain)
            )
        if not self.external_exist:
            why, target = self._refusal()
            refuse = rule(
                protocol=self.protocol,
                matches=f"{comment(why)} -m addrtype --dst-type LOCAL -m {self.protocol} --dport {number}",
                target=target,
            )
            yield Entry(FILTER, names.EXTERNAL_SERVICES, refuse)

    def _portal(self, kind: str, address: Address, chain: str) -> Entry:
        what = f"{self.name} {kind}"
        return Entry(
            NAT, names.SERVICES, self._to(self.protocol, self.env.show(address), self.port.port, what, chain)
        )

    def _no_answer(self, address: Address) -> str:
        why, target = self._refusal()
        return self._to(self.protocol, self.env.show(address), self.port.port, why, target)

    def _refusal(self) -> tuple[str, str]:
        """With no endpoints anywhere connections are refused; where only this node has none, dropped."""
        if self.exist:
            return f"{self.name} has no local endpoints", "DROP"
        return f"{self.name} has no endpoints", self.env.reject

    @staticmethod
    def _to(protocol: str, destination: str, port: int, why: str, target: str) -> str:
        return rule(
            destination=destination,
            protocol=protocol,
            matches=f"{comment(why)} -m {protocol} --dport {port}",
            target=target,
        )

    # What is this port's alone.

    def _chains(self) -> Iterator[tuple[str, list[str]]]:
        if self.exist and self.port.is_external:
            yield self.external_chain, list(self._external())
        if self.has_ranges:
            yield self.ranges_chain, list(self._ranges())
        # Masquerading for the ClusterIP stands first in the chain that it leads to.
        internal = list(self._masquerade()) if self.internal_exist else []
        if self.cluster:
            mine = [] if self.port.internal_local else internal
            yield self.cluster_chain, [*mine, *self._spread(self.cluster)]
        if self.local:
            mine = internal if self.port.internal_local else []
            yield self.local_chain, [*mine, *self._spread(self.local)]
        for destination in dict.fromkeys((*self.cluster, *self.local)):
            yield self._endpoint_chain(destination), list(self._endpoint(destination))

    def _masquerade(self) -> Iterator[str]:
        destination = self.env.show(self.port.cluster_ip)
        matches = f"{comment(f'{self.name} cluster IP')} -m {self.protocol} --dport {self.port.port}"
        if self.env.masquerade_all:
            yield rule(
                destination=destination, protocol=self.protocol, matches=matches, target=names.MARK_MASQUERADE
            )
        elif self.env.knows_pods:
            yield self.env.pod_rule(
                invert=True,
                destination=destination,
                protocol=self.protocol,
                matches=matches,
                target=names.MARK_MASQUERADE,
            )

    def _external(self) -> Iterator[str]:
        what = f"{self.name} external destinations"
        if not self.port.external_local:
            # The endpoint may be on another node: its answer must come back through this one.
            yield rule(matches=comment(f"masquerade traffic for {what}"), target=names.MARK_MASQUERADE)
        else:
            # Pods and the node itself are not bound by the policy, as if they went out and came back in.
            if self.env.knows_pods:
                yield self.env.pod_rule(matches=comment(f"pod traffic for {what}"), target=self.cluster_chain)
            local = "-m addrtype --src-type LOCAL"
            yield rule(
                matches=f"{comment(f'masquerade LOCAL traffic for {what}')} {local}",
                target=names.MARK_MASQUERADE,
            )
            yield rule(
                matches=f"{comment(f'route LOCAL traffic for {what}')} {local}", target=self.cluster_chain
            )
        if self.external_exist:
            yield rule(target=self.local_chain if self.port.external_local else self.cluster_chain)

    def _ranges(self) -> Iterator[str]:
        why = comment(f"{self.name} loadbalancer IP")
        node_allowed = False
        for network in self.port.source_ranges:
            yield rule(source=f"-s {network}", matches=why, target=self.external_chain)
            node_allowed = node_allowed or any(_contains(network, ip) for ip in self.env.node_ips)
        if node_allowed:
            # The balancer's address may be one of this node's, which then is what its packets come from.
            for address in self.port.load_balancer_ips:
                yield rule(source=f"-s {self.env.show(address)}", matches=why, target=self.external_chain)
        yield rule(matches=comment(f"other traffic to {self.name} will be dropped by {names.FIREWALL}"))

    def _spread(self, destinations: list[Destination]) -> Iterator[str]:
        if self.port.affinity_seconds:
            for destination in destinations:
                chain = self._endpoint_chain(destination)
                recent = (
                    f"-m recent --rcheck --seconds {self.port.affinity_seconds} --reap --name {chain}"
                    f" --mask {self._whole} --rsource"
                )
                yield rule(matches=self._why(f"{self.name} -> {_show(destination)}", recent), target=chain)
        left = len(destinations)
        for destination in destinations:
            # Each takes its share of what those before it have left over; the last takes the rest.
            share = probability(left) if left > 1 else ""
            yield rule(
                matches=self._why(f"{self.name} -> {_show(destination)}", share),
                target=self._endpoint_chain(destination),
            )
            left -= 1

    def _endpoint(self, destination: Destination) -> Iterator[str]:
        # A Pod that reaches itself would not know its own address as its client's.
        yield rule(
            source=f"-s {self.env.show(destination[:-4])}",
            matches=self._why(self.name),
            target=names.MARK_MASQUERADE,
        )
        recent = ""
        if self.port.affinity_seconds:
            chain = self._endpoint_chain(destination)
            recent = f"-m recent --set --name {chain} --mask {self._whole} --rsource"
        matches = " ".join(filter(None, (self._why(self.name, recent), f"-m {self.protocol}")))
        yield rule(
            protocol=self.protocol, matches=matches, target=f"DNAT --to-destination {_show(destination)}"
        )

    def _why(self, text: str, match: str = "") -> str:
        return " ".join(filter(None, (comment(text) if self.comments else "", match)))

    def _endpoint_chain(self, destination: Destination) -> str:
        return names.ENDPOINT + names.digest(self.name, self.protocol, _show(destination))

    @property
    def _whole(self) -> str:
        """The mask by which ``recent`` tells clients: all of the address."""
        if self.env.family is Family.IPV4:
            return "255.255.255.255"
        return ":".join(["ffff"] * 8)


def _sorted(destinations: tuple[Destination, ...]) -> list[Destination]:
    """In upstream's order, so that a change elsewhere does not reorder a chain."""
    return sorted(destinations, key=_show)


def _show(destination: Destination) -> str:
    address = text_of(destination[:-4])
    port = int.from_bytes(destination[-4:-2], "big")
    return f"[{address}]:{port}" if len(destination) > 8 else f"{address}:{port}"


def _contains(network: Network, address: Address) -> bool:

    return ipaddress.ip_address(address) in network
