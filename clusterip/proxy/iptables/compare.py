"""What the kernel has against what is wanted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from clusterip.kernel.iptables import Rules
from clusterip.proxy.iptables import names
from clusterip.proxy.iptables.constant import (
    JUMPS,
    KUBELET_JUMPS,
    MARKS,
    SHARED,
    Place,
    constant_chains,
    node_port_rules,
)
from clusterip.proxy.iptables.delta import Delta
from clusterip.proxy.iptables.environment import Environment
from clusterip.proxy.iptables.plane import Written
from clusterip.proxy.iptables.port import NAT, Entry

Found = dict[str, Rules]
"""Tables as read, by name."""

_PROTOCOL_MATCH = re.compile(r"-m (?:tcp|udp|sctp) (?=-j DNAT)")
_PORTALS = Place(NAT, names.SERVICES)


def normal(rule: str) -> str:
    """A rule in the form that all versions of iptables agree on."""
    # A match for a protocol that asks for nothing is not printed by those that write nftables' own matches.
    return _PROTOCOL_MATCH.sub("", rule)


def same(found: Sequence[str] | None, wanted: Sequence[str]) -> bool:
    """Whether a chain's rules are these."""
    if found is None or len(found) != len(wanted):
        return False
    return all(have == want or normal(have) == normal(want) for have, want in zip(found, wanted, strict=True))


class Comparison:
    """The steps from what was found to what is wanted; to be written one after the other."""

    def __init__(self, found: Found, environment: Environment) -> None:
        self._found = found
        self._environment = environment
        self.last_rules = node_port_rules(environment)
        self.counts = Counter[str]()
        """How many rules of Service ports there are to be in each table."""
        self._chains: set[str] = set()
        self._entries: dict[Place, Counter[str]] = {shared: Counter() for shared in SHARED}
        self._have = {shared: Counter(map(normal, self._rules(shared) or ())) for shared in SHARED}

    def _rules(self, place: Place) -> list[str] | None:
        return self._found.get(place.table, {}).get(place.chain)

    def frame(self) -> Delta:
        """What does not depend on Services: chains, and what leads to them."""
        delta = Delta()
        for place, rules in constant_chains(self._environment).items():
            if not same(self._rules(place), rules):
                delta.chains[place] = rules
        firewall = Place("filter", names.KUBELET_FIREWALL)
        for place in (*SHARED, *MARKS, firewall):
            if self._rules(place) is None and place not in delta.chains:
                delta.chains[place] = ()
        for jump in (*JUMPS, *KUBELET_JUMPS):
            if jump.rule not in (self._rules(Place(jump.table, jump.chain)) or ()):
                delta.jumps.append(Entry(*jump))
        return delta

    def port(self, delta: Delta, written: Written) -> Written:
        """Add what a Service port lacks. What it then will have been made from is returned."""
        rules = written.rules
        if any(not self._has(chain, wanted) for chain, wanted in rules.chains.items()):
            # What an earlier process wrote while the cluster was smaller, or larger, is as good.
            other = written._replace(comments=not written.comments)
            alternative = other.rules
            if all(self._has(chain, wanted) for chain, wanted in alternative.chains.items()):
                written, rules = other, alternative
        self.counts.update(rules.by_table())
        for chain, wanted in rules.chains.items():
            self._chains.add(chain)
            if not self._has(chain, wanted):
                delta.chains[Place(NAT, chain)] = wanted
        for entry in rules.entries:
            place = Place(entry.table, entry.chain)
            text = normal(entry.rule)
            self._entries[place][text] += 1
            if not self._have[place][text]:
                delta.added.append(entry)
        return written

    def _has(self, chain: str, wanted: Sequence[str]) -> bool:
        return same(self._rules(Place(NAT, chain)), wanted)

    def rest(self) -> Delta:
        """What is there and not wanted, to be removed after all else; and the rules that come last."""
        delta = Delta()
        last = self.last_rules
        for place in SHARED:
            extra = self._extra(place, last)
            delta.removed += [Entry(*place, rule) for rule in extra]
        if not self._ends_with(last):
            delta.appended += [Entry(*_PORTALS, rule) for rule in last]
        stale = [
            chain
            for chain in self._found.get(NAT, {})
            if chain.startswith(names.PER_SERVICE) and chain not in self._chains
        ]
        delta.dropped |= {Place(NAT, chain) for chain in stale}
        return delta

    def keep(self, written: Written) -> None:
        """Leave alone what there is of a Service port, whatever it is."""
        self._chains |= written.rules.chains.keys()

    def _extra(self, place: Place, last: list[str]) -> list[str]:
        wanted = self._entries[place].copy()
        if place == _PORTALS and self._ends_with(last):
            wanted.update(map(normal, last))
        extra = []
        for rule in self._rules(place) or ():
            text = normal(rule)
            if wanted[text]:
                wanted[text] -= 1
            else:
                extra.append(rule)
        return extra

    def _ends_with(self, last: list[str]) -> bool:
        rules = self._rules(_PORTALS) or []
        return not last or same(rules[-len(last) :], last)
