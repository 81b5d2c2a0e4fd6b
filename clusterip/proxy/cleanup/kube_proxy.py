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
from collections.abc import Callable, Iterator

from clusterip.kernel import genetlink
from clusterip.kernel.iptables import IptablesError
from clusterip.kernel.nftables import Batch, Family, Nftables, NftablesError, Table
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.process import log
from clusterip.proxy.cleanup import iptables

_log = log.get("proxy")

_NFT_TABLE = "kube-proxy"
_IPVS_LINK = "kube-ipvs0"
_IPVS_FLUSH = 17  # IPVS_CMD_FLUSH
_SETS = (
    *(
        "KUBE-LOOP-BACK",
        "KUBE-CLUSTER-IP",
        "KUBE-EXTERNAL-IP",
        "KUBE-EXTERNAL-IP-LOCAL",
        "KUBE-LOAD-BALANCER",
    ),
    *("KUBE-LOAD-BALANCER-LOCAL", "KUBE-LOAD-BALANCER-FW", "KUBE-LOAD-BALANCER-SOURCE-IP"),
    *(
        "KUBE-LOAD-BALANCER-SOURCE-CIDR",
        "KUBE-NODE-PORT-TCP",
        "KUBE-NODE-PORT-LOCAL-TCP",
        "KUBE-NODE-PORT-UDP",
    ),
    *("KUBE-NODE-PORT-LOCAL-UDP", "KUBE-NODE-PORT-SCTP-HASH", "KUBE-NODE-PORT-LOCAL-SCTP-HASH"),
    *("KUBE-HEALTH-CHECK-NODE-PORT", "KUBE-IPVS-IPS"),
)


def clean_up_kube_proxy(mode: str = "") -> bool:
    """Remove all of it, each part as well as can be; whether all that was there is gone.

    In our own ``iptables`` mode the chains have kube-proxy's names, and what it left there is ours by now.
    """
    parts: dict[str, Callable[[], Iterator[str]]] = {
        "nftables": _nftables,
        "iptables": iptables.remove,
        "IPVS": _ipvs,
        "ipset": _sets,
    }
    if mode == "iptables":
        del parts["iptables"]
    complete = True
    found = False
    for name, remove in parts.items():
        try:
            for removed in remove():
                found = True
                _log.info("removed what kube-proxy left", what=removed)
        except (OSError, NftablesError, IptablesError) as error:
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


def _ipvs() -> Iterator[str]:
    """The virtual servers, if the interface shows that they are kube-proxy's, and that interface."""
    with RouteSocket() as routes:
        if routes.find_link(_IPVS_LINK) is None:
            return
        with genetlink.opened() as connection:
            family = genetlink.family_id(connection, "IPVS")
            if family is not None:
                genetlink.command(connection, family, _IPVS_FLUSH)
                yield "IPVS virtual servers"
        if routes.delete_link(_IPVS_LINK):
            yield f"link {_IPVS_LINK}"


def _sets() -> Iterator[str]:
    """Sets of addresses that the ipvs mode's iptables rules looked into."""
    ipset = shutil.which("ipset")
    if ipset is None:
        return
    listed = subprocess.run([ipset, "list", "-name"], capture_output=True, text=True, check=False)
    if listed.returncode:  # the kernel has none of that: nor has kube-proxy left any
        return
    for name in sorted(
        {base + suffix for base in _SETS for suffix in ("", "-6")} & set(listed.stdout.split())
    ):
        done = subprocess.run([ipset, "destroy", name], capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"ipset destroy {name}: {done.stderr.strip()}")
        yield f"ipset {name}"
