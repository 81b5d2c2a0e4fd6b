"""How ``kubectl get services`` shows a Service."""

from __future__ import annotations

from typing import Any

from clusterip.objects import times
from clusterip.objects.core.service import predicates
from clusterip.objects.core.service.types import Service, ServicePort
from clusterip.objects.registry import Column
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN, NONE, UNKNOWN, labels, wide

COLUMNS = (
    NAME_COLUMN,
    Column("Type", description="How the Service is exposed."),
    Column("Cluster-IP", description="Its address inside the cluster."),
    Column("External-IP", description="Addresses or the name by which it is reached from outside."),
    Column("Port(s)", description="Its ports, their node ports and protocols."),
    AGE_COLUMN,
    wide("Selector", "The labels of the Pods behind it."),
)


def row(service: Service) -> list[Any]:
    spec = service.spec
    return [
        service.metadata.name,
        spec.type,
        spec.clusterIPs[0] if spec.clusterIPs else NONE,
        _external_ip(service),
        ",".join(map(_port, spec.ports)) or NONE,
        times.age(service.metadata.creationTimestamp),
        labels(spec.selector),
    ]


def _external_ip(service: Service) -> str:
    spec = service.spec
    match spec.type:
        case predicates.CLUSTER_IP | predicates.NODE_PORT:
            return ",".join(spec.externalIPs) or NONE
        case predicates.LOAD_BALANCER:
            ingress = service.status.loadBalancer.ingress
            balancers = sorted({entry.ip or entry.hostname for entry in ingress} - {""})
            return ",".join([*balancers, *spec.externalIPs]) or "<pending>"
        case predicates.EXTERNAL_NAME:
            return spec.externalName
    return UNKNOWN


def _port(port: ServicePort) -> str:
    node_port = f":{port.nodePort}" if port.nodePort > 0 else ""
    return f"{port.port}{node_port}/{port.protocol}"
