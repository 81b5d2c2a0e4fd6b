"""The endpoints of a slice as a few strings of bytes.

In large clusters endpoints are what there is most of. As objects of their own each takes a quarter of a
kilobyte and has to be read again with every change of its Service; packed they take about fifteen bytes,
and what is usual about them (all ready, no hints) is seen at once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from sys import intern
from typing import TYPE_CHECKING

import msgspec

from clusterip.proxy.model import Address, Destination, Endpoint, pack_address

if TYPE_CHECKING:
    from clusterip.proxy import wire

READY, SERVING, TERMINATING = 1, 2, 4
_PORT = struct.Struct("!Hxx")
_SIZES = {"IPv4": 4, "IPv6": 16}
_NO_HINTS: tuple[tuple[str, ...], ...] = ()
_USUAL = READY | SERVING
_MOST_HINTS = 4096
_hints: dict[tuple[str, ...], tuple[str, ...]] = {}


class Packed(msgspec.Struct, frozen=True, gc=False):
    """Endpoints in the order of their slice, those left out whose address cannot be read.

    ``addresses``: one after another, in network order, each ``size`` bytes. ``flags``: a byte for each.
    ``nodes``: their nodes' names, empty for none. ``zones`` and ``node_hints``: whom they are for by their
    hints; empty if no endpoint has any.
    """

    size: int = 4
    addresses: bytes = b""
    flags: bytes = b""
    nodes: tuple[str, ...] = ()
    zones: tuple[tuple[str, ...], ...] = _NO_HINTS
    node_hints: tuple[tuple[str, ...], ...] = _NO_HINTS

    def __len__(self) -> int:
        return len(self.flags)

    @property
    def is_usual(self) -> bool:
        """Whether all are ready, none is terminating and none has hints."""
        flags = self.flags
        return flags.count(_USUAL) == len(flags) and not self.zones and not self.node_hints

    def destinations(self, port: int) -> tuple[Destination, ...]:
        """All of them, with this port."""
        size, addresses, suffix = self.size, self.addresses, _PORT.pack(port)
        return tuple([addresses[at : at + size] + suffix for at in range(0, len(addresses), size)])

    def endpoints(self, port: int, node: str) -> Iterator[Endpoint]:
        """All of them one by one. ``node`` is the name of the node that asks."""
        none: tuple[str, ...] = ()
        for index, destination in enumerate(self.destinations(port)):
            flags = self.flags[index]
            yield Endpoint(
                destination,
                ready=bool(flags & READY),
                serving=bool(flags & SERVING),
                terminating=bool(flags & TERMINATING),
                local=bool(node) and self.nodes[index] == node,
                zones=self.zones[index] if self.zones else none,
                nodes=self.node_hints[index] if self.node_hints else none,
            )

    def ready_on(self, node: str) -> set[Address]:
        """The addresses of those on a node that are ready."""
        size = self.size
        return {
            self.addresses[index * size : (index + 1) * size]
            for index, name in enumerate(self.nodes)
            if name == node and self.flags[index] & READY
        }


NO_ENDPOINTS = Packed()


def pack(address_type: str, endpoints: Sequence[wire.Endpoint]) -> Packed:
    """Pack the endpoints of a slice; those of an ``address_type`` that is no IP's are none."""
    size = _SIZES.get(address_type)
    if size is None:
        return NO_ENDPOINTS
    addresses: list[bytes] = []
    flags = bytearray()
    nodes: list[str] = []
    hints: list[wire.Hints | None] = []
    for endpoint in endpoints:
        address = pack_address(endpoint.addresses[0]) if endpoint.addresses else None
        if address is None or len(address) != size:
            continue
        addresses.append(address)
        flags.append(_flags(endpoint.conditions))
        nodes.append(intern(endpoint.nodeName or ""))
        hints.append(endpoint.hints)
    zones = node_hints = _NO_HINTS
    if any(hints):
        zones = tuple(_shared(hint.forZones if hint else None) for hint in hints)
        node_hints = tuple(_shared(hint.forNodes if hint else None) for hint in hints)
    return Packed(size, b"".join(addresses), bytes(flags), tuple(nodes), zones, node_hints)


def _flags(conditions: wire.Conditions | None) -> int:
    # Absent conditions mean ready and serving: they are the writer's way to say "I do not know".
    if conditions is None:
        return _USUAL
    return (
        (READY if conditions.ready is not False else 0)
        | (SERVING if conditions.serving is not False else 0)
        | (TERMINATING if conditions.terminating is True else 0)
    )


def _shared(hints: tuple[wire.Named, ...] | None) -> tuple[str, ...]:
    """The names in hints; equal ones are one object, because there are few different."""
    if not hints:
        return ()
    names = tuple(intern(named.name) for named in hints)
    if len(_hints) > _MOST_HINTS:
        _hints.clear()
    return _hints.setdefault(names, names)
