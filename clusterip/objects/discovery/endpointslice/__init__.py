"""EndpointSlice: some of the endpoints behind a Service, of one address type and with the same ports."""

from clusterip.objects.discovery.endpointslice.changes import prepare_create, prepare_update, set_defaults
from clusterip.objects.discovery.endpointslice.table import COLUMNS, row
from clusterip.objects.discovery.endpointslice.types import (
    Endpoint,
    EndpointConditions,
    EndpointHints,
    EndpointPort,
    EndpointSlice,
    ForNode,
    ForZone,
)
from clusterip.objects.discovery.endpointslice.validation import MAX_ENDPOINTS, validate, validate_update
from clusterip.objects.discovery.endpointslice.warnings import (
    CONTROLLER,
    MANAGED_BY,
    MIRRORING_CONTROLLER,
    warnings,
)
from clusterip.objects.registry import Resource, register

__all__ = [
    "CONTROLLER",
    "ENDPOINTSLICES",
    "MANAGED_BY",
    "MAX_ENDPOINTS",
    "MIRRORING_CONTROLLER",
    "Endpoint",
    "EndpointConditions",
    "EndpointHints",
    "EndpointPort",
    "EndpointSlice",
    "ForNode",
    "ForZone",
]

ENDPOINTSLICES = register(
    Resource(
        type=EndpointSlice,
        group="discovery.k8s.io",
        version="v1",
        plural="endpointslices",
        namespaced=True,
        singular="endpointslice",
        set_defaults=set_defaults,
        prepare_create=prepare_create,
        prepare_update=prepare_update,
        validate=validate,
        validate_update=validate_update,
        warnings=warnings,
        columns=COLUMNS,
        row=row,
    )
)
