"""nftables over netlink: what `nft` does, without the process, the text and the listing of rules.

:mod:`~clusterip.kernel.nftables.model` describes tables, chains, sets and maps;
:mod:`~clusterip.kernel.nftables.expressions` builds the steps of a rule;
a :class:`~clusterip.kernel.nftables.batch.Batch` collects changes that the kernel does together or not
at all, and :class:`~clusterip.kernel.nftables.connection.Nftables` commits it and reads what is there.
"""

from clusterip.kernel.nftables.batch import Batch
from clusterip.kernel.nftables.connection import Nftables, NftablesError
from clusterip.kernel.nftables.events import Changes
from clusterip.kernel.nftables.model import (
    CLASSID,
    INET_PROTO,
    INET_SERVICE,
    IPV4_ADDR,
    IPV6_ADDR,
    MARK,
    VERDICT,
    Chain,
    DataType,
    Family,
    Hook,
    Set,
    SetFlag,
    Table,
)

__all__ = [
    "CLASSID",
    "INET_PROTO",
    "INET_SERVICE",
    "IPV4_ADDR",
    "IPV6_ADDR",
    "MARK",
    "VERDICT",
    "Batch",
    "Chain",
    "Changes",
    "DataType",
    "Family",
    "Hook",
    "Nftables",
    "NftablesError",
    "Set",
    "SetFlag",
    "Table",
]
