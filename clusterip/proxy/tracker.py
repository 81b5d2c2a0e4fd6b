"""What the API says, and which Service ports a change of it touches."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import NamedTuple

from clusterip.proxy import wire
from clusterip.proxy.choose import choose_from, serving
from clusterip.proxy.endpoints import SliceIndex
from clusterip.proxy.model import Destination, PortKey, PortState, ServiceKey
from clusterip.proxy.services import health_check_port, key_of, service_ports


class PortChange(NamedTuple):
    """A Service port that is different now; None: it was not, or it is no more."""

    key: PortKey
    old: PortState | None
    new: PortState | None


class Tracker:
    """Services, EndpointSlices and this node, and the Services whose ports must be computed anew."""

    def __init__(self, node_name: str) -> None:
        self.node_name = node_name
        self.zone = ""
        self._services: dict[ServiceKey, wire.Service] = {}
        self._slices = SliceIndex()
        self._dirty: set[ServiceKey] = set()
        self._touched: set[ServiceKey] = set()
        self._states: dict[ServiceKey, tuple[PortState, ...]] = {}

    @property
    def ports(self) -> int:
        """How many Service ports there are, as last computed."""
        return sum(map(len, self._states.values()))

    @property
    def has_changes(self) -> bool:
        return bool(self._dirty)

    def service_changed(self, old: wire.Service | None, new: wire.Service | None) -> None:
        if new is not None:
            key = key_of(new)
            self._services[key] = new
            self._dirty.add(key)
        elif old is not None:
            key = key_of(old)
            self._services.pop(key, None)
            self._dirty.add(key)

    def slice_changed(self, old: wire.EndpointSlice | None, new: wire.EndpointSlice | None) -> None:
        self._dirty |= self._slices.change(old, new)

    def node_changed(self, node: wire.Node | None) -> None:
        """This node's object: its zone decides which topology hints are for it."""
        labels = node.metadata.labels if node is not None else None
        zone = labels.zone if labels is not None else ""
        if zone != self.zone:
            self.zone = zone
            self._dirty |= set(self._services)

    def take_changes(self) -> Iterator[PortChange]:
        """Compute the ports of all Services touched since last asked, those that are gone first."""
        dirty, self._dirty = self._dirty, set()
        self._touched |= dirty
        appearing = []
        for key in dirty:
            known = self._states.get(key)
            new = self._compute(key)
            if known is None:  # as most, at the start
                if new:
                    self._states[key] = tuple(new.values())
                    appearing += [PortChange(port_key, None, state) for port_key, state in new.items()]
                continue
            old = {state.port.key: state for state in known}
            if new:
                self._states[key] = tuple(new.values())
            else:
                self._states.pop(key, None)
            for port_key in old.keys() - new.keys():
                yield PortChange(port_key, old[port_key], None)
            for port_key, state in new.items():
                before = old.get(port_key)
                if before != state:
                    appearing.append(PortChange(port_key, before, state))
        yield from appearing

    def take_touched(self) -> set[ServiceKey]:
        """The Services whose ports were computed since last asked."""
        touched, self._touched = self._touched, set()
        return touched

    def states(self) -> Iterator[PortState]:
        """All Service ports as last computed."""
        for states in self._states.values():
            yield from states

    def services(self) -> Iterator[ServiceKey]:
        """The Services that have ports, as last computed."""
        yield from self._states

    def states_of(self, key: ServiceKey) -> tuple[PortState, ...]:
        """A Service's ports as last computed."""
        return self._states.get(key, ())

    def is_pending(self, key: ServiceKey) -> bool:
        """Whether a Service's ports must be computed anew."""
        return key in self._dirty

    def health_check(self, key: ServiceKey) -> int:
        """The Service's health check node port, 0 for none."""
        service = self._services.get(key)
        return health_check_port(service) if service is not None else 0

    def local_endpoints(self, key: ServiceKey) -> int:
        """How many distinct addresses on this node are ready to serve the Service."""
        found: set[bytes] = set()
        for slice_ in self._slices.of(key):
            if slice_.ports:
                found |= slice_.packed.ready_on(self.node_name)
        return len(found)

    def _compute(self, key: ServiceKey) -> dict[PortKey, PortState]:
        service = self._services.get(key)
        ports = service_ports(service) if service is not None else []
        if not ports:
            return {}
        states = {}
        for port in ports:
            parts = self._slices.parts(port.key)
            choice = choose_from(port, parts, self.node_name, self.zone)
            answering = serving(parts) if port.key.protocol == socket.IPPROTO_UDP else _NONE
            states[port.key] = PortState(port, choice, answering)
        return states


_NONE: frozenset[Destination] = frozenset()
