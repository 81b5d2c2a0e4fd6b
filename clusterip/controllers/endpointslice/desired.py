"""What a Service's endpoints should be, as its Pods are now. Pure; no slices here yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address

from clusterip.controllers import pods as pod_facts
from clusterip.controllers import services
from clusterip.objects.core.node import Node
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.references import ObjectReference
from clusterip.objects.core.service import Service
from clusterip.objects.discovery.endpointslice import (
    Endpoint,
    EndpointConditions,
    EndpointHints,
    EndpointPort,
    ForNode,
    ForZone,
)

PortKey = frozenset[tuple[str, str, int, str | None]]
"""A set of ports: slices are grouped by it, since a slice has one list of ports for all its endpoints."""

EndpointId = tuple[str, str, tuple[str, ...]]
"""What stays the same of an endpoint while it lives: the Pod and its addresses."""

ZONE = "topology.kubernetes.io/zone"


@dataclass
class Group:
    """The endpoints that share a list of ports."""

    ports: list[EndpointPort]
    endpoints: dict[EndpointId, Endpoint] = field(default_factory=dict)


@dataclass
class Desired:
    """All groups of one address family, and the Pods left out because their node is not known (yet)."""

    groups: dict[PortKey, Group] = field(default_factory=dict)
    without_node: list[Pod] = field(default_factory=list)


def address_types(service: Service, service_pods: Iterable[Pod]) -> list[str]:
    """The families to make slices for: the Service's; of one that names none, those its Pods have."""
    if service.spec.ipFamilies:
        return list(service.spec.ipFamilies)
    if services.is_ip_set(service):
        return [services.family_of(service.spec.clusterIP)]
    found = {services.family_of(ip) for pod in service_pods for ip in pod_facts.addresses(pod)}
    return sorted(found) or ["IPv4"]


def endpoints_of(
    service: Service, service_pods: Iterable[Pod], address_type: str, node_named: Callable[[str], Node | None]
) -> Desired:
    """The Service's endpoints of one family. ``node_named`` finds a Node."""
    desired = Desired()
    for pod in service_pods:
        if not services.publishable(pod, terminating=True):
            continue
        found = ports_of(service, pod)
        group = desired.groups.setdefault(port_key(found), Group(found))
        node = node_named(pod.spec.nodeName)
        if node is None and not service.spec.publishNotReadyAddresses:
            desired.without_node.append(pod)
            continue
        endpoint = endpoint_of(service, pod, address_type, node)
        if endpoint.addresses:
            group.endpoints[endpoint_id(endpoint)] = endpoint
    return desired


def ports_of(service: Service, pod: Pod) -> list[EndpointPort]:
    """The Service's ports as numbers on this Pod; a named port the Pod does not have is left out."""
    found = []
    for port in service.spec.ports:
        number = services.target_port(pod, port)
        if number is not None:
            protocol = port.protocol or "TCP"
            found.append(
                EndpointPort(name=port.name, protocol=protocol, port=number, appProtocol=port.appProtocol)
            )
    return found


def endpoint_of(service: Service, pod: Pod, address_type: str, node: Node | None) -> Endpoint:
    serving = pod_facts.is_ready(pod)
    terminating = pod.metadata.deletionTimestamp is not None
    # "ready" means "send new connections here", so it is never true of a Pod that is on its way out.
    ready = service.spec.publishNotReadyAddresses or (serving and not terminating)
    zone = node.metadata.labels.get(ZONE) if node is not None else None
    return Endpoint(
        addresses=_of_family(pod_facts.addresses(pod), address_type),
        conditions=EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        hostname=services.hostname(pod, service) or None,
        targetRef=ObjectReference(
            kind="Pod", namespace=pod.metadata.namespace, name=pod.metadata.name, uid=pod.metadata.uid
        ),
        nodeName=pod.spec.nodeName or None,
        zone=zone or None,
        hints=_hints(service, ready, zone, pod.spec.nodeName),
    )


def port_key(ports: Iterable[EndpointPort]) -> PortKey:
    return frozenset((p.name or "", p.protocol or "TCP", p.port or 0, p.appProtocol) for p in ports)


def endpoint_id(endpoint: Endpoint) -> EndpointId:
    target = endpoint.targetRef
    where = (target.namespace, target.name) if target is not None else ("", "")
    return (*where, tuple(sorted(endpoint.addresses)))


def _of_family(addresses: list[str], family: str) -> list[str]:
    return [str(ip_address(ip)) for ip in addresses if services.family_of(ip) == family][:1]


def _hints(service: Service, ready: bool, zone: str | None, node: str) -> EndpointHints | None:
    """Who should use the endpoint, by ``trafficDistribution``; nobody need be told of one not ready."""
    wish = service.spec.trafficDistribution
    if not ready or wish not in ("PreferClose", "PreferSameZone", "PreferSameNode"):
        return None
    zones = [ForZone(name=zone)] if zone else []
    nodes = [ForNode(name=node)] if node and wish == "PreferSameNode" else []
    return EndpointHints(forZones=zones, forNodes=nodes) if zones or nodes else None
