"""Whether the machine is itself in the network that its Pods are to have."""

from __future__ import annotations

from collections.abc import Sequence

from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.node.network.bridge import BRIDGE
from clusterip.node.network.ipam import Network
from clusterip.node.network.vxlan import DEVICE


def clash(networks: Sequence[Network]) -> str | None:
    """What would be cut off if Pods had these networks; None if nothing."""
    with RouteSocket() as route:
        names = {link.index: link.name for link in route.links()}
        for found in route.addresses():
            name = names.get(found.link, "")
            if name in (BRIDGE, DEVICE):
                continue
            for network in networks:
                if found.address.version == network.version and found.address.ip in network:
                    return f"podCIDR {network} has the address {found.address.ip} of {name} in it"
    return None
