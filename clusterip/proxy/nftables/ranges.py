"""Address ranges as the kernel's sets want them."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, collapse_addresses
from typing import cast

from clusterip.kernel.nftables.batch import Element
from clusterip.proxy.model import Network

_INTERVAL_END = 1


def interval_elements(networks: Iterable[Network]) -> list[Element]:
    """For a set of addresses: where each network begins, and where it has ended.

    ``networks`` are of one family. Overlapping and adjoining ones are joined first; the kernel refuses
    them otherwise.
    """
    elements: list[Element] = []
    for network in cast("Iterable[Network]", collapse_addresses(cast("Iterable[IPv4Network]", networks))):
        size = network.max_prefixlen // 8
        elements.append(Element(network.network_address.packed))
        after = int(network.broadcast_address) + 1
        if after < 1 << network.max_prefixlen:
            elements.append(Element(after.to_bytes(size, "big"), flags=_INTERVAL_END))
    return elements
