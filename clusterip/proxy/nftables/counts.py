"""Count chains: one chain for each *number* of endpoints (and way in, policy, affinity), not for each Service.

`numgen random mod N` needs N as a constant, so Services with five endpoints share the chain that draws
from five. The maps ``services`` and ``node-ports`` hold a *code* for each entry; ``dispatch`` has the
chain of each code. Codes are plain values, because the kernel validates a whole verdict map whenever a
verdict with a chain is added to it: with a verdict for each Service, a change would cost time
proportional to the number of Services.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from clusterip.kernel.nftables import Batch, Chain, Set
from clusterip.kernel.nftables import expressions as x
from clusterip.kernel.nftables.batch import Element, Verdict
from clusterip.proxy.nftables.layout import MASQUERADE_KIND, Layout

_CODE = struct.Struct("=II")
_LOCAL_KIND = 1 << 20
_ENTRY_SHIFT = 22
_AFFINITY_MASK = (1 << 20) - 1  # a day's seconds, the most that may be configured, take 17 bits


class Entry(IntEnum):
    """By what kind of address a connection came in: it says where to find the ClusterIP it stands for."""

    CLUSTER_IP = 1
    EXTERNAL = 2
    NODE_PORT = 3


class CountChain(NamedTuple):
    """What one count chain does: draw one of ``count`` endpoints.

    ``local``: of those on this node. ``masquerade``: and hide the client's address.
    ``affinity_seconds``: and remember the choice for the client so long after its last connection; 0: do not.
    """

    entry: Entry
    count: int
    local: bool = False
    masquerade: bool = False
    affinity_seconds: int = 0

    @property
    def code(self) -> bytes:
        """The value that stands for this chain in ``services`` and the maps beside it."""
        kind = self.entry << _ENTRY_SHIFT | self.affinity_seconds
        if self.local:
            kind |= _LOCAL_KIND
        if self.masquerade:
            kind |= MASQUERADE_KIND
        return _CODE.pack(self.count, kind)

    @property
    def name(self) -> str:
        parts = [self.entry.name.lower().replace("_", "-")]
        if self.local:
            parts.append("local")
        if self.masquerade:
            parts.append("masquerade")
        if self.affinity_seconds:
            parts.append(f"sticky-{self.affinity_seconds}s")
        return "-".join([*parts, str(self.count)])


def from_code(code: bytes) -> CountChain | None:
    """The chain that a code stands for; None for the codes of refusals."""
    count, kind = _CODE.unpack(code)
    if count == 0:
        return None
    return CountChain(
        Entry(kind >> _ENTRY_SHIFT),
        count,
        bool(kind & _LOCAL_KIND),
        bool(kind & MASQUERADE_KIND),
        kind & _AFFINITY_MASK,
    )


def create(batch: Batch, layout: Layout, chain: CountChain) -> None:
    """Add a count chain, its rules and its dispatch element to a batch."""
    batch.add_chain(layout.table, Chain(chain.name))
    if chain.masquerade:
        batch.add_rule(layout.table, chain.name, layout.mark_for_masquerade())
    rules = _affine_rules(layout, chain) if chain.affinity_seconds else [_plain_rule(layout, chain)]
    for rule in rules:
        batch.add_rule(layout.table, chain.name, rule)
    batch.add_ranges(layout.table, layout.dispatch, [Element(chain.code, Verdict(x.GOTO, chain.name))])


def _resolve(layout: Layout, entry: Entry) -> list[x.Expression]:
    """Load the ClusterIP, protocol and port whose endpoints the connection is for."""
    if entry is Entry.CLUSTER_IP:
        return layout.frontend_key()
    if entry is Entry.EXTERNAL:
        return [*layout.frontend_key(), x.lookup_value(layout.external_services.name, 0, 0)]
    return [*layout.node_port_key(), x.lookup_value(layout.node_port_services.name, 0, 0)]


def _draw(layout: Layout, chain: CountChain, into: int) -> list[x.Expression]:
    """Load one endpoint of those in the key's slots."""
    map_: Set = layout.local_endpoints if chain.local else layout.endpoints
    return [x.random_number(layout.words + 2, chain.count), x.lookup_value(map_.name, 0, into)]


def _plain_rule(layout: Layout, chain: CountChain) -> list[x.Expression]:
    address = layout.words + 3
    return [
        *_resolve(layout, chain.entry),
        *_draw(layout, chain, address),
        x.dnat(layout.family, address, address + layout.words),
    ]


def _affine_rules(layout: Layout, chain: CountChain) -> list[list[x.Expression]]:
    """First: the endpoint this client had, if it still counts. Second: draw one and remember it.

    An endpoint that is gone is not searched for in ``affinity``: its element in ``affine-endpoints`` is
    taken away, which is work for one endpoint and not for all its clients. What was remembered is
    deleted when the client comes next, or by its timeout.
    """
    client = layout.words + 2  # the register after ClusterIP, protocol, port
    chosen = client + layout.words
    members = layout.affine_local_endpoints if chain.local else layout.affine_endpoints
    milliseconds = chain.affinity_seconds * 1000
    resolve = _resolve(layout, chain.entry)
    load_client = x.source_address(layout.family, client)
    remember = x.update_element(layout.affinity.name, 0, chosen, milliseconds)
    to_chosen = x.dnat(layout.family, chosen, chosen + layout.words)
    remembered = [
        *resolve,
        load_client,
        x.lookup_value(layout.affinity.name, 0, client),  # the endpoint, now in the client's place
        x.lookup(members.name, 0),
        load_client,
        x.lookup_value(layout.affinity.name, 0, chosen),
        remember,
        to_chosen,
    ]
    drawn = [
        *resolve,
        *_draw(layout, chain, chosen),
        load_client,
        x.delete_element(layout.affinity.name, 0, chosen),
        remember,
        to_chosen,
    ]
    return [remembered, drawn]
