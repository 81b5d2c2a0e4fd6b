"""How ``kubectl get endpointslices`` shows an EndpointSlice."""

from __future__ import annotations

from typing import Any

from clusterip.objects import times
from clusterip.objects.discovery.endpointslice.types import EndpointSlice
from clusterip.objects.registry import Column
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN, UNSET, shortened

COLUMNS = (
    NAME_COLUMN,
    Column("AddressType", description="IPv4, IPv6 or FQDN."),
    Column("Ports", description="The ports of each endpoint."),
    Column("Endpoints", description="Their addresses, ready or not."),
    AGE_COLUMN,
)


def row(endpoint_slice: EndpointSlice) -> list[Any]:
    meta = endpoint_slice.metadata
    ports = [
        str(port.port) if port.port is not None else "*" if port.name is None else port.name
        for port in endpoint_slice.ports
    ]
    addresses = [address for endpoint in endpoint_slice.endpoints for address in endpoint.addresses]
    return [
        meta.name,
        endpoint_slice.addressType,
        shortened(ports) or UNSET,
        shortened(addresses) or UNSET,
        times.age(meta.creationTimestamp),
    ]
