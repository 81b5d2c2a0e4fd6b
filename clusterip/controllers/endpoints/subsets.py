"""A Service's Pods as the subsets of an Endpoints object. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from clusterip.controllers import pods as pod_facts
from clusterip.controllers import services
from clusterip.objects.core.endpoints import EndpointAddress, EndpointPort, EndpointSubset
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.references import ObjectReference
from clusterip.objects.core.service import Service

CAPACITY = 1000
"""How many addresses an Endpoints object may hold; the rest is in the EndpointSlices only."""


class _Port(NamedTuple):
    name: str
    port: int
    protocol: str
    appProtocol: str | None


_Address = tuple[str, str]
_NO_PORT = _Port("", -1, "", None)


def subsets_of(service: Service, service_pods: Iterable[Pod]) -> list[EndpointSubset]:
    """The packed subsets: each combination of ports once, with the addresses that have just these.

    An address with one port that is not ready counts as not ready for this port only
    (``pkg/api/v1/endpoints/util.go``).
    """
    addresses: dict[_Address, EndpointAddress] = {}
    by_port: dict[_Port, dict[_Address, bool]] = {}
    for pod in service_pods:
        tolerant = service.spec.publishNotReadyAddresses
        if not services.publishable(pod, terminating=tolerant):
            continue
        address = _address(service, pod)
        if address is None:
            continue
        key = address.ip, pod.metadata.uid
        addresses[key] = address
        ready = tolerant or pod_facts.is_ready(pod)
        for port in _ports(service, pod):
            by_port.setdefault(port, {})[key] = ready
    return _pack(by_port, addresses)


def repacked(subsets: Iterable[EndpointSubset]) -> list[EndpointSubset]:
    """Subsets that anybody wrote, packed: no address and no combination of ports twice.

    What is ready in one subset and not ready in another, for the same port, is not ready.
    """
    addresses: dict[_Address, EndpointAddress] = {}
    by_port: dict[_Port, dict[_Address, bool]] = {}
    for subset in subsets:
        ports = [_Port(p.name, p.port, p.protocol or "TCP", p.appProtocol) for p in subset.ports] or [
            _NO_PORT
        ]
        for ready, given in ((True, subset.addresses), (False, subset.notReadyAddresses)):
            for address in given:
                key = address.ip, address.targetRef.uid if address.targetRef is not None else ""
                addresses.setdefault(key, address)
                for port in ports:
                    hosts = by_port.setdefault(port, {})
                    hosts[key] = hosts.get(key, True) and ready
    return _pack(by_port, addresses)


def truncate(subsets: list[EndpointSubset], capacity: int = CAPACITY) -> bool:
    """Cut the subsets down to ``capacity`` addresses, in proportion, ready ones first; whether it did."""
    ready = sum(len(s.addresses) for s in subsets)
    not_ready = sum(len(s.notReadyAddresses) for s in subsets)
    if ready + not_ready <= capacity:
        return False
    cut_ready = ready > capacity
    room = capacity if cut_ready else capacity - ready
    total = ready if cut_ready else not_ready
    left = room
    for subset in subsets:
        count = len(subset.addresses if cut_ready else subset.notReadyAddresses)
        share = min(math.ceil(count / total * room), left) if total else 0
        if cut_ready:
            subset.addresses = subset.addresses[:share]
            subset.notReadyAddresses = []
        else:
            subset.notReadyAddresses = subset.notReadyAddresses[:share]
        left -= min(share, count)
    return True


def _pack(
    by_port: dict[_Port, dict[_Address, bool]], addresses: dict[_Address, EndpointAddress]
) -> list[EndpointSubset]:
    ports_by_hosts: dict[frozenset[tuple[_Address, bool]], list[_Port]] = {}
    for port, hosts in by_port.items():
        ports_by_hosts.setdefault(frozenset(hosts.items()), []).append(port)
    packed = [_subset(hosts, ports, addresses) for hosts, ports in ports_by_hosts.items()]
    return sorted(packed, key=lambda s: [(p.port, p.protocol, p.name) for p in s.ports])


def _ports(service: Service, pod: Pod) -> list[_Port]:
    if not service.spec.ports:
        return [] if services.is_ip_set(service) else [_NO_PORT]
    found = []
    for port in service.spec.ports:
        number = services.target_port(pod, port)
        if number is not None:
            found.append(_Port(port.name, number, port.protocol or "TCP", port.appProtocol))
    return found


def _address(service: Service, pod: Pod) -> EndpointAddress | None:
    ips = pod_facts.addresses(pod)
    family = _family(service, ips)
    ip = next((ip for ip in ips if services.family_of(ip) == family), None)
    if ip is None:
        return None
    meta = pod.metadata
    return EndpointAddress(
        ip=ip,
        hostname=services.hostname(pod, service),
        nodeName=pod.spec.nodeName,
        targetRef=ObjectReference(kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid),
    )


def _family(service: Service, pod_ips: list[str]) -> str:
    """Endpoints have one family: the Service's first."""
    if service.spec.ipFamilies:
        return service.spec.ipFamilies[0]
    return services.family_of(service.spec.clusterIP if services.is_ip_set(service) else pod_ips[0])


def _subset(
    hosts: frozenset[tuple[_Address, bool]], ports: list[_Port], addresses: dict[_Address, EndpointAddress]
) -> EndpointSubset:
    ordered = sorted(hosts)
    return EndpointSubset(
        addresses=[addresses[key] for key, ready in ordered if ready],
        notReadyAddresses=[addresses[key] for key, ready in ordered if not ready],
        ports=[
            EndpointPort(name=p.name, port=p.port, protocol=p.protocol, appProtocol=p.appProtocol)
            for p in sorted(ports, key=lambda p: (p.name, p.port, p.protocol))
            if p is not _NO_PORT
        ],
    )
