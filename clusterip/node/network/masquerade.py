"""What Pods send out of the Pod network gets the node's address, as nobody outside knows a way back to them.

Pods see each other's own addresses, also across machines, and so do nodes on one network with this one,
which have routes to its Pods. A table of ours in each address family; what is in the kernel is taken over
by the next agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import collapse_addresses, ip_network

from clusterip.kernel.nftables import (
    IPV4_ADDR,
    IPV6_ADDR,
    Batch,
    Chain,
    Family,
    Hook,
    Nftables,
    Set,
    SetFlag,
    Table,
)
from clusterip.kernel.nftables import expressions as x
from clusterip.kernel.nftables.batch import Element
from clusterip.kernel.nftables.connection import supported
from clusterip.node.network.ipam import Address, Network

_TABLE = "clusterip-masquerade"
_LAYOUT = "1"  # in the table's comment: another one is replaced as a whole
_SNAT = 100
_INTERVAL_END = 1
_MULTICAST = {4: "224.0.0.0/4", 6: "ff00::/8"}


class Masquerade:
    """The node's rules for the outside."""

    def __init__(self) -> None:
        self._planes: dict[Family, _Plane] = {}

    def sync(self, own: Iterable[Network], pods: Iterable[Network], neighbours: Iterable[Address]) -> None:
        """Masquerade what comes from ``own`` Pods and goes neither to ``pods`` nor to ``neighbours``.

        Raises:
            NftablesError, NetlinkError: the kernel refused it.
        """
        sources = list(own)
        kept = [*sources, *pods, *(ip_network(address) for address in neighbours)]
        for family, version in ((Family.IPV4, 4), (Family.IPV6, 6)):
            from_here = [network for network in sources if network.version == version]
            if not from_here:
                if family not in self._planes:
                    remove(family)
                continue
            known = [network for network in kept if network.version == version]
            self._plane(family).sync(from_here, [*known, ip_network(_MULTICAST[version])])

    def _plane(self, family: Family) -> _Plane:
        if family not in self._planes:
            self._planes[family] = _Plane(family)
        return self._planes[family]


def remove(family: Family) -> None:
    """Remove what there is of a family, if anything."""
    if not supported(family):
        return
    nftables = Nftables()
    try:
        if nftables.table_comment(Table(family, _TABLE)) is not None:
            batch = Batch()
            batch.delete_table(Table(family, _TABLE))
            nftables.commit(batch)
    finally:
        nftables.close()


class _Plane:
    """One family's table."""

    def __init__(self, family: Family) -> None:
        address = IPV4_ADDR if family is Family.IPV4 else IPV6_ADDR
        self._family = family
        self._length = address.padded
        self._table = Table(family, _TABLE, _LAYOUT)
        self._pods = Set("own-pods", (address,), flags=SetFlag.INTERVAL)
        self._known = Set("known", (address,), flags=SetFlag.INTERVAL)
        self._is_made = False
        self._state: tuple[list[Element], list[Element]] | None = None

    def sync(self, own: list[Network], known: list[Network]) -> None:
        wanted = list(_ranges(own, self._length)), list(_ranges(known, self._length))
        if self._is_made and self._state == wanted:
            return
        nftables = Nftables()
        try:
            batch = Batch()
            found = None if self._is_made else nftables.table_comment(self._table)
            if not self._is_made and found != _LAYOUT:
                self._make(batch, replace=found is not None)
            for each, elements in zip((self._pods, self._known), wanted, strict=True):
                batch.flush_set(self._table, each)
                batch.add_ranges(self._table, each, elements)
            nftables.commit(batch)
        finally:
            nftables.close()
        self._is_made, self._state = True, wanted

    def _make(self, batch: Batch, *, replace: bool) -> None:
        if replace:
            batch.delete_table(self._table)
        batch.add_table(self._table)
        batch.add_set(self._table, self._pods)
        batch.add_set(self._table, self._known)
        chain = Chain("postrouting", "nat", Hook.POSTROUTING, _SNAT)
        batch.add_chain(self._table, chain)
        rule = [
            x.source_address(self._family, 0),
            x.lookup(self._pods.name, 0),
            x.destination_address(self._family, 0),
            x.lookup(self._known.name, 0, invert=True),
            x.masquerade(),
        ]
        batch.add_rule(self._table, chain.name, rule, "Pods to the outside")


def _ranges(networks: Iterable[Network], length: int) -> Iterator[Element]:
    """Each range as its first address and the first after it. Ranges that touch are one."""
    ordered = sorted(collapse_addresses(networks), key=lambda network: int(network.network_address))  # type: ignore[type-var]
    first = last = -1
    for network in ordered:
        if int(network.network_address) != last + 1 or first < 0:
            yield from _range(first, last, length)
            first = int(network.network_address)
        last = int(network.broadcast_address)
    yield from _range(first, last, length)


def _range(first: int, last: int, length: int) -> Iterator[Element]:
    if first < 0:
        return
    yield Element(first.to_bytes(length, "big"))
    if last + 1 < 1 << (8 * length):
        yield Element((last + 1).to_bytes(length, "big"), flags=_INTERVAL_END)
