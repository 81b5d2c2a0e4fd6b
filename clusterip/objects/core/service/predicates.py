"""Questions about a Service that defaulting, validation, allocation and the data plane all ask."""

from __future__ import annotations

from clusterip.objects.core.service.types import Service

CLUSTER_IP = "ClusterIP"
NODE_PORT = "NodePort"
LOAD_BALANCER = "LoadBalancer"
EXTERNAL_NAME = "ExternalName"

HEADLESS = "None"
"""The ``clusterIP`` of a Service that has none on purpose."""

SINGLE_STACK = "SingleStack"
PREFER_DUAL_STACK = "PreferDualStack"
REQUIRE_DUAL_STACK = "RequireDualStack"


def is_headless(service: Service) -> bool:
    return service.spec.clusterIPs == [HEADLESS]


def needs_cluster_ip(service: Service) -> bool:
    """Whether ``clusterIP`` means something for its type (``None`` counts as a value)."""
    return service.spec.type != EXTERNAL_NAME


def needs_node_ports(service: Service) -> bool:
    return service.spec.type in (NODE_PORT, LOAD_BALANCER)


def wants_node_ports(service: Service) -> bool:
    """Whether its ports are given node ports unasked: those of a load balancer may do without."""
    if service.spec.type == NODE_PORT:
        return True
    return service.spec.type == LOAD_BALANCER and service.spec.allocateLoadBalancerNodePorts is not False


def needs_health_check_node_port(service: Service) -> bool:
    return service.spec.type == LOAD_BALANCER and service.spec.externalTrafficPolicy == "Local"


def is_externally_accessible(service: Service) -> bool:
    """Whether traffic from outside the cluster may reach it, so that ``externalTrafficPolicy`` counts."""
    return needs_node_ports(service) or (service.spec.type == CLUSTER_IP and bool(service.spec.externalIPs))


def same_node_ports(new: Service, old: Service) -> bool:
    """Whether ``new`` asks for no node port that ``old`` did not have."""
    return node_ports(new) <= node_ports(old)


def node_ports(service: Service) -> set[int]:
    return {port.nodePort for port in service.spec.ports if port.nodePort}
