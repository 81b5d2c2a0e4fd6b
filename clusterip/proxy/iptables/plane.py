"""What one family's rules shall be, and how to get there from what was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from clusterip.proxy.iptables.claims import Claims, Frontend, rank
from clusterip.proxy.iptables.constant import node_port_rules
from clusterip.proxy.iptables.delta import Delta
from clusterip.proxy.iptables.environment import Environment, text_of
from clusterip.proxy.iptables.names import SERVICES
from clusterip.proxy.iptables.port import NAT, NO_RULES, Entry, PortRules, render
from clusterip.proxy.model import PortKey, PortState

_LARGE_CLUSTER_ENDPOINTS = 1000
"""With more endpoints, their rules have no comments: they would be half of all there is to write."""


class Written(NamedTuple):
    """What a Service port's rules in the kernel were made from."""

    state: PortState
    environment: Environment
    comments: bool

    @property
    def rules(self) -> PortRules:
        return render(self.state, self.environment, comments=self.comments)


class Plane:
    """Service ports, and which of them the kernel does not have as wanted.

    No rules are kept, only what they are made from: rules of all Services would take many times as much.
    """

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.wanted: dict[PortKey, PortState] = {}
        self.written: dict[PortKey, Written] = {}
        self.changed: set[PortKey] = set()
        self.last_rules: list[str] = []
        """The rules for node ports at the end of ``KUBE-SERVICES``, as written."""
        self.counts = Counter[str]()
        """How many rules of Service ports there are in each table."""
        self._endpoints = 0
        self._claims = Claims()

    @property
    def comments(self) -> bool:
        """Whether rules of endpoints have comments."""
        return self._endpoints <= _LARGE_CLUSTER_ENDPOINTS

    @property
    def has_changes(self) -> bool:
        return bool(self.changed) or self.last_rules != node_port_rules(self.environment)

    def set_port(self, key: PortKey, state: PortState | None) -> None:
        old = self.wanted.pop(key, None)
        self._endpoints += _endpoints(state) - _endpoints(old)
        self._claims.change(key, old, state)
        if state is not None:
            self.wanted[key] = state
        self.changed.add(key)

    def set_environment(self, environment: Environment) -> None:
        """Take other addresses of the node, or another option."""
        old, self.environment = self.environment, environment
        if old.node_ips != environment.node_ips:
            # Only source ranges depend on them.
            self.changed |= {key for key, state in self.wanted.items() if state.port.source_ranges}

    def wanted_now(self, key: PortKey) -> Written | None:
        """What a Service port's rules are to be made from; None if there are to be none."""
        state = self.wanted.get(key)
        return Written(state, self.environment, self.comments) if state is not None else None

    def describe(self, key: PortKey) -> Iterator[str]:
        """The rules written for a Service port, as ``iptables-save`` prints them, after their table."""
        rules = rules_of(self.written.get(key))
        for entry in rules.entries:
            yield f"-t {entry.table} -A {entry.chain} {entry.rule}"
        for chain, lines in rules.chains.items():
            for line in lines:
                yield f"-t {NAT} -A {chain} {line}"

    def take_changed(self) -> dict[PortKey, Written | None]:
        """The Service ports that the kernel does not have as wanted; those set from now on are for later."""
        taken = {key: self.wanted_now(key) for key in self.changed}
        self.changed.clear()
        return taken

    def take_all(self) -> dict[PortKey, Written]:
        """All Service ports; none counts as changed any more."""
        self.changed.clear()
        return {key: Written(state, self.environment, self.comments) for key, state in self.wanted.items()}

    def change(self, delta: Delta, key: PortKey, wanted: Written | None) -> None:
        """Add to ``delta`` what brings a Service port from what is written to what is wanted."""
        old, new = rules_of(self.written.get(key)), rules_of(wanted)
        delta.change(old, new)
        self.counts.subtract(old.by_table())
        self.counts.update(new.by_table())

    def settle(self, delta: Delta, ports: Mapping[PortKey, Written | None]) -> None:
        """Have the right one of several come first in ``KUBE-SERVICES``, for what these Service ports claim.

        ``delta`` writes these ports; of others that count which are written already.
        """
        known = {key: written for key, written in ports.items() if written is not None}
        for frontend, claimants in self._claims.contested(each.state for each in known.values()).items():
            found = [written for key in claimants if (written := known.get(key) or self.written.get(key))]
            found.sort(key=lambda each: rank(frontend, each.state), reverse=True)
            # What is put at the head last, is first: the best comes last. The worst stays where it is.
            delta.moved += [entry for each in found[1:] for entry in entries_for(each.rules, frontend)]

    def change_last_rules(self, delta: Delta) -> list[str]:
        """Add to ``delta`` the rules for node ports, if they are different now, and return them."""
        wanted = node_port_rules(self.environment)
        if wanted != self.last_rules:
            delta.removed += [Entry(NAT, SERVICES, rule) for rule in self.last_rules]
            delta.appended += [Entry(NAT, SERVICES, rule) for rule in wanted]
        return wanted

    def wrote(self, ports: Mapping[PortKey, Written | None]) -> None:
        """The kernel has these Service ports now."""
        for key, written in ports.items():
            if written is None:
                self.written.pop(key, None)
            else:
                self.written[key] = written


def rules_of(written: Written | None) -> PortRules:
    """The rules; none for None."""
    return written.rules if written is not None else NO_RULES


def entries_for(rules: PortRules, frontend: Frontend) -> Iterator[Entry]:
    """The entries in ``KUBE-SERVICES`` by which a frontend leads to a port's chains."""
    address = f"-d {text_of(frontend.address)}/"
    port = f" --dport {frontend.port} -j "
    for entry in rules.entries:
        if entry[:2] == (NAT, SERVICES) and entry.rule.startswith(address) and port in entry.rule:
            yield entry


def _endpoints(state: PortState | None) -> int:
    return len(state.choice.cluster) + len(state.choice.local) if state is not None else 0
