"""The pools that load balancers' addresses come from, as a ConfigMap tells them. Pure.

``kube-system/load-balancer-pools``, one pool a key::

    office: |
      addresses: [192.168.1.240-192.168.1.250, 2001:db8:1::/120]
      autoAssign: true          # also for Services that ask for no pool (the default)
      namespaces: [web, mail]   # for these alone (default: for all)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import msgspec
import yaml

NAMESPACE, NAME = "kube-system", "load-balancer-pools"

Address = IPv4Address | IPv6Address


class _Definition(msgspec.Struct, forbid_unknown_fields=True):
    addresses: list[str]
    autoAssign: bool = True
    namespaces: list[str] = []


@dataclass(frozen=True)
class Range:
    """The addresses from ``first`` to ``last``, both of one family."""

    first: Address
    last: Address

    def __contains__(self, address: Address) -> bool:
        return address.version == self.first.version and int(self.first) <= int(address) <= int(self.last)

    def __iter__(self) -> Iterator[Address]:
        kind = type(self.first)
        for number in range(int(self.first), int(self.last) + 1):
            yield kind(number)


@dataclass(frozen=True)
class Pool:
    """A pool; no ``namespaces`` means all."""

    name: str
    ranges: tuple[Range, ...]
    auto_assign: bool = True
    namespaces: frozenset[str] = frozenset()

    def serves(self, namespace: str) -> bool:
        return not self.namespaces or namespace in self.namespaces

    def __contains__(self, address: Address) -> bool:
        return any(address in each for each in self.ranges)

    def addresses(self, version: int) -> Iterator[Address]:
        """All of a family, lowest first in each range."""
        for each in self.ranges:
            if each.first.version == version:
                yield from each


def parse(data: Mapping[str, str]) -> tuple[list[Pool], list[str]]:
    """The pools of a ConfigMap's ``data`` by name, and what is wrong with those that cannot be used."""
    pools, complaints = [], []
    for name, text in sorted(data.items()):
        try:
            definition = msgspec.convert(yaml.safe_load(text), _Definition)
            ranges = tuple(_range(each) for each in definition.addresses)
        except (yaml.YAMLError, msgspec.ValidationError, ValueError) as error:
            complaints.append(f"pool {name}: {error}")
            continue
        pools.append(Pool(name, ranges, definition.autoAssign, frozenset(definition.namespaces)))
    return pools, complaints


def _range(text: str) -> Range:
    """``FIRST-LAST``, a network, or one address. Raises ValueError."""
    first, dash, last = text.partition("-")
    if dash:
        found = Range(ip_address(first.strip()), ip_address(last.strip()))
        if found.first.version != found.last.version or int(found.first) > int(found.last):
            raise ValueError(f"{text} is no range of addresses")
        return found
    network = ip_network(text.strip())
    return Range(network[0], network[-1])
