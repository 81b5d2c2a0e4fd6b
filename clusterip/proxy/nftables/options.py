"""What of the proxy's configuration shapes the rules."""

from __future__ import annotations

from dataclasses import dataclass

from clusterip.kernel.nftables import Family
from clusterip.proxy.model import Network


@dataclass(frozen=True)
class LayoutOptions:
    """Options that the constant rules depend on.

    ``pod_cidrs`` (of both families; may be empty) tell Pods from everybody else.
    ``all_node_addresses``: the families in which node ports answer on every local address but loopback
    ones, not only on those in the set ``node-port-ips``.
    """

    pod_cidrs: tuple[Network, ...] = ()
    masquerade_all: bool = False
    all_node_addresses: frozenset[Family] = frozenset()

    def pod_cidrs_of(self, family: Family) -> list[Network]:
        version = 4 if family is Family.IPV4 else 6
        return [network for network in self.pod_cidrs if network.version == version]
