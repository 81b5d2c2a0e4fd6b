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


def pack_ranges(networks: Iterable[Network]) -> bytes:
    """Networks as one value: the first and the last address of each, all after another."""
    return b"".join(network.network_address.packed + network.broadcast_address.packed for network in networks)


def range_keys(prefix: bytes, ranges: bytes | None, size: int) -> list[bytes]:
    """For a set of concatenations that end in a range: the elements for a prefix and :func:`pack_ranges`.

    An element is told by its first key and its last, one after the other. ``size`` is that of an address.
    """
    found = ranges or b""
    return [
        prefix + found[at : at + size] + prefix + found[at + size : at + 2 * size]
        for at in range(0, len(found), 2 * size)
    ]


def range_element(key: bytes) -> Element:
    """The element of one of :func:`range_keys`."""
    half = len(key) // 2
    return Element(key[:half], key_end=key[half:])


def range_key_of(element: Element) -> bytes:
    """The inverse of :func:`range_element`."""
    return element.key + element.key_end
