"""``--proxy-mode=iptables``."""

from __future__ import annotations

from collections.abc import Iterable

from clusterip.kernel.iptables import Iptables, IptablesError, choose
from clusterip.kernel.nftables import Family
from clusterip.proxy.backend import BackendError, BackendOptions, Mode
from clusterip.proxy.iptables.backend import IptablesBackend
from clusterip.proxy.iptables.cleanup import clean_up, is_ours
from clusterip.proxy.iptables.names import KUBELET_CHAINS
from clusterip.proxy.iptables.port import NAT

_NO_PROGRAMS = (
    "the programs iptables-save and iptables-restore are not installed:"
    " apt install iptables (Debian, Ubuntu), dnf install iptables-nft (Fedora, RHEL)"
)


def open_backend(options: BackendOptions) -> IptablesBackend:
    """Raises BackendError: there are no iptables programs, or they cannot do it."""
    programs, why = _usable(options.families or Family)
    if not programs:
        raise BackendError(why)
    return IptablesBackend(programs, options)


def missing() -> str:
    programs, why = _usable(Family)
    return "" if programs else why


def _usable(families: Iterable[Family]) -> tuple[list[Iptables], str]:
    """The programs for each family that work here, and why the others do not."""
    found, why = [], ""
    for family in sorted(families):
        program = choose(family, KUBELET_CHAINS)
        if program is None:
            why = why or _NO_PROGRAMS
            continue
        try:
            program.check(NAT)
        except IptablesError as error:
            why = why or (
                f"{program.name} cannot use the table nat: {error};"
                " it takes the kernel's modules nf_tables and nft_compat"
                " (for iptables-legacy: iptable_nat), and the capability CAP_NET_ADMIN"
            )
            continue
        found.append(program)
    return found, why


MODE = Mode("iptables", open_backend, missing, clean_up, is_ours=is_ours)
