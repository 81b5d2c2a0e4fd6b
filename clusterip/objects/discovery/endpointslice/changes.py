"""What an EndpointSlice gets for fields left out, and when its generation counts up."""

from __future__ import annotations

from clusterip.objects.discovery.endpointslice.types import EndpointSlice


def set_defaults(endpoint_slice: EndpointSlice) -> None:
    for port in endpoint_slice.ports:
        if port.name is None:
            port.name = ""
        if port.protocol is None:
            port.protocol = "TCP"


def prepare_create(endpoint_slice: EndpointSlice) -> None:
    endpoint_slice.metadata.generation = 1
    _drop_topology(endpoint_slice)


def prepare_update(new: EndpointSlice, old: EndpointSlice) -> None:
    unchanged = (
        new.endpoints == old.endpoints
        and new.ports == old.ports
        and new.addressType == old.addressType
        and new.metadata.labels == old.metadata.labels
    )
    new.metadata.generation = old.metadata.generation + (0 if unchanged else 1)
    _drop_topology(new)


def _drop_topology(endpoint_slice: EndpointSlice) -> None:
    # A v1beta1 field, of which v1 keeps the name only.
    for endpoint in endpoint_slice.endpoints:
        endpoint.deprecatedTopology = {}
