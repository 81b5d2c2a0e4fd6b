"""What kube-proxy leaves when it is stopped, in any of its modes; nothing of others is touched.

Upstream: ``CleanupLeftovers`` in ``pkg/proxy/nftables``, ``iptables`` and ``ipvs``. Connections that exist
go on: connection tracking remembers how their addresses are rewritten, for as long as *some* rules of type
``nat`` are there for it. So this is for when ours are in place. IPVS remembers its connections itself; they
end with it.
"""

from __future__ import annotations

import errno
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator

from clusterip.kernel.iptables import IptablesError
from clusterip.kernel.nftables import Batch, Family, Nftables, NftablesError, Table
from clusterip.process import log
from clusterip.proxy import modes
from clusterip.proxy.backend import BackendError
from clusterip.proxy.cleanup import iptables

_log = log.get("proxy")

_NFT_TABLE = "kube-proxy"
_LONGEST_SET_NAME = 31
_SET_NAMES = """
    LOOP-BACK CLUSTER-IP EXTERNAL-IP EXTERNAL-IP-LOCAL LOAD-BALANCER LOAD-BALANCER-LOCAL LOAD-BALANCER-FW
    LOAD-BALANCER-SOURCE-IP LOAD-BALANCER-SOURCE-CIDR HEALTH-CHECK-NODE-PORT IPVS-IPS
    NODE-PORT-TCP NODE-PORT-LOCAL-TCP NODE-PORT-UDP NODE-PORT-LOCAL-UDP
    NODE-PORT-SCTP-HASH NODE-PORT-LOCAL-SCTP-HASH
"""
_SETS = frozenset(
    f"KUBE-{family}{name}"[:_LONGEST_SET_NAME] for name in _SET_NAMES.split() for family in ("", "6-")
)
"""The ipvs mode's sets. Other programs (kube-router) have sets that begin with KUBE- too."""


def clean_up_kube_proxy(mode: str = "") -> bool:
    """Remove all of it, each part as well as can be; whether all that was there is gone.

    In ``mode``, which is ours and running, some of it has kube-proxy's names, and what that left is ours by
    now: the chains of ``iptables``, and the virtual servers and their interface of ``ipvs``.
    """
    parts: dict[str, Callable[[], Iterable[str]]] = {
        "nftables": _nftables,
        "iptables": iptables.remove,
        "ipvs": modes.get("ipvs").clean_up,
        "ipset": _sets,
    }
    if mode in ("iptables", "ipvs"):
        del parts[mode]
    complete = True
    found = False
    for name, remove in parts.items():
        try:
            for removed in remove():
                found = True
                _log.info("removed what kube-proxy left", what=removed)
        except (OSError, NftablesError, IptablesError, BackendError) as error:
            complete = False
            _log.error("cannot remove what kube-proxy left", where=name, reason=str(error))
    if complete and not found:
        _log.info("kube-proxy has left nothing here")
    return complete


def _nftables() -> Iterator[str]:
    nftables = Nftables()
    try:
        for family in Family:
            table = Table(family, _NFT_TABLE)
            batch = Batch()
            batch.delete_table(table)
            try:
                nftables.commit(batch)
            except NftablesError as error:
                if error.errno in (errno.ENOENT, errno.EOPNOTSUPP, errno.EAFNOSUPPORT):
                    continue
                raise
            yield f"table {family.keyword} {table.name}"
    finally:
        nftables.close()


def _sets() -> Iterator[str]:
    """Sets of addresses that the ipvs mode's iptables rules looked into."""
    ipset = shutil.which("ipset")
    if ipset is None:
        return
    listed = subprocess.run([ipset, "list", "-name"], capture_output=True, text=True, check=False)
    if listed.returncode:  # the kernel has none of that: nor has kube-proxy left any
        return
    for name in sorted(_SETS & set(listed.stdout.split())):
        done = subprocess.run([ipset, "destroy", name], capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"ipset destroy {name}: {done.stderr.strip()}")
        yield f"ipset {name}"
