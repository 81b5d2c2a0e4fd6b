"""Ranges that addresses and ports are taken from.

The first part of a range is left to those who ask for a certain value ("static"); others get a random
value of the rest ("dynamic"), and of the first part only once the rest is full (KEP-3070, KEP-3668).
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_TRIES = 64
_SCAN = 1 << 17


class Range:
    """The integers from ``first`` to ``last``, of which the first ``offset`` are the static part."""

    __slots__ = ("first", "last", "offset")

    def __init__(self, first: int, last: int, offset: int) -> None:
        self.first = first
        self.last = last
        self.offset = offset

    def __contains__(self, value: int) -> bool:
        return self.first <= value <= self.last

    def pick(self, is_free: Callable[[int], bool]) -> int | None:
        """A random free value, or None if there is none."""
        start = self.first + self.offset
        chosen = _pick(start, self.last, is_free)
        if chosen is None and self.offset:
            chosen = _pick(self.first, start - 1, is_free)
        return chosen


def _pick(first: int, last: int, is_free: Callable[[int], bool]) -> int | None:
    size = last - first + 1
    if size <= 0:
        return None
    for _ in range(min(_TRIES, size)):  # in a range with room, one of the first few is free
        value = first + random.randrange(size)
        if is_free(value):
            return value
    start = random.randrange(size)
    for step in range(min(size, _SCAN)):
        value = first + (start + step) % size
        if is_free(value):
            return value
    return None


def static_part(size: int, least: int, most: int, step: int) -> int:
    """How many values are set aside: a ``step``-th of the range within bounds, none of a tiny range."""
    if size <= least:
        return 0
    return max(least, min(size // step, most))


def address_range(network: Network) -> Range:
    """The usable addresses of a Service CIDR: neither the first one nor, in IPv4, the broadcast address."""
    first = int(network.network_address) + 1
    last = int(network.broadcast_address) - (1 if network.version == 4 else 0)
    return Range(first, last, static_part(network.num_addresses, 16, 256, 16))


def port_range(first: int, last: int) -> Range:
    return Range(first, last, static_part(last - first + 1, 16, 128, 32))
