"""Addresses for Pods out of the node's podCIDRs.

Nothing is written here: a Pod's address is kept with its sandbox, and a new agent starts from those.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Interface = IPv4Interface | IPv6Interface


class Exhausted(Exception):
    """Every address of a podCIDR is in use."""


def gateway_of(network: Network) -> Interface:
    """The bridge's own address in a podCIDR, the first one, with the network's length."""
    return ip_interface(f"{network.network_address + 1}/{network.prefixlen}")


class Pool:
    """The addresses of one podCIDR. They are given out in turn, so a freed one rests for a while."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._used: set[int] = set()
        self._first = int(network.network_address) + 2
        last = int(network.broadcast_address)
        self._last = last - 1 if network.version == 4 else last
        self._next = self._first

    def take(self) -> Address:
        """A free address. Raises Exhausted."""
        if len(self._used) >= self._last - self._first + 1:
            raise Exhausted(f"no IP addresses available in range set: {self.network}")
        while self._next in self._used:
            self._advance()
        found = self._next
        self._used.add(found)
        self._advance()
        return ip_address(found) if self.network.version == 4 else IPv6Address(found)

    def reserve(self, address: Address) -> None:
        """Note that an address is in use already."""
        if address in self.network:
            self._used.add(int(address))
            self._next = max(self._next, int(address))
            self._advance()

    def free(self, address: Address) -> None:
        self._used.discard(int(address))

    def _advance(self) -> None:
        self._next = self._next + 1 if self._next < self._last else self._first


class AddressPools:
    """One pool for each of the node's podCIDRs; a Pod gets an address of each."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self.pools = [Pool(network) for network in networks]

    def take(self) -> list[Address]:
        """One address of every podCIDR. Raises Exhausted, with none taken."""
        taken: list[Address] = []
        try:
            for pool in self.pools:
                taken.append(pool.take())
        except Exhausted:
            self.free(taken)
            raise
        return taken

    def reserve(self, addresses: Iterable[Address]) -> None:
        for address in addresses:
            for pool in self.pools:
                pool.reserve(address)

    def free(self, addresses: Iterable[Address]) -> None:
        for address in addresses:
            for pool in self.pools:
                pool.free(address)
