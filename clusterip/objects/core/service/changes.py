"""What an update of a Service keeps, fills in and drops.

A Service's fields depend on each other, and many were allocated: a client that sends an older or partial
object must not lose its addresses, and one that changes the type must not have to clear each field that
no longer applies. Upstream: ``pkg/registry/core/service/strategy.go`` and ``storage``.
"""

from __future__ import annotations

from clusterip.objects.core.service import predicates
from clusterip.objects.core.service.types import LoadBalancerStatus, Service, ServiceStatus
from clusterip.objects.strategy import keep_spec, keep_status


def prepare_create(service: Service) -> None:
    service.status = ServiceStatus()
    _drop_internal_policy(service)
    if service.spec.clusterIP and not service.spec.clusterIPs:
        service.spec.clusterIPs = [service.spec.clusterIP]


def prepare_update(new: Service, old: Service) -> None:
    keep_status(new, old)
    _drop_internal_policy(new)
    keep_allocated(new, old)
    synchronize_cluster_ips(new, old)
    drop_type_dependent(new, old)


def _drop_internal_policy(service: Service) -> None:
    """What only leads elsewhere has no traffic of its own to steer."""
    if service.spec.type == predicates.EXTERNAL_NAME:
        service.spec.internalTrafficPolicy = None


def prepare_status_update(new: Service, old: Service) -> None:
    keep_spec(new, old)


def keep_allocated(new: Service, old: Service) -> None:
    """Give ``new`` the addresses and ports that ``old`` was allocated, where it leaves them out."""
    if predicates.needs_cluster_ip(old) and predicates.needs_cluster_ip(new):
        new.spec.clusterIP = new.spec.clusterIP or old.spec.clusterIP
        new.spec.clusterIPs = new.spec.clusterIPs or list(old.spec.clusterIPs)
    if predicates.wants_node_ports(old) and predicates.wants_node_ports(new):
        _keep_node_ports(new, old)
    if (
        predicates.needs_health_check_node_port(old)
        and predicates.needs_health_check_node_port(new)
        and not new.spec.healthCheckNodePort
    ):
        new.spec.healthCheckNodePort = old.spec.healthCheckNodePort


def _keep_node_ports(new: Service, old: Service) -> None:
    taken = predicates.node_ports(old) & predicates.node_ports(new)
    by_name = {port.name: port.nodePort for port in old.spec.ports}
    for port in new.spec.ports:
        previous = by_name.get(port.name, 0)
        if not port.nodePort and previous not in taken:
            port.nodePort = previous


def synchronize_cluster_ips(new: Service, old: Service) -> None:
    """Make ``clusterIPs`` follow ``clusterIP`` for clients that know only the latter."""
    before, after = old.spec, new.spec
    if before.clusterIPs and not after.clusterIPs and before.clusterIP == after.clusterIP:
        after.clusterIPs = list(before.clusterIPs)
    if before.clusterIP != after.clusterIP and before.clusterIPs == after.clusterIPs:
        after.clusterIPs = [after.clusterIP] if after.clusterIP else []


def drop_type_dependent(new: Service, old: Service) -> None:
    """Clear what the new type has no use for, unless the client changed that field too.

    In that case it stays and validation says why it may not.
    """
    before, after = old.spec, new.spec
    if predicates.needs_cluster_ip(old) and not predicates.needs_cluster_ip(new):
        if (before.clusterIP, before.clusterIPs) == (after.clusterIP, after.clusterIPs):
            after.clusterIP, after.clusterIPs = "", []
        if before.ipFamilies == after.ipFamilies:
            after.ipFamilies = []
        if before.ipFamilyPolicy == after.ipFamilyPolicy:
            after.ipFamilyPolicy = None
    if (
        predicates.needs_node_ports(old)
        and not predicates.needs_node_ports(new)
        and predicates.same_node_ports(new, old)
    ):
        for port in after.ports:
            port.nodePort = 0
    if (
        predicates.needs_health_check_node_port(old)
        and not predicates.needs_health_check_node_port(new)
        and before.healthCheckNodePort == after.healthCheckNodePort
    ):
        after.healthCheckNodePort = 0
    if before.type == predicates.LOAD_BALANCER and after.type != predicates.LOAD_BALANCER:
        if before.allocateLoadBalancerNodePorts == after.allocateLoadBalancerNodePorts:
            after.allocateLoadBalancerNodePorts = None
        if before.loadBalancerClass == after.loadBalancerClass:
            after.loadBalancerClass = None
    if (
        predicates.is_externally_accessible(old)
        and not predicates.is_externally_accessible(new)
        and before.externalTrafficPolicy == after.externalTrafficPolicy
    ):
        after.externalTrafficPolicy = ""
    if after.type != predicates.LOAD_BALANCER:
        new.status.loadBalancer = LoadBalancerStatus()
