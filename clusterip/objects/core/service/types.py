"""The fields of a Service."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clusterip.objects.base import Atomic, IntOrString, ListMap, Struct, always
from clusterip.objects.enums import (
    IPFamily,
    IPFamilyPolicy,
    LoadBalancerIPMode,
    Protocol,
    ServiceAffinity,
    ServiceExternalTrafficPolicy,
    ServiceInternalTrafficPolicy,
    ServiceType,
)
from clusterip.objects.meta import Condition, Object
from clusterip.objects.scalars import Int32


class ClientIPConfig(Struct):
    """Session affinity by client address; ``timeoutSeconds`` after the last packet it ends."""

    timeoutSeconds: Int32 | None = None


class PortStatus(Struct):
    """What became of one port at a load balancer."""

    port: Int32 = always(0)
    protocol: Protocol = always("")
    error: str | None = None


class LoadBalancerIngress(Struct):
    """One way in through a load balancer, by address or by name."""

    ip: str = ""
    hostname: str = ""
    ipMode: LoadBalancerIPMode | None = None
    ports: list[PortStatus] = []


class LoadBalancerStatus(Struct):
    ingress: list[LoadBalancerIngress] = []


class ServicePort(Struct):
    """A port of a Service: clients use ``port``, Pods listen on ``targetPort``, by number or by name."""

    name: str = ""
    protocol: Protocol = ""
    appProtocol: str | None = None
    port: Int32 = always(0)
    targetPort: IntOrString | None = None
    nodePort: Int32 = 0


class SessionAffinityConfig(Struct):
    clientIP: ClientIPConfig | None = None


class ServiceSpec(Struct):
    """What a Service should be. ``clusterIP`` is always the first of ``clusterIPs``."""

    ports: Annotated[list[ServicePort], ListMap(("port", "protocol"), merge="port")] = []
    selector: Annotated[dict[str, str], Atomic()] = {}
    clusterIP: str = ""
    clusterIPs: list[str] = []
    type: ServiceType = ""
    externalIPs: list[str] = []
    sessionAffinity: ServiceAffinity = ""
    loadBalancerIP: str = ""
    loadBalancerSourceRanges: list[str] = []
    externalName: str = ""
    externalTrafficPolicy: ServiceExternalTrafficPolicy = ""
    healthCheckNodePort: Int32 = 0
    publishNotReadyAddresses: bool = False
    sessionAffinityConfig: SessionAffinityConfig | None = None
    ipFamilies: list[IPFamily] = []
    ipFamilyPolicy: IPFamilyPolicy | None = None
    allocateLoadBalancerNodePorts: bool | None = None
    loadBalancerClass: str | None = None
    internalTrafficPolicy: ServiceInternalTrafficPolicy | None = None
    trafficDistribution: str | None = None


class ServiceStatus(Struct):
    loadBalancer: LoadBalancerStatus = msgspec.field(default_factory=LoadBalancerStatus)
    conditions: Annotated[list[Condition], ListMap(("type",), merge="type")] = []


class Service(Object):
    spec: ServiceSpec = msgspec.field(default_factory=ServiceSpec)
    status: ServiceStatus = msgspec.field(default_factory=ServiceStatus)
