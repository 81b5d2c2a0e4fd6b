"""The rules for Services are those of kube-proxy."""

from __future__ import annotations

import pytest
from iptables_scenario import CONFIGURATIONS, environment, expected, states

from clusterip.kernel.iptables import Rules
from clusterip.kernel.nftables import Family
from clusterip.proxy.iptables import names
from clusterip.proxy.iptables.compare import normal
from clusterip.proxy.iptables.constant import (
    JUMPS,
    KUBELET_JUMPS,
    SHARED,
    Place,
    constant_chains,
    node_port_rules,
)
from clusterip.proxy.iptables.environment import Environment
from clusterip.proxy.iptables.port import NAT, render
from clusterip.proxy.iptables.rule import probability


def _all_rules(env: Environment) -> dict[str, Rules]:
    """All rules there are to be, in the form of the files."""
    tables: dict[str, Rules] = {"filter": {names.KUBELET_FIREWALL: []}, "nat": {}}
    for place, rules in constant_chains(env).items():
        tables[place.table][place.chain] = list(rules)
    for place in SHARED:
        tables[place.table][place.chain] = []
    for state in states(env.family):
        rendered = render(state, env)
        for entry in rendered.entries:
            tables[entry.table][entry.chain].append(entry.rule)
        tables[NAT] |= {chain: list(rules) for chain, rules in rendered.chains.items()}
    tables[NAT][names.SERVICES] += node_port_rules(env)
    for jump in (*JUMPS, *KUBELET_JUMPS):
        tables[jump.table].setdefault(jump.chain, []).append(jump.rule)
    return tables


def _comparable(tables: dict[str, Rules]) -> dict[Place, list[str]]:
    """Where the order of rules is upstream's to choose, or the kernel's chains are, it does not count."""
    found = {}
    for table, chains in tables.items():
        for chain, rules in chains.items():
            place = Place(table, chain)
            texts = [normal(rule) for rule in rules]
            if place in SHARED or not chain.startswith("KUBE-") or chain.startswith(names.SOURCE_RANGES):
                texts.sort()
            if texts or chain.startswith("KUBE-"):
                found[place] = texts
    return found


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_rules_are_those_of_kube_proxy(name: str, family: Family) -> None:
    assert _comparable(_all_rules(environment(name, family))) == _comparable(expected(name, family))


def test_names_of_chains() -> None:
    assert names.CLUSTER + names.digest("default/kubernetes:https", "tcp") == "KUBE-SVC-NPX46M4PTMTKRN6Y"
    # Scenarios of upstream's proxier_test.go.
    assert names.digest("ns1/svc1:p80", "tcp") == "XPGD46QRK7WJZT7O"
    assert names.digest("ns4/svc4:p80", "tcp", "10.180.0.5:80") == "C6EBXVWJJZMIWKLZ"


@pytest.mark.parametrize(
    ("count", "text"),
    [(1, "1.00000000000"), (2, "0.50000000000"), (3, "0.33333333349"), (5, "0.20000000019")],
)
def test_probabilities_as_the_kernel_keeps_them(count: int, text: str) -> None:
    assert probability(count) == f"-m statistic --mode random --probability {text}"


def test_large_clusters_do_without_comments_on_endpoints() -> None:
    env = environment("cluster-cidr", Family.IPV4)
    for state in states(Family.IPV4):
        brief, full = render(state, env, comments=False), render(state, env)
        assert brief.entries == full.entries
        assert brief.chains.keys() == full.chains.keys()
        for chain, rules in brief.chains.items():
            if chain.startswith(names.ENDPOINT):
                assert not any("comment" in rule for rule in rules)
            else:
                assert not any("->" in rule for rule in rules)
