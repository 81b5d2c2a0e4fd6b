"""Chains of kube-proxy in iptables' tables, in those of nft and in those of the older interface."""

from __future__ import annotations

import re
from collections.abc import Iterator

from clusterip.kernel.iptables import Rules, every
from clusterip.kernel.nftables import Family

_ITS = re.compile(
    "KUBE-(SERVICES|EXTERNAL-SERVICES|NODEPORTS|POSTROUTING|MARK-MASQ|FORWARD|PROXY-FIREWALL|PROXY-CANARY"
    "|SOURCE-RANGES-FIREWALL|NODE-PORT|LOAD-BALANCER|IPVS-FILTER|IPVS-OUT-FILTER"
    "|(SVC|SVL|SEP|FW|EXT|XLB)-.*)"
)
"""kube-proxy's chains in iptables and ipvs mode. Those of kubelets are not: KUBE-FIREWALL,
KUBE-KUBELET-CANARY, KUBE-IPTABLES-HINT."""

_TARGET = re.compile(r"(?:^| )-[jg] (\S+)")


def remove() -> Iterator[str]:
    """Remove the chains, and other chains' rules that lead to them; each table at one instant.

    Yields what was removed. Raises IptablesError.
    """
    for family in Family:
        for program in every(family):
            for table, rules in program.save("nat", "filter", "mangle").items():
                chains, commands = removal(table, rules)
                if chains:
                    program.restore(commands)
                    yield f"{len(chains)} chains of table {table} ({program.name})"


def removal(table: str, rules: Rules) -> tuple[list[str], str]:
    """The chains to remove from a table, and the input for iptables-restore that does it."""
    going = [chain for chain in rules if _ITS.fullmatch(chain)]
    commands = [f"*{table}"]
    commands += [f":{chain} - [0:0]" for chain in going]  # to name a chain here empties it
    for chain, lines in rules.items():
        if chain not in going:
            commands += [f"-D {chain} {rule}" for rule in lines if _target(rule) in going]
    commands += [f"-X {chain}" for chain in going]
    return going, "\n".join([*commands, "COMMIT", ""])


def _target(rule: str) -> str:
    found = _TARGET.findall(rule)
    return found[-1] if found else ""
