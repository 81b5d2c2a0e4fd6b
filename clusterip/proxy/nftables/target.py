"""Targets: the 32-bit values by which the table's maps speak of groups of endpoints.

A *group* is a set of endpoints that share traffic evenly: those of a Service port under one traffic
policy. Every Service port has two numbers for groups, an even one for ``Cluster`` policy and the next one
for ``Local``; the even one also stands for the port itself. A target names a group, the number of its
endpoints (as the index of a :class:`~.counts.CountChain`) and whether to masquerade::

     31          30 ........ 20  19 ......... 0
    masquerade      count chain      group

While a packet is in our nat chains, its target is in its queueing priority: see docs/proxy.md for why.
"""

from __future__ import annotations

import struct

MASQUERADE = 1 << 31
GROUP_MASK = (1 << 20) - 1
PORT_MASK = GROUP_MASK & ~1
"""What the two groups of a Service port have in common."""
CHAIN_MASK = 0xFFF00000
CHAIN_SHIFT = 20
MAX_CHAINS = 1 << 11
MAX_GROUPS = 1 << 20

_NUMBER = struct.Struct("=I")


def pack(group: int, chain: int, *, masquerade: bool = False) -> bytes:
    """A target as the kernel's maps hold it."""
    return _NUMBER.pack(group | chain << CHAIN_SHIFT | (MASQUERADE if masquerade else 0))


def group_of(target: bytes) -> int:
    return int(_NUMBER.unpack(target)[0]) & GROUP_MASK


def dispatch_key(chain: int, *, masquerade: bool) -> bytes:
    """The part of a target that ``dispatch`` looks at."""
    return pack(0, chain, masquerade=masquerade)


def chain_of(target: bytes) -> int:
    return (int(_NUMBER.unpack(target)[0]) & ~MASQUERADE) >> CHAIN_SHIFT


def number(value: int) -> bytes:
    """A 32-bit number in host order: a slot, a group, a handle."""
    return _NUMBER.pack(value)


def from_number(data: bytes) -> int:
    return int(_NUMBER.unpack(data)[0])
