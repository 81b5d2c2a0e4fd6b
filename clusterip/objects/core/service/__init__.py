"""Service: a stable address and name in front of the Pods that a selector picks.

Its fields are in ``types``; what a request leaves out in ``defaults``; what an update may change and what
follows from it in ``changes``; what is valid in ``validation`` and the modules it calls, one for each
group of fields.
"""

from clusterip.objects.core.service.changes import prepare_create, prepare_status_update, prepare_update
from clusterip.objects.core.service.defaults import set_defaults
from clusterip.objects.core.service.table import COLUMNS, row
from clusterip.objects.core.service.types import (
    ClientIPConfig,
    LoadBalancerIngress,
    LoadBalancerStatus,
    PortStatus,
    Service,
    ServicePort,
    ServiceSpec,
    ServiceStatus,
    SessionAffinityConfig,
)
from clusterip.objects.core.service.validation import validate, validate_status_update, validate_update
from clusterip.objects.core.service.warnings import warnings
from clusterip.objects.registry import Resource, register

__all__ = [
    "SERVICES",
    "ClientIPConfig",
    "LoadBalancerIngress",
    "LoadBalancerStatus",
    "PortStatus",
    "Service",
    "ServicePort",
    "ServiceSpec",
    "ServiceStatus",
    "SessionAffinityConfig",
]

SERVICES = register(
    Resource(
        type=Service,
        group="",
        version="v1",
        plural="services",
        namespaced=True,
        singular="service",
        short_names=("svc",),
        categories=("all",),
        status=True,
        set_defaults=set_defaults,
        prepare_create=prepare_create,
        prepare_update=prepare_update,
        prepare_status_update=prepare_status_update,
        validate=validate,
        validate_update=validate_update,
        validate_status_update=validate_status_update,
        warnings=warnings,
        columns=COLUMNS,
        row=row,
        fields={
            "spec.clusterIP": lambda service: service.spec.clusterIP,
            "spec.type": lambda service: service.spec.type,
        },
    )
)
