"""Validation of how traffic is steered: policies, session affinity, health checks, distribution."""

from __future__ import annotations

from clusterip.objects import names
from clusterip.objects.core.service import predicates
from clusterip.objects.core.service.types import Service
from clusterip.objects.errors import (
    ErrorList,
    Path,
    forbidden,
    invalid,
    invalid_each,
    not_supported,
    required,
)

TRAFFIC_POLICIES = ("Cluster", "Local")
SESSION_AFFINITIES = ("ClientIP", "None")
TRAFFIC_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
MAX_CLIENT_IP_TIMEOUT_SECONDS = 86400

_SPEC = Path("spec")


def validate_session_affinity(service: Service) -> ErrorList:
    affinity, config = service.spec.sessionAffinity, service.spec.sessionAffinityConfig
    errors: ErrorList = []
    where = _SPEC.child("sessionAffinity")
    if not affinity:
        errors.append(required(where))
    elif affinity not in SESSION_AFFINITIES:
        errors.append(not_supported(where, affinity, SESSION_AFFINITIES))
    where = _SPEC.child("sessionAffinityConfig")
    if affinity == "None" and config is not None:
        errors.append(forbidden(where, "must not be set when session affinity is None"))
    elif affinity == "ClientIP":
        missing = "when session affinity type is ClientIP"
        if config is None:
            errors.append(required(where, missing))
        elif config.clientIP is None:
            errors.append(required(where.child("clientIP"), missing))
        elif config.clientIP.timeoutSeconds is None:
            errors.append(required(where.child("clientIP", "timeoutSeconds"), missing))
        elif not 0 < config.clientIP.timeoutSeconds <= MAX_CLIENT_IP_TIMEOUT_SECONDS:
            message = f"must be greater than 0 and less than {MAX_CLIENT_IP_TIMEOUT_SECONDS}"
            timeout = config.clientIP.timeoutSeconds
            errors.append(invalid(where.child("clientIP", "timeoutSeconds"), timeout, message))
    return errors


def validate_external_traffic(service: Service) -> ErrorList:
    """Errors of ``externalTrafficPolicy`` and of the ``healthCheckNodePort`` that goes with ``Local``."""
    errors: ErrorList = []
    policy, where = service.spec.externalTrafficPolicy, _SPEC.child("externalTrafficPolicy")
    if not predicates.is_externally_accessible(service):
        if policy:
            errors.append(invalid(where, policy, "may only be set for externally-accessible services"))
    elif not policy:
        errors.append(required(where))
    elif policy not in TRAFFIC_POLICIES:
        errors.append(not_supported(where, policy, TRAFFIC_POLICIES))
    port, where = service.spec.healthCheckNodePort, _SPEC.child("healthCheckNodePort")
    if not predicates.needs_health_check_node_port(service):
        if port:
            message = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            errors.append(invalid(where, port, message))
    elif not port:
        errors.append(required(where))
    else:
        errors += invalid_each(where, port, names.port_number(port))
    return errors


def validate_external_traffic_update(new: Service, old: Service) -> ErrorList:
    if (
        predicates.needs_health_check_node_port(old)
        and predicates.needs_health_check_node_port(new)
        and new.spec.healthCheckNodePort != old.spec.healthCheckNodePort
    ):
        return [forbidden(_SPEC.child("healthCheckNodePort"), "field is immutable")]
    return []


def validate_internal_traffic(service: Service) -> ErrorList:
    policy, where = service.spec.internalTrafficPolicy, _SPEC.child("internalTrafficPolicy")
    if policy is None:
        types = (predicates.CLUSTER_IP, predicates.NODE_PORT, predicates.LOAD_BALANCER)
        return [required(where)] if service.spec.type in types else []
    if policy not in TRAFFIC_POLICIES:
        return [not_supported(where, policy, TRAFFIC_POLICIES)]
    return []


def validate_traffic_distribution(service: Service) -> ErrorList:
    distribution = service.spec.trafficDistribution
    if distribution is None or distribution in TRAFFIC_DISTRIBUTIONS:
        return []
    return [not_supported(_SPEC.child("trafficDistribution"), distribution, TRAFFIC_DISTRIBUTIONS)]
