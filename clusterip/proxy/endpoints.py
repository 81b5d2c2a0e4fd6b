"""From EndpointSlices to the endpoints of a Service port. Upstream: ``pkg/proxy/endpointslicecache.go``."""

from __future__ import annotations

from collections.abc import Iterable

from clusterip.proxy import wire
from clusterip.proxy.model import Destination, Endpoint, PortKey, ServiceKey
from clusterip.proxy.packing import Packed
from clusterip.proxy.services import PROTOCOLS, is_port

_FAMILIES = {4: "IPv4", 6: "IPv6"}


class Part:
    """The endpoints that one slice has for a Service port."""

    __slots__ = ("destinations", "packed", "port")

    def __init__(self, packed: Packed, port: int) -> None:
        self.packed = packed
        self.port = port
        self.destinations = packed.destinations(port)


class SliceIndex:
    """The slices of each Service, kept as they change."""

    def __init__(self) -> None:
        # In order of their names: what two contradict each other in must not depend on time. A tuple,
        # because most Services have one slice, and a dictionary for each would be larger than the rest.
        self._slices: dict[ServiceKey, tuple[wire.EndpointSlice, ...]] = {}
        # Of Services with several slices: what was read from each, so that a change of one slice of a
        # hundred is work for one.
        self._parts: dict[ServiceKey, dict[tuple[str, int], Part]] = {}

    def change(self, old: wire.EndpointSlice | None, new: wire.EndpointSlice | None) -> set[ServiceKey]:
        """Take in a change (None: it was not, it is no more) and return the Services it touches."""
        before = service_of(old) if old is not None else None
        after = service_of(new) if new is not None else None
        if old is not None and before is not None and before != after:
            self._put(before, [held for held in self.of(before) if held.metadata.name != old.metadata.name])
        if new is not None and after is not None:
            others = (held for held in self.of(after) if held.metadata.name != new.metadata.name)
            self._put(after, sorted((*others, new), key=lambda held: held.metadata.name))
        return {key for key in (before, after) if key is not None}

    def of(self, service: ServiceKey) -> tuple[wire.EndpointSlice, ...]:
        return self._slices.get(service, ())

    def parts(self, key: PortKey) -> list[Part]:
        """The endpoints of a Service port, slice by slice."""
        slices = self.of(key.service)
        if len(slices) == 1:
            number = _port_of(slices[0], key)
            return [Part(slices[0].packed, number)] if number else []
        known = self._parts.setdefault(key.service, {}) if slices else {}
        found = []
        for slice_ in slices:
            if number := _port_of(slice_, key):
                place = slice_.metadata.name, number
                part = known.get(place)
                if part is None or part.packed is not slice_.packed:
                    part = known[place] = Part(slice_.packed, number)
                found.append(part)
        return found

    def _put(self, service: ServiceKey, slices: list[wire.EndpointSlice]) -> None:
        if slices:
            self._slices[service] = tuple(slices)
        else:
            self._slices.pop(service, None)
        known = self._parts.get(service)
        if known is not None:
            names = {slice_.metadata.name for slice_ in slices} if len(slices) > 1 else set()
            self._parts[service] = {place: part for place, part in known.items() if place[0] in names}
            if not self._parts[service]:
                del self._parts[service]


def service_of(slice_: wire.EndpointSlice) -> ServiceKey | None:
    """The Service a slice belongs to, by its label; None for a slice of no Service."""
    labels = slice_.metadata.labels
    if labels is None or not labels.serviceName or slice_.addressType not in _FAMILIES.values():
        return None
    return ServiceKey(slice_.metadata.namespace, labels.serviceName)


def _port_of(slice_: wire.EndpointSlice, key: PortKey) -> int:
    """The number that a slice's endpoints have for a Service port; 0 if they do not have it."""
    if slice_.addressType != ("IPv4" if key.family == 2 else "IPv6"):
        return 0
    for port in slice_.ports or ():
        if (port.name or "") == key.port and PROTOCOLS.get(port.protocol or "TCP") == key.protocol:
            return port.port if port.port is not None and is_port(port.port) else 0
    return 0


def one_by_one(parts: Iterable[Part], node: str) -> list[Endpoint]:
    """The endpoints in parts, without duplicates. ``node`` is the name of the node that asks.

    An endpoint in several slices is about to move from one to the other, or its address has been given to
    a new Pod: then one that is not terminating counts.
    """
    known: dict[Destination, Endpoint] = {}
    for part in parts:
        for endpoint in part.packed.endpoints(part.port, node):
            if endpoint.destination not in known or not endpoint.terminating:
                known[endpoint.destination] = endpoint
    return list(known.values())
