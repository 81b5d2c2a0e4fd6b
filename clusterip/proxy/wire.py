"""Service, EndpointSlice, Node and ServiceCIDR cut down to what a proxy uses.

Informers decode the wire straight into these, so what is not here costs neither memory nor time.
``null`` is written by Kubernetes for some empty lists (a slice's ``endpoints`` and ``ports``).
"""

from __future__ import annotations

import msgspec
from msgspec.structs import force_setattr

from clusterip.proxy.packing import NO_ENDPOINTS, Packed, pack


class _Wire(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Objects hold no cycles, so the garbage collector need not look at them (``gc=False``)."""


class ServiceLabels(_Wire, frozen=True):
    """The labels that make a Service somebody else's."""

    proxyName: str | None = msgspec.field(name="service.kubernetes.io/service-proxy-name", default=None)
    headless: str | None = msgspec.field(name="service.kubernetes.io/headless", default=None)


class ServiceMeta(_Wire, frozen=True):
    name: str = ""
    namespace: str = ""
    resourceVersion: str = ""
    creationTimestamp: str | None = None
    labels: ServiceLabels | None = None


class ServicePort(_Wire, frozen=True):
    name: str = ""
    protocol: str = "TCP"
    port: int = 0
    nodePort: int = 0


class ClientIP(_Wire, frozen=True):
    timeoutSeconds: int | None = None


class SessionAffinityConfig(_Wire, frozen=True):
    clientIP: ClientIP | None = None


class ServiceSpec(_Wire, frozen=True):
    type: str = "ClusterIP"
    clusterIP: str = ""
    clusterIPs: tuple[str, ...] | None = None
    ports: tuple[ServicePort, ...] | None = None
    externalIPs: tuple[str, ...] | None = None
    sessionAffinity: str = ""
    sessionAffinityConfig: SessionAffinityConfig | None = None
    loadBalancerSourceRanges: tuple[str, ...] | None = None
    externalTrafficPolicy: str = ""
    internalTrafficPolicy: str | None = None
    healthCheckNodePort: int = 0


class Ingress(_Wire, frozen=True):
    ip: str = ""
    ipMode: str | None = None


class LoadBalancer(_Wire, frozen=True):
    ingress: tuple[Ingress, ...] | None = None


class ServiceStatus(_Wire, frozen=True):
    loadBalancer: LoadBalancer | None = None


class Service(_Wire, frozen=True):
    metadata: ServiceMeta = ServiceMeta()
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus | None = None


class SliceLabels(_Wire, frozen=True):
    serviceName: str = msgspec.field(name="kubernetes.io/service-name", default="")


class SliceAnnotations(_Wire, frozen=True):
    triggerTime: str = msgspec.field(name="endpoints.kubernetes.io/last-change-trigger-time", default="")


class SliceMeta(_Wire, frozen=True):
    name: str = ""
    namespace: str = ""
    resourceVersion: str = ""
    labels: SliceLabels | None = None
    annotations: SliceAnnotations | None = None


class Conditions(_Wire, frozen=True):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Named(_Wire, frozen=True):
    name: str = ""


class Hints(_Wire, frozen=True):
    forZones: tuple[Named, ...] | None = None
    forNodes: tuple[Named, ...] | None = None


class Endpoint(_Wire, frozen=True):
    addresses: tuple[str, ...] | None = None
    conditions: Conditions | None = None
    nodeName: str | None = None
    hints: Hints | None = None


class EndpointPort(_Wire, frozen=True):
    name: str | None = None
    protocol: str | None = None
    port: int | None = None


class EndpointSlice(_Wire, frozen=True):
    """``endpoints`` are packed as soon as they are read, and None from then on."""

    addressType: str = ""
    metadata: SliceMeta = SliceMeta()
    endpoints: tuple[Endpoint, ...] | None = None
    ports: tuple[EndpointPort, ...] | None = None
    packed: Packed = msgspec.field(default=NO_ENDPOINTS, name="-")

    def __post_init__(self) -> None:
        if self.endpoints is not None:
            force_setattr(self, "packed", pack(self.addressType, self.endpoints))
            force_setattr(self, "endpoints", None)


class NodeLabels(_Wire, frozen=True):
    zone: str = msgspec.field(name="topology.kubernetes.io/zone", default="")


class NodeMeta(_Wire, frozen=True):
    name: str = ""
    namespace: str = ""
    resourceVersion: str = ""
    labels: NodeLabels | None = None
    deletionTimestamp: str | None = None


class Taint(_Wire, frozen=True):
    key: str = ""


class NodeSpec(_Wire, frozen=True):
    podCIDRs: tuple[str, ...] | None = None
    taints: tuple[Taint, ...] | None = None


class NodeAddress(_Wire, frozen=True):
    type: str = ""
    address: str = ""


class NodeStatus(_Wire, frozen=True):
    addresses: tuple[NodeAddress, ...] | None = None


class Node(_Wire, frozen=True):
    metadata: NodeMeta = NodeMeta()
    spec: NodeSpec | None = None
    status: NodeStatus | None = None


class CidrMeta(_Wire, frozen=True):
    name: str = ""
    namespace: str = ""
    resourceVersion: str = ""


class CidrSpec(_Wire, frozen=True):
    cidrs: tuple[str, ...] | None = None


class ServiceCIDR(_Wire, frozen=True):
    metadata: CidrMeta = CidrMeta()
    spec: CidrSpec | None = None
