"""Validation of a Service as a whole (``pkg/apis/core/validation``, ``ValidateService*``)."""

from __future__ import annotations

from clusterip.objects import names
from clusterip.objects.core.service import predicates
from clusterip.objects.core.service.cluster_ips import validate_cluster_ips, validate_cluster_ips_update
from clusterip.objects.core.service.external import (
    validate_external_ips,
    validate_external_name,
    validate_load_balancer_class_update,
    validate_load_balancer_fields,
    validate_load_balancer_status,
    validate_source_ranges,
)
from clusterip.objects.core.service.ports import validate_ports, validate_unique_ports
from clusterip.objects.core.service.traffic import (
    validate_external_traffic,
    validate_external_traffic_update,
    validate_internal_traffic,
    validate_session_affinity,
    validate_traffic_distribution,
)
from clusterip.objects.core.service.types import Service
from clusterip.objects.errors import ErrorList, Path, invalid
from clusterip.objects.metadata import (
    METADATA,
    validate_labels,
    validate_object_meta,
    validate_object_meta_update,
)
from clusterip.objects.rules import one_of

TOPOLOGY_MODE = "service.kubernetes.io/topology-mode"
TOPOLOGY_AWARE_HINTS = "service.kubernetes.io/topology-aware-hints"
TYPES = (
    predicates.CLUSTER_IP,
    predicates.EXTERNAL_NAME,
    predicates.LOAD_BALANCER,
    predicates.NODE_PORT,
)

_SPEC = Path("spec")
_PORTS = _SPEC.child("ports")


def validate(service: Service) -> ErrorList:
    """Errors of a new Service, after defaulting and allocation."""
    errors = validate_object_meta(service.metadata, namespaced=True, name_rule=names.dns_label)
    return errors + _validate(service, None)


def validate_update(new: Service, old: Service) -> ErrorList:
    return (
        validate_object_meta_update(new.metadata, old.metadata)
        + validate_cluster_ips_update(new, old)
        + validate_load_balancer_class_update(new, old)
        + validate_external_traffic_update(new, old)
        + _validate(new, old)
    )


def validate_status_update(new: Service, old: Service) -> ErrorList:
    errors = validate_object_meta_update(new.metadata, old.metadata)
    return errors + validate_load_balancer_status(new, old.status.loadBalancer)


def _validate(service: Service, old: Service | None) -> ErrorList:
    return (
        _topology_annotations(service)
        + _type_fields(service)
        + validate_ports(service, _PORTS)
        + validate_labels(service.spec.selector, _SPEC.child("selector"))
        + validate_session_affinity(service)
        + validate_cluster_ips(service, old)
        + validate_external_ips(service, old)
        + one_of(_SPEC.child("type"), service.spec.type, TYPES)
        + validate_unique_ports(service, _PORTS)
        + validate_source_ranges(service, old)
        + validate_load_balancer_fields(service)
        + validate_external_traffic(service)
        + validate_internal_traffic(service)
        + validate_traffic_distribution(service)
    )


def _topology_annotations(service: Service) -> ErrorList:
    annotations = service.metadata.annotations
    mode, hints = annotations.get(TOPOLOGY_MODE), annotations.get(TOPOLOGY_AWARE_HINTS)
    if mode is None or hints is None or mode == hints:
        return []
    message = f"must match annotations[{TOPOLOGY_AWARE_HINTS}] when both are specified"
    return [invalid(METADATA.child("annotations").key(TOPOLOGY_MODE), mode, message)]


def _type_fields(service: Service) -> ErrorList:
    kind = service.spec.type
    if kind == predicates.EXTERNAL_NAME:
        return validate_external_name(service)
    if predicates.needs_node_ports(service) and predicates.is_headless(service):
        message = f"may not be set to 'None' for {kind} services"
        return [invalid(_SPEC.child("clusterIPs").item(0), predicates.HEADLESS, message)]
    return []
