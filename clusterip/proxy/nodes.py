"""What the proxy wants to know of its own node."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from clusterip.kernel.nftables import Family
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.proxy import wire
from clusterip.proxy.model import Address, Network, pack_address

_DELETION_TAINT = "ToBeDeletedByClusterAutoscaler"
PRIMARY = "primary"


def internal_ips(node: wire.Node | None) -> list[Address]:
    """The node's InternalIPs, which is what kube-proxy calls its primary addresses."""
    if node is None or node.status is None:
        return []
    found = (pack_address(item.address) for item in node.status.addresses or () if item.type == "InternalIP")
    return [address for address in found if address is not None]


def is_eligible(node: wire.Node | None) -> bool:
    """Whether load balancers should still send here (upstream: ``ProxyHealthServer.NodeEligible``)."""
    if node is None or node.metadata.deletionTimestamp is not None:
        return False
    taints = node.spec.taints if node.spec is not None else None
    return not any(taint.key == _DELETION_TAINT for taint in taints or ())


class NodePortAddresses:
    """Where node ports answer, from ``--nodeport-addresses``.

    Nothing, or ``primary``: on the Node's InternalIPs. Else on local addresses within the given ranges; a
    range of everything means all local addresses but loopback ones, also those that come later.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        """Raises ValueError for a text that is no range."""
        given = list(texts)
        self.primary = not given or given == [PRIMARY]
        self._ranges: list[Network] = (
            [] if self.primary else [ipaddress.ip_network(text, strict=False) for text in given]
        )

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

    def of(self, node: wire.Node | None) -> list[Address]:
        """The addresses now."""
        if self.primary:
            return internal_ips(node)
        with RouteSocket() as routes:
            local = [address.address.ip for address in routes.addresses()]
        return [
            address.packed
            for address in local
            if not address.is_loopback and any(address in network for network in self._ranges)
        ]
