"""Taking the rules away. Upstream: ``CleanupLeftovers`` in ``pkg/proxy/iptables``."""

from __future__ import annotations

from collections.abc import Iterator

from clusterip.kernel.iptables import Iptables, IptablesError, Rules, every
from clusterip.kernel.iptables_counters import Counters
from clusterip.kernel.nftables import Family
from clusterip.proxy.backend import BackendError
from clusterip.proxy.iptables import names
from clusterip.proxy.iptables.constant import MANGLE, TABLES, Place, is_own
from clusterip.proxy.iptables.delta import Delta, in_steps
from clusterip.proxy.iptables.environment import COUNTERS
from clusterip.proxy.iptables.port import FILTER, Entry


def clean_up() -> list[str]:
    """Remove our chains and what leads to them, of either kind of iptables; what was removed, for people.

    Raises BackendError: the programs are there and refuse.
    """
    removed: list[str] = []
    for family in Family:
        for program in every(family):
            try:
                removed += _remove(program)
            except IptablesError as error:
                raise BackendError(f"cannot remove the rules: {error}") from None
    counters = Counters()
    try:
        removed += [f"counter {name}" for name in COUNTERS if counters.remove(name)]
    finally:
        counters.close()
    return removed


def is_ours() -> bool:
    """Whether the rules here are this program's, and not those of a kube-proxy."""
    for family in Family:
        for program in every(family):
            try:
                if names.OWNER in program.save(MANGLE).get(MANGLE, {}):
                    return True
            except IptablesError:
                continue  # no such table, so nothing in it
    return False


def _remove(program: Iptables) -> Iterator[str]:
    found: dict[str, Rules] = {}
    for table in TABLES:
        try:
            found |= program.save(table)
        except IptablesError:
            continue  # a kernel without the table: nothing of ours is in it
    for table in TABLES:
        delta = removal(table, found.get(table, {}), kubelet=_has_kubelet(found))
        for part in in_steps(delta):
            program.restore(part.text())
        if delta:
            yield f"{len(delta.dropped)} chains of table {table} ({program.name})"


def removal(table: str, rules: Rules, *, kubelet: bool) -> Delta:
    """What removes everything of ours from a table. ``kubelet``: there is one, which shares a chain."""
    delta = Delta()
    ours = {chain for chain in rules if is_own(chain)}
    shared = rules.get(names.KUBELET_FIREWALL)
    if table == FILTER and ours and not kubelet and shared is not None and len(shared) <= 1:
        ours.add(names.KUBELET_FIREWALL)
    for chain, lines in rules.items():
        if chain in ours:
            continue
        for rule in lines:
            if _target(rule) in ours:
                delta.removed.append(Entry(table, chain, rule))
    delta.dropped |= {Place(table, chain) for chain in ours}
    return delta


def _target(rule: str) -> str:
    words = rule.split()
    return words[words.index("-j") + 1] if "-j" in words[:-1] else ""


def _has_kubelet(found: dict[str, Rules]) -> bool:
    return any(chain in found.get(MANGLE, {}) for chain in names.KUBELET_CHAINS)
