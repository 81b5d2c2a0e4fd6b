"""``--proxy-mode=nftables``."""

from __future__ import annotations

from clusterip.kernel.conntrack import is_liberal
from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.nftables import Batch, Family, Nftables, NftablesError, Table
from clusterip.kernel.nftables.connection import supported
from clusterip.proxy.backend import BackendError, BackendOptions, Mode
from clusterip.proxy.nftables.backend import NftablesBackend
from clusterip.proxy.nftables.pieces import TABLE_NAME

_NO_NFTABLES = (
    "this kernel has no nftables, or it may not be used: it takes CONFIG_NF_TABLES (modprobe nf_tables)"
    " and the capability CAP_NET_ADMIN"
)


def open_backend(options: BackendOptions) -> NftablesBackend:
    """Raises BackendError: the kernel has no nftables."""
    families = [family for family in options.families or Family if supported(family)]
    if not families:
        raise BackendError(_NO_NFTABLES)
    # Where connection tracking is liberal it calls little invalid, and that may be somebody's traffic.
    return NftablesBackend(families, options, drop_invalid=not is_liberal())


def missing() -> str:
    return "" if any(supported(family) for family in Family) else _NO_NFTABLES


def clean_up() -> list[str]:
    """Remove the tables of both families, of any layout: connections to Services stop working."""
    try:
        nftables = Nftables()
    except OSError:
        return []
    batch = Batch()
    removed = []
    try:
        for family in Family:
            table = Table(family, TABLE_NAME)
            try:
                exists = nftables.table_comment(table) is not None
            except NetlinkError:
                continue  # the kernel does not know this family
            if exists:
                batch.delete_table(table)
                removed.append(f"table {family.keyword} {table.name}")
        nftables.commit(batch)
    except (NftablesError, OSError) as error:
        raise BackendError(f"cannot remove the rules: {error}") from None
    finally:
        nftables.close()
    return removed


MODE = Mode("nftables", open_backend, missing, clean_up, node_ports_on_primary=True)
