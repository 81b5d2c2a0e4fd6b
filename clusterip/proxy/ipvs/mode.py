"""``--proxy-mode=ipvs``."""

from __future__ import annotations

import shutil
import subprocess

from clusterip.kernel.ipvs import Ipvs, NoIpvs
from clusterip.kernel.nftables import Family
from clusterip.kernel.nftables.connection import supported
from clusterip.proxy.backend import BackendError, BackendOptions, Mode
from clusterip.proxy.ipvs import sysctls
from clusterip.proxy.ipvs.backend import IpvsBackend
from clusterip.proxy.ipvs.cleanup import clean_up, is_ours

SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sh", "dh", "sed", "nq", "mh")

_NO_IPVS = (
    "this kernel has no IPVS: it takes the module ip_vs with its schedulers (modprobe ip_vs ip_vs_rr;"
    " CONFIG_IP_VS) and the capability CAP_NET_ADMIN; --proxy-mode=nftables needs neither and is faster"
)
_NO_NFTABLES = "the mode ipvs masquerades with nftables, which this kernel does not have (modprobe nf_tables)"
_NO_NFT = "the mode ipvs needs the program nft: apt install nftables, or dnf install nftables"


def open_backend(options: BackendOptions) -> IpvsBackend:
    """Raises BackendError: the kernel cannot do it."""
    if options.ipvs.scheduler not in SCHEDULERS:
        raise BackendError(
            f"there is no IPVS scheduler {options.ipvs.scheduler!r}; use one of {', '.join(SCHEDULERS)}"
        )
    if why := missing():
        raise BackendError(why)
    families = [family for family in options.families or Family if supported(family)]
    _load(f"ip_vs_{options.ipvs.scheduler}")
    sysctls.apply(strict_arp=options.ipvs.strict_arp)
    try:
        return IpvsBackend(Ipvs(), families, options)
    except NoIpvs:
        raise BackendError(_NO_IPVS) from None


def missing() -> str:
    if not kernel_has_ipvs():
        return _NO_IPVS
    if not any(supported(family) for family in Family):
        return _NO_NFTABLES
    return "" if shutil.which("nft") else _NO_NFT


def kernel_has_ipvs() -> bool:
    """Whether the kernel has IPVS, loading its module where that can be done."""
    _load("ip_vs")
    try:
        Ipvs().close()
    except (NoIpvs, OSError):
        return False
    return True


def _load(module: str) -> None:
    """Load a module where that can be done; whether it is there is found out by using it."""
    if program := shutil.which("modprobe"):
        subprocess.run([program, "-q", module], check=False, capture_output=True)


MODE = Mode("ipvs", open_backend, missing, clean_up, is_ours=is_ours)
