"""Records what netfilter does with one connection's packets in one network namespace.

A table of our own sets ``nftrace`` on packets that carry our mark in the differentiated services field
(which routers and address translation leave alone, so that every node knows them by it), remembers where
they say they come from, and does the same to packets that go back there. It decides nothing about any
packet. The table belongs to a socket of this process: the kernel removes it when that is closed, however
the process ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from clusterip.kernel.namespaces import Namespace, run_in
from clusterip.kernel.nftables import Batch, Chain, Family, Hook, Nftables, Set, SetFlag, Table
from clusterip.kernel.nftables import expressions as x
from clusterip.kernel.nftables.batch import Element
from clusterip.kernel.nftables.model import INET_SERVICE, IPV4_ADDR, IPV6_ADDR
from clusterip.kernel.nftables.tracing import Headers, TraceEvent, TraceSocket

_BEFORE_ALL, _AFTER_ALL = -350, 350
WATCHED_MARKS = (0x03, 0x07, 0x0B, 0x0F, 0x13, 0x17, 0x1B, 0x1F, 0x23, 0x27, 0x2B, 0x2F, 0x33, 0x37, 0x3B)
"""Values of the differentiated services field that are for local use (RFC 2474, pool 2)."""


class Passage(NamedTuple):
    """A packet's walk through one base chain: its events, of which the first has the packet's headers."""

    headers: Headers
    events: tuple[TraceEvent, ...]

    @property
    def chain(self) -> tuple[str, str, str]:
        """Family, table and name of the base chain."""
        first = self.events[0]
        return first.family, first.table, first.chain

    @property
    def ends(self) -> str:
        """``drop`` if the packet ended here."""
        return self.events[-1].verdict


class Recorder:
    """Records in one network namespace from ``__init__`` to ``close``."""

    def __init__(self, namespace: Namespace, family: Family, protocol: int, ports: Iterable[int], mark: int):
        """Raises NftablesError or OSError if the kernel has no nftables or this may not use it.

        ``ports`` are those that the connection may be made to, before and after translation.
        """
        self.table = Table(family, f"clusterip-trace-{os.getpid()}")
        self._nftables = run_in(namespace, Nftables)
        try:
            self.socket = run_in(namespace, TraceSocket)
        except BaseException:
            self._nftables.close()
            raise
        try:
            self._nftables.commit(_batch(self.table, protocol, sorted(set(ports)), mark))
        except BaseException:
            self.close()
            raise
        self._events: list[TraceEvent] = []

    def read(self) -> None:
        """Take what the kernel has told."""
        self._events += self.socket.drain()

    def close(self) -> None:
        self.socket.close()
        self._nftables.close()

    def passages(self) -> list[Passage]:
        """What was recorded, in order."""
        open_: dict[int, list[TraceEvent]] = {}
        runs: list[list[TraceEvent]] = []
        for event in self._events:
            if event.headers is not None:
                open_[event.packet] = [event]
                runs.append(open_[event.packet])
            elif event.packet in open_:
                open_[event.packet].append(event)
        return [Passage(run[0].headers, tuple(run)) for run in runs if run[0].headers is not None]

    def is_own(self, passage: Passage) -> bool:
        """Whether it is one of the chains that only look."""
        return passage.chain[1] == self.table.name


def _batch(table: Table, protocol: int, ports: list[int], mark: int) -> Batch:
    family = table.family
    address = IPV4_ADDR if family is Family.IPV4 else IPV6_ADDR
    words = address.padded // 4
    ours = Set("ours", (address, INET_SERVICE), flags=SetFlag.EVAL, size=64)
    wanted = Set("ports", (INET_SERVICE,))
    is_protocol = [x.layer4_protocol(0), x.equals(0, bytes((protocol,)))]
    marked = [
        *is_protocol,
        *x.has_dscp(family, 0, mark),
        x.destination_port(0),
        x.lookup(wanted.name, 0),
        x.source_address(family, 0),
        x.source_port(words),
        x.add_element(ours.name, 0),
    ]
    answering = [
        *is_protocol,
        x.destination_address(family, 0),
        x.destination_port(words),
        x.lookup(ours.name, 0),
        x.trace(),
    ]
    batch = Batch()
    batch.add_table(table, owned=True)
    batch.add_set(table, ours)
    batch.add_set(table, wanted)
    batch.add_ranges(table, wanted, [Element(port.to_bytes(2, "big")) for port in ports])
    for hook in Hook:
        name = hook.name.lower()
        first = hook in (Hook.PREROUTING, Hook.OUTPUT)
        batch.add_chain(table, Chain(name, "filter", hook, _BEFORE_ALL if first else _AFTER_ALL))
        if first:
            batch.add_rule(table, name, [*marked, x.trace()])
            batch.add_rule(table, name, answering)
        elif hook is Hook.POSTROUTING:  # with the source that the next node sees
            batch.add_rule(table, name, marked)
    return batch
