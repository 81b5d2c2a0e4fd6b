"""Ingress: its fields."""

from __future__ import annotations

import msgspec

from clusterip.objects.base import Struct, always, always_list
from clusterip.objects.core.references import TypedLocalObjectReference
from clusterip.objects.enums import PathType, Protocol
from clusterip.objects.meta import Object
from clusterip.objects.scalars import Int32


class ServiceBackendPort(Struct):
    """A Service's port, by name or by number."""

    owned_whole = True

    name: str = ""
    number: Int32 = 0


class IngressServiceBackend(Struct):
    name: str = always("")
    port: ServiceBackendPort = msgspec.field(default_factory=ServiceBackendPort)


class IngressBackend(Struct):
    """Where requests go: a Service's port, or an object that the controller knows."""

    service: IngressServiceBackend | None = None
    resource: TypedLocalObjectReference | None = None


class HTTPIngressPath(Struct):
    path: str = ""
    pathType: PathType | None = None
    backend: IngressBackend = msgspec.field(default_factory=IngressBackend)


class HTTPIngressRuleValue(Struct):
    paths: list[HTTPIngressPath] = always_list()


class IngressRule(Struct):
    """Where the paths of a host lead."""

    host: str = ""
    http: HTTPIngressRuleValue | None = None


class IngressTLS(Struct):
    """The Secret with the certificate of some hosts."""

    hosts: list[str] = []
    secretName: str = ""


class IngressSpec(Struct):
    ingressClassName: str | None = None
    defaultBackend: IngressBackend | None = None
    tls: list[IngressTLS] = []
    rules: list[IngressRule] = []


class IngressPortStatus(Struct):
    port: Int32 = always(0)
    protocol: Protocol = always("")
    error: str | None = None


class IngressLoadBalancerIngress(Struct):
    """An address that the Ingress can be reached by."""

    ip: str = ""
    hostname: str = ""
    ports: list[IngressPortStatus] = []


class IngressLoadBalancerStatus(Struct):
    ingress: list[IngressLoadBalancerIngress] = []


class IngressStatus(Struct):
    loadBalancer: IngressLoadBalancerStatus = msgspec.field(default_factory=IngressLoadBalancerStatus)


class Ingress(Object):
    spec: IngressSpec = msgspec.field(default_factory=IngressSpec)
    status: IngressStatus = msgspec.field(default_factory=IngressStatus)
