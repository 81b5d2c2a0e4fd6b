"""The rules that are there whatever Services there are. Upstream: ``pkg/proxy/iptables/proxier.go``."""

from __future__ import annotations

from typing import NamedTuple

from clusterip.kernel.nftables import Family
from clusterip.proxy.iptables import names
from clusterip.proxy.iptables.environment import INVALID_DROPPED, Environment, count_in, is_loopback
from clusterip.proxy.iptables.port import FILTER, NAT
from clusterip.proxy.iptables.rule import comment, rule

MANGLE = "mangle"
TABLES = (FILTER, NAT, MANGLE)


class Place(NamedTuple):
    """A chain in its table."""

    table: str
    chain: str


class Jump(NamedTuple):
    """A rule of one of the kernel's own chains that leads to one of ours."""

    table: str
    chain: str
    rule: str

    @property
    def target(self) -> str:
        return self.rule.rsplit(" ", 1)[1]


_NEW = "-m conntrack --ctstate NEW"


def _jump(table: str, chain: str, why: str, target: str, match: str = "") -> Jump:
    matches = " ".join(filter(None, (match, comment(why) if why else "")))
    return Jump(table, chain, rule(matches=matches, target=target))


_PORTALS = "kubernetes service portals"
_VISIBLE = "kubernetes externally-visible service portals"
_FIREWALL = "kubernetes load balancer firewall"

JUMPS = (
    _jump(FILTER, "INPUT", _VISIBLE, names.EXTERNAL_SERVICES, _NEW),
    _jump(FILTER, "FORWARD", _VISIBLE, names.EXTERNAL_SERVICES, _NEW),
    _jump(FILTER, "INPUT", "kubernetes health check service ports", names.NODE_PORTS),
    _jump(FILTER, "FORWARD", _PORTALS, names.SERVICES, _NEW),
    _jump(FILTER, "OUTPUT", _PORTALS, names.SERVICES, _NEW),
    _jump(FILTER, "FORWARD", "kubernetes forwarding rules", names.FORWARD),
    _jump(FILTER, "INPUT", _FIREWALL, names.FIREWALL, _NEW),
    _jump(FILTER, "OUTPUT", _FIREWALL, names.FIREWALL, _NEW),
    _jump(FILTER, "FORWARD", _FIREWALL, names.FIREWALL, _NEW),
    _jump(NAT, "OUTPUT", _PORTALS, names.SERVICES),
    _jump(NAT, "PREROUTING", _PORTALS, names.SERVICES),
    _jump(NAT, "POSTROUTING", "kubernetes postrouting rules", names.POSTROUTING),
)
"""In the order in which they are put at the head of their chains, so that the last comes first there."""

KUBELET_JUMPS = (
    _jump(FILTER, "INPUT", "", names.KUBELET_FIREWALL),
    _jump(FILTER, "OUTPUT", "", names.KUBELET_FIREWALL),
)

SHARED = (
    Place(FILTER, names.SERVICES),
    Place(FILTER, names.EXTERNAL_SERVICES),
    Place(FILTER, names.NODE_PORTS),
    Place(FILTER, names.FIREWALL),
    Place(NAT, names.SERVICES),
    Place(NAT, names.NODE_PORTS),
)
"""Chains that hold the entries of all Service ports."""

MARKS = (*(Place(table, names.CANARY) for table in (MANGLE, NAT, FILTER)), Place(MANGLE, names.OWNER))
"""Chains with nothing in them, which only have to be there."""

OWN_CHAINS = frozenset(
    (
        *(place.chain for place in SHARED),
        names.POSTROUTING,
        names.MARK_MASQUERADE,
        names.FORWARD,
        names.CANARY,
        names.OWNER,
    )
)
"""All chains of ours but those per Service and the kubelet's."""


def is_own(chain: str) -> bool:
    return chain in OWN_CHAINS or chain.startswith(names.PER_SERVICE)


def constant_chains(environment: Environment) -> dict[Place, list[str]]:
    """The chains whose rules do not depend on Services."""
    mark = environment.mark
    masquerade = "MASQUERADE --random-fully" if environment.random_fully else "MASQUERADE"
    chains = {
        Place(NAT, names.MARK_MASQUERADE): [rule(target=f"MARK --set-xmark {mark}/{mark}")],
        Place(NAT, names.POSTROUTING): [
            rule(matches=f"-m mark ! --mark {mark}/{mark}", target="RETURN"),
            # The packet may come by again, encapsulated for another node: it is masqueraded only once.
            rule(target=f"MARK --set-xmark {mark}/0x0"),
            rule(matches=comment("kubernetes service traffic requiring SNAT"), target=masquerade),
        ],
        Place(FILTER, names.FORWARD): list(_forward(environment)),
    }
    if environment.localhost_node_ports and environment.family is Family.IPV4:
        # Packets to loopback addresses are routed now (route_localnet): not those of other machines.
        chains[Place(FILTER, names.KUBELET_FIREWALL)] = [
            rule(
                source="! -s 127.0.0.0/8",
                destination="127.0.0.0/8",
                matches=f"{comment('block incoming localnet connections')}"
                " -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT",
                target="DROP",
            )
        ]
    return chains


def _forward(environment: Environment) -> list[str]:
    mark = environment.mark
    rules = []
    if environment.drop_invalid:
        # A late packet of a connection that conntrack has given up on would reach its receiver with an
        # address that this does not know, and be answered with a reset.
        match = "-m conntrack --ctstate INVALID"
        if INVALID_DROPPED in environment.counters:
            match = f"{match} {count_in(INVALID_DROPPED)}"
        rules.append(rule(matches=match, target="DROP"))
    rules.append(
        rule(
            matches=f"{comment('kubernetes forwarding rules')} -m mark --mark {mark}/{mark}", target="ACCEPT"
        )
    )
    rules.append(
        rule(
            matches=f"{comment('kubernetes forwarding conntrack rule')}"
            " -m conntrack --ctstate RELATED,ESTABLISHED",
            target="ACCEPT",
        )
    )
    return rules


def node_port_rules(environment: Environment) -> list[str]:
    """The rules of ``KUBE-SERVICES`` in ``nat`` that lead to node ports; they come after all others."""
    why = comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain")
    localhost = environment.localhost_node_ports and environment.family is Family.IPV4
    if not environment.all_node_addresses:
        return [
            rule(destination=environment.show(address), matches=why, target=names.NODE_PORTS)
            for address in environment.node_port_ips
            if localhost or not is_loopback(address)
        ]
    loopback = "::1/128" if environment.family is Family.IPV6 else "127.0.0.0/8"
    destination = "" if localhost else f"! -d {loopback}"
    matches = f"{why} -m addrtype --dst-type LOCAL"
    return [rule(source=destination, matches=matches, target=names.NODE_PORTS)]
