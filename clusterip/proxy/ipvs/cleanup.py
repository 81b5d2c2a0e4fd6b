"""Taking the virtual servers, their addresses and rules away."""

from __future__ import annotations

import shutil

from clusterip.kernel.ipvs import Ipvs, NoIpvs
from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.nftables import Family, Nftables, Table
from clusterip.proxy.backend import BackendError
from clusterip.proxy.ipvs.link import NAME, ServiceLink
from clusterip.proxy.ipvs.rules import TABLE
from clusterip.proxy.ipvs.tables import NftError, run


def clean_up() -> list[str]:
    """Remove it all; what was removed, for people. Connections through IPVS end. Raises BackendError.

    Only virtual servers with addresses of our interface, or node ports beside them, can be ours: without
    the interface nothing is removed.
    """
    removed = []
    try:
        link = ServiceLink()
        try:
            if link.exists():
                removed += _servers()
                link.remove()
                removed.append(f"interface {NAME}")
        finally:
            link.close()
        tables = _tables()
        if tables:
            run("".join(f"delete table {family.keyword} {TABLE}\n" for family in tables))
            removed += [f"table {family.keyword} {TABLE}" for family in tables]
    except (NetlinkError, NftError) as error:
        raise BackendError(f"cannot remove the rules: {error}") from None
    return removed


def is_ours() -> bool:
    """Whether the interface belongs to this program: a kube-proxy has its rules elsewhere."""
    return bool(_tables())


def _servers() -> list[str]:
    try:
        ipvs = Ipvs()
    except NoIpvs:
        return []
    with ipvs:
        servers = ipvs.servers()
        for server in servers:
            ipvs.delete_server(server)
    return [f"{len(servers)} virtual servers"] if servers else []


def _tables() -> list[Family]:
    if shutil.which("nft") is None:
        return []
    try:
        nftables = Nftables()
    except OSError:
        return []
    found = []
    try:
        for family in Family:
            try:
                if nftables.table_comment(Table(family, TABLE)) is not None:
                    found.append(family)
            except NetlinkError:
                continue  # the kernel does not know this family
    finally:
        nftables.close()
    return found
