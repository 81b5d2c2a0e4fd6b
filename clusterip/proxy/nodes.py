"""What the proxy wants to know of its own node."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from clusterip.kernel.nftables import Family
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.proxy import wire
from clusterip.proxy.model import Address, Network, family_of, pack_address

_DELETION_TAINT = "ToBeDeletedByClusterAutoscaler"
PRIMARY = "primary"


def primary_addresses(node: wire.Node | None, override: str = "") -> list[Address]:
    """The node's address, and its first one of the other family if it has one.

    InternalIPs come before ExternalIPs. ``override`` (``--bind-address``) takes the place of the address of
    its family, unless it is unspecified. Upstream: ``GetNodeHostIPs``, ``detectNodeIPs``.
    """
    found: dict[Family, Address] = {}
    chosen = pack_address(override) if override else None
    if chosen is not None and any(chosen):
        found[family_of(chosen)] = chosen
    items = (node.status.addresses or ()) if node is not None and node.status is not None else ()
    for kind in ("InternalIP", "ExternalIP"):
        for item in items:
            address = pack_address(item.address) if item.type == kind else None
            if address is not None:
                found.setdefault(family_of(address), address)
    return list(found.values())


def pod_cidrs(node: wire.Node | None) -> tuple[str, ...]:
    """The ranges of this node's Pods; none as long as nobody has given it any."""
    spec = node.spec if node is not None else None
    return (spec.podCIDRs or ()) if spec is not None else ()


def own_ranges(node: wire.Node | None) -> tuple[Network, ...]:
    """The ranges of this node's Pods, and its own addresses."""
    own = [str(ipaddress.ip_address(address)) for address in primary_addresses(node)]
    return networks([*pod_cidrs(node), *own])


def is_eligible(node: wire.Node | None) -> bool:
    """Whether load balancers should still send here (upstream: ``ProxyHealthServer.NodeEligible``)."""
    if node is None or node.metadata.deletionTimestamp is not None:
        return False
    taints = node.spec.taints if node.spec is not None else None
    return not any(taint.key == _DELETION_TAINT for taint in taints or ())


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Raises ValueError for a text that is no range."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def first_of_each_family(found: Sequence[Network]) -> tuple[Network, ...]:
    """Of several ranges the first IPv4 and the first IPv6 one, as upstream's local detectors take them."""
    by_version: dict[int, Network] = {}
    for network in found:
        by_version.setdefault(network.version, network)
    return tuple(by_version.values())


class NodePortAddresses:
    """Where node ports answer, from ``--nodeport-addresses``.

    ``primary``: on the Node's own addresses. Else on local addresses within the given ranges; a range of
    everything (or none) means all local addresses but loopback ones, also those that come later.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        """Raises ValueError for a text that is no range."""
        given = list(texts)
        self.primary = given == [PRIMARY]
        self._ranges: tuple[Network, ...] = () if self.primary else networks(given)

    @property
    def everywhere(self) -> frozenset[Family]:
        """The families in which they answer on all local addresses: also those with no range given."""
        if self.primary:
            return frozenset()
        versions = {Family.IPV4: 4, Family.IPV6: 6}
        own = {
            family: [r for r in self._ranges if r.version == version] for family, version in versions.items()
        }
        return frozenset(
            family for family, ranges in own.items() if not ranges or any(not r.prefixlen for r in ranges)
        )

    def of(self, primary: Sequence[Address]) -> list[Address]:
        """The addresses now, on a node with these primary ones."""
        if self.primary:
            return [address for address in primary if not ipaddress.ip_address(address).is_loopback]
        with RouteSocket() as routes:
            local = [address.address.ip for address in routes.addresses()]
        return [
            address.packed
            for address in local
            if not address.is_loopback and any(address in network for network in self._ranges)
        ]
