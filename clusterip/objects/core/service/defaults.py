"""What a Service gets for fields left out, as far as its own fields say.

What depends on the cluster (addresses, families, node ports) is allocated when it is created.
"""

from __future__ import annotations

from clusterip.objects.core.service import predicates
from clusterip.objects.core.service.types import ClientIPConfig, Service, ServiceSpec, SessionAffinityConfig

CLIENT_IP_TIMEOUT_SECONDS = 10800


def set_defaults(service: Service) -> None:
    """Upstream's ``SetDefaults_Service``."""
    spec = service.spec
    _session_affinity(spec)
    spec.type = spec.type or predicates.CLUSTER_IP
    for port in spec.ports:
        port.protocol = port.protocol or "TCP"
        if port.targetPort in (None, 0, ""):
            port.targetPort = port.port
    if predicates.is_externally_accessible(service) and not spec.externalTrafficPolicy:
        spec.externalTrafficPolicy = "Cluster"
    if spec.internalTrafficPolicy is None and spec.type in (
        predicates.CLUSTER_IP,
        predicates.NODE_PORT,
        predicates.LOAD_BALANCER,
    ):
        spec.internalTrafficPolicy = "Cluster"
    if spec.type == predicates.LOAD_BALANCER:
        if spec.allocateLoadBalancerNodePorts is None:
            spec.allocateLoadBalancerNodePorts = True
        for ingress in service.status.loadBalancer.ingress:
            if ingress.ip and ingress.ipMode is None:
                ingress.ipMode = "VIP"


def _session_affinity(spec: ServiceSpec) -> None:
    spec.sessionAffinity = spec.sessionAffinity or "None"
    if spec.sessionAffinity == "None":
        spec.sessionAffinityConfig = None
    elif spec.sessionAffinity == "ClientIP":
        config = spec.sessionAffinityConfig
        if config is None or config.clientIP is None or config.clientIP.timeoutSeconds is None:
            client_ip = ClientIPConfig(timeoutSeconds=CLIENT_IP_TIMEOUT_SECONDS)
            spec.sessionAffinityConfig = SessionAffinityConfig(clientIP=client_ip)
