"""What a Service port has in the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from clusterip.kernel.nftables import Set
from clusterip.proxy.model import Choice, Destination, ServicePort
from clusterip.proxy.nftables import target
from clusterip.proxy.nftables.changes import Changes
from clusterip.proxy.nftables.counts import CountChain
from clusterip.proxy.nftables.elements import ElementOf
from clusterip.proxy.nftables.groups import Group, Handles, plainly
from clusterip.proxy.nftables.sets import Sets


class Programmed:
    """A Service port's groups, its handles if it is sticky, its chains and its elements."""

    __slots__ = ("chains", "choice", "cluster", "elements", "handles", "local", "number", "port")

    def __init__(self, port: ServicePort, number: int) -> None:
        self.port = port
        self.number = number
        self.choice = Choice()
        self.cluster: Group | None = None
        self.local: Group | None = None
        self.handles: dict[Destination, int] | None = {} if port.affinity_seconds else None
        self.chains: tuple[CountChain, ...] = ()
        self.elements: tuple[ElementOf, ...] = ()

    def regroup(self, choice: Choice, sets: Sets, changes: Changes, handles: Handles) -> None:
        """Have the groups hold the chosen endpoints."""
        if self.handles is not None:
            self._assign(choice, sets, changes, handles)
        value_of, set_of = self._slot_values(sets)
        self.cluster = self._update(self.cluster, choice.cluster, changes, set_of, value_of, local=False)
        self.local = self._update(self.local, choice.local, changes, set_of, value_of, local=True)
        if self.handles:
            wanted = {*choice.cluster, *choice.local}
            for destination in [each for each in self.handles if each not in wanted]:
                del self.handles[destination]

    def _slot_values(self, sets: Sets) -> tuple[Callable[[Destination], bytes], Callable[[int], Set]]:
        """What a slot of an endpoint holds, and which map has the slots of a group of some size."""
        handles = self.handles
        if handles is None:
            return plainly, sets.slots_of
        return lambda destination: target.number(handles[destination]), lambda _: sets.choices

    def _update(
        self,
        group: Group | None,
        wanted: tuple[Destination, ...],
        changes: Changes,
        set_of: Callable[[int], Set],
        value_of: Callable[[Destination], bytes],
        *,
        local: bool,
    ) -> Group | None:
        if not wanted and group is None:
            return None
        group = group or Group(self.number + local)
        group.update(wanted, changes, set_of, value_of)
        return group if wanted else None

    def _assign(self, choice: Choice, sets: Sets, changes: Changes, handles: Handles) -> None:
        """Give endpoints their handles; each policy's map leads from them to its own endpoints only."""
        assert self.handles is not None
        known = self.handles
        for group, wanted, map_ in (
            (self.cluster, choice.cluster, sets.handles),
            (self.local, choice.local, sets.local_handles),
        ):
            before = set(group.slots) if group is not None else set()
            after = set(wanted)
            for destination in wanted:
                if destination not in known:
                    known[destination] = handles.take()
                if destination not in before:
                    changes.put(map_, target.number(known[destination]), None, destination)
            for destination in before - after:
                changes.put(map_, target.number(known[destination]), destination, None)

    def slot_elements(self, set_: Set, sets: Sets) -> Iterator[tuple[bytes, bytes]]:
        """Its elements of one of ``Sets.slot_sets``."""
        if set_ in (sets.endpoints, sets.large, sets.choices):
            value_of, set_of = self._slot_values(sets)
            for group in (self.cluster, self.local):
                if group is not None and set_of(len(group.slots)) is set_:
                    yield from group.elements(value_of)
        elif self.handles is not None and set_ in (sets.handles, sets.local_handles):
            group = self.cluster if set_ is sets.handles else self.local
            for destination in group.slots if group is not None else ():
                yield target.number(self.handles[destination]), destination
