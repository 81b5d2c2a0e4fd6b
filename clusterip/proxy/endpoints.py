"""From EndpointSlices to the endpoints of a Service port. Upstream: ``pkg/proxy/endpointslicecache.go``."""

from __future__ import annotations

from collections.abc import Iterable

from clusterip.kernel.nftables import Family
from clusterip.proxy import wire
from clusterip.proxy.model import Destination, Endpoint, ServiceKey, pack_address, pack_destination
from clusterip.proxy.services import PROTOCOLS

PortName = tuple[str, int, Family]
"""A port's name, protocol number and family: what slices and Services agree by."""

_FAMILIES = {"IPv4": (Family.IPV4, 4), "IPv6": (Family.IPV6, 16)}
_NO_CONDITIONS = wire.Conditions()


class SliceIndex:
    """The slices of each Service, kept as they change."""

    def __init__(self) -> None:
        # In order of their names: what two contradict each other in must not depend on time. A tuple,
        # because most Services have one slice, and a dictionary for each would be larger than the rest.
        self._slices: dict[ServiceKey, tuple[wire.EndpointSlice, ...]] = {}

    def change(self, old: wire.EndpointSlice | None, new: wire.EndpointSlice | None) -> set[ServiceKey]:
        """Take in a change (None: it was not, it is no more) and return the Services it touches."""
        before = service_of(old) if old is not None else None
        after = service_of(new) if new is not None else None
        if old is not None and before is not None:
            self._put(before, [held for held in self.of(before) if held.metadata.name != old.metadata.name])
        if new is not None and after is not None:
            others = (held for held in self.of(after) if held.metadata.name != new.metadata.name)
            self._put(after, sorted((*others, new), key=lambda held: held.metadata.name))
        return {key for key in (before, after) if key is not None}

    def of(self, service: ServiceKey) -> tuple[wire.EndpointSlice, ...]:
        return self._slices.get(service, ())

    def _put(self, service: ServiceKey, slices: list[wire.EndpointSlice]) -> None:
        if slices:
            self._slices[service] = tuple(slices)
        else:
            self._slices.pop(service, None)


def service_of(slice_: wire.EndpointSlice) -> ServiceKey | None:
    """The Service a slice belongs to, by its label; None for a slice of no Service."""
    labels = slice_.metadata.labels
    if labels is None or not labels.serviceName or slice_.addressType not in _FAMILIES:
        return None
    return ServiceKey(slice_.metadata.namespace, labels.serviceName)


def endpoints_by_port(slices: Iterable[wire.EndpointSlice], node: str) -> dict[PortName, list[Endpoint]]:
    """The endpoints in a Service's slices for each port, without duplicates.

    ``node`` is the name of the node that asks. An endpoint in several slices is about to move from one to
    the other, or its address has been given to a new Pod: then one that is not terminating counts.
    """
    found: dict[PortName, dict[Destination, Endpoint]] = {}
    for slice_ in slices:
        family, size = _FAMILIES[slice_.addressType]
        numbered = [
            ((port.name or "", protocol, family), port.port)
            for port in slice_.ports or ()
            if port.port and (protocol := PROTOCOLS.get(port.protocol or "TCP")) is not None
        ]
        if not numbered:
            continue
        for endpoint in slice_.endpoints or ():
            address = pack_address(endpoint.addresses[0]) if endpoint.addresses else None
            if address is None or len(address) != size:
                continue
            for name, port_number in numbered:
                destination = pack_destination(address, port_number)
                known = found.setdefault(name, {})
                read = _read(endpoint, destination, node)
                if destination not in known or not read.terminating:
                    known[destination] = read
    return {name: list(known.values()) for name, known in found.items()}


def _read(endpoint: wire.Endpoint, destination: Destination, node: str) -> Endpoint:
    # Absent conditions mean ready and serving: they are the writer's way to say "I do not know".
    conditions = endpoint.conditions or _NO_CONDITIONS
    hints = endpoint.hints
    return Endpoint(
        destination,
        ready=conditions.ready is not False,
        serving=conditions.serving is not False,
        terminating=conditions.terminating is True,
        local=bool(node) and endpoint.nodeName == node,
        zones=tuple(zone.name for zone in hints.forZones or ()) if hints else (),
        nodes=tuple(hinted.name for hinted in hints.forNodes or ()) if hints else (),
    )
