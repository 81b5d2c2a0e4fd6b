"""What the API server says of a trace's client and target."""

from __future__ import annotations

import asyncio
import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.rest import Client as ApiClient
from clusterip.objects import codec
from clusterip.objects.core.event import Event
from clusterip.objects.core.node.types import Node
from clusterip.objects.core.pod.types import Pod
from clusterip.objects.core.service.types import Service, ServicePort
from clusterip.objects.discovery.endpointslice.types import EndpointSlice
from clusterip.trace.request import Client, Request, Target

_ASK_SECONDS = 3.0
_SERVICE_LABEL = "kubernetes.io/service-name"


class TraceError(Exception):
    """A trace cannot be done at all; the text says why and what to do."""


class Elsewhere(TraceError):
    """The connection begins on ``node``, which is not this machine, or this may not enter it."""

    def __init__(self, text: str, node: str) -> None:
        super().__init__(text)
        self.node = node


@dataclass(frozen=True)
class Aim:
    """What a target means. ``address`` is where to connect to, empty where DNS has to say it.

    ``service`` and ``port`` are None if the target is none of a Service. ``alias`` is the ExternalName that
    stands for it.
    """

    namespace: str = ""
    name: str = ""
    service: Service | None = None
    port: ServicePort | None = None
    address: str = ""
    number: int = 0
    protocol: str = "TCP"
    via: str = ""
    is_name: bool = False
    alias: str = ""


@dataclass
class Objects:
    """All that was asked for."""

    nodes: list[Node]
    aim: Aim
    client_pod: Pod | None = None
    slices: list[EndpointSlice] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    events: dict[str, list[Event]] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def mode(self) -> str:
        """How the proxy programs the kernel, empty if none could be asked."""
        return str(self.config.get("mode") or "iptables") if self.config else ""


class Given(msgspec.Struct, frozen=True):
    """Objects that who asks has read already, with rights that the one who traces does not have.

    ``pods`` are those of the target's namespace, ``events`` what was reported of them.
    """

    pods: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []


@dataclass(frozen=True)
class Sources:
    """Whom to ask. ``client`` reads nodes, Services and EndpointSlices, and Pods too unless ``pods`` does.

    ``pods`` is a node's own identity, which reads the Pods of ``node`` alone.
    """

    client: ApiClient
    pods: ApiClient | None = None
    node: str = ""
    given: Given = field(default_factory=Given)


async def gather(request: Request, sources: Sources, namespace: str) -> Objects:
    """Ask for everything. ``namespace`` is that of names without one, for clients that are no Pods.

    Raises TraceError, ApiError, Unreachable.
    """
    client = sources.client
    nodes, services = await asyncio.gather(client.list(Node), client.list(Service))
    pod = None
    if request.client.kind == "pod":
        pod = await _client_pod(request.client, sources.pods or client)
        namespace = pod.metadata.namespace
    elif request.client.kind == "node":
        _check_name("node", request.client.name, [node.metadata.name for node in nodes.items])
    aim = aim_at(request.target, namespace, services.items, nodes.items, request.client)
    found = Objects(nodes.items, aim, pod, services=services.items)
    if aim.service is not None:
        place = aim.service.metadata.namespace
        slices, found.pods = await asyncio.gather(
            client.list(EndpointSlice, place, label_selector=f"{_SERVICE_LABEL}={aim.name}"),
            _pods(sources, place, found.notes),
        )
        found.slices = slices.items
        found.events = _by_pod(sources.given.events)
    if sources.pods is None:
        first = pod.spec.nodeName if pod else request.client.name
        names = sorted((node.metadata.name for node in nodes.items), key=lambda name: name != first)
        found.config = await _configuration(client, names)
    return found


async def _pods(sources: Sources, namespace: str, notes: list[str]) -> list[Pod]:
    """The Pods of a namespace, as many as may be read."""
    if sources.given.pods:
        pods = [codec.decode(codec.encode(each), Pod) for each in sources.given.pods]
        return [pod for pod in pods if pod.metadata.namespace == namespace]
    try:
        if sources.pods is not None:
            selector = f"spec.nodeName={sources.node}"
            notes.append("only the Pods of this node were read: a node may not read others")
            return (await sources.pods.list(Pod, namespace, field_selector=selector)).items
        return (await sources.client.list(Pod, namespace)).items
    except ApiError as error:
        notes.append(f"the Pods of namespace {namespace} were not read: {error}")
        return []


def _by_pod(events: Sequence[dict[str, Any]]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in (codec.decode(codec.encode(each), Event) for each in events):
        found.setdefault(event.involvedObject.name, []).append(event)
    return {name: sorted(each, key=_when) for name, each in found.items()}


def _when(event: Event) -> str:
    return str(event.lastTimestamp or event.eventTime or "")


async def _client_pod(wanted: Client, client: ApiClient) -> Pod:
    try:
        pod = await client.get(Pod, wanted.name, wanted.namespace)
    except ApiError as error:
        if not error.is_not_found:
            raise
        try:
            pods = await client.list(Pod, wanted.namespace)
        except ApiError:  # a node's own identity
            raise error from None
        names = [pod.metadata.name for pod in pods.items]
        _check_name(f"Pod in namespace {wanted.namespace}", wanted.name, names)
        raise
    if not pod.status.podIP or pod.status.phase != "Running":
        raise TraceError(f"{wanted} cannot connect to anything: it is {pod.status.phase or 'not running'}")
    return pod


def _check_name(what: str, name: str, names: Sequence[str]) -> None:
    if name not in names:
        close = nearest(name, names) or sorted(names)[:5]
        raise TraceError(f"there is no {what} called {name}; there are {', '.join(close) or 'none'}")


def nearest(name: str, names: Sequence[str]) -> list[str]:
    """The names most like one."""
    return difflib.get_close_matches(name, names, n=3, cutoff=0.5)


async def events_of(client: ApiClient, pod: Pod) -> list[Event]:
    """What was reported of a Pod, the newest last; nothing if one may not ask."""
    selector = f"involvedObject.uid={pod.metadata.uid}"
    try:
        found = await client.list(Event, pod.metadata.namespace, field_selector=selector)
    except (ApiError, Unreachable):
        return []
    return sorted(found.items, key=_when)


async def _configuration(client: ApiClient, nodes: Sequence[str]) -> dict[str, Any]:
    """A proxy's configuration, from the first of some nodes that tells; empty if none does."""
    for node in nodes[:3]:
        try:
            path = f"/api/v1/nodes/{node}:10249/proxy/configz"
            answer = await client.request("GET", path, seconds=_ASK_SECONDS, accept="*/*")
            return as_configuration(answer)
        except (ApiError, Unreachable, ValueError, KeyError):
            continue
    return {}


def as_configuration(page: bytes) -> dict[str, Any]:
    """A proxy's configuration from its page ``/configz``. Raises ValueError or KeyError."""
    config: dict[str, Any] = json.loads(page)["kubeproxy.config.k8s.io"]
    return config


# What a target means.


def aim_at(
    target: Target, namespace: str, services: Sequence[Service], nodes: Sequence[Node], client: Client
) -> Aim:
    """Which Service and port a target is, and by which of its addresses a client would go."""
    protocol: str = target.protocol or "TCP"
    if target.address is not None:
        return _aim_at_address(target, str(target.address), protocol, services, nodes)
    parts = target.host.split(".")
    if len(parts) > 2 and parts[2] != "svc":
        return Aim(number=_number(target.port), protocol=protocol, is_name=True)
    name, place = parts[0], parts[1] if len(parts) > 1 else namespace
    service = next((s for s in services if (s.metadata.namespace, s.metadata.name) == (place, name)), None)
    if service is None:
        known = {each.metadata.namespace for each in services}
        if len(parts) == 2 and place not in known:  # example.com
            return Aim(number=_number(target.port), protocol=protocol, is_name=True)
        return Aim(place, name, number=_number(target.port), protocol=protocol, is_name=True)
    if service.spec.type == "ExternalName":
        return _aim_at_alias(service, target, protocol, services, nodes)
    port = port_of(service, target)
    number = port.port if port else _number(target.port)
    if port is not None:
        protocol = port.protocol or "TCP"
    address, via = "", "ClusterIP"
    if client.kind == "external":
        address, number, via = _outer_address(service, port, nodes, number)
    elif client.kind == "node" and service.spec.clusterIP not in ("", "None"):
        address = service.spec.clusterIP  # nodes do not ask the cluster's DNS
    return Aim(place, name, service, port, address, number, protocol, via, is_name=not address)


def _aim_at_alias(
    service: Service, target: Target, protocol: str, services: Sequence[Service], nodes: Sequence[Node]
) -> Aim:
    """An ``ExternalName``: DNS has to say, also where it is another Service's name that it stands for."""
    name = f"{service.metadata.namespace}/{service.metadata.name}"
    parts = service.spec.externalName.split(".")
    if len(parts) > 2 and parts[2] == "svc":
        other = replace(target, host=service.spec.externalName)
        aim = aim_at(other, parts[1], services, nodes, Client("pod"))
        if aim.service is not None and aim.service.spec.type != "ExternalName":
            return replace(aim, alias=name)
    meta = service.metadata
    return Aim(meta.namespace, meta.name, service, None, "", _number(target.port), protocol, is_name=True)


def _number(port: str) -> int:
    return int(port) if port.isdigit() else 0


def port_of(service: Service, target: Target) -> ServicePort | None:
    """The port of a Service that a target means: by number, by name, or the only one."""
    ports = [p for p in service.spec.ports if target.protocol in ("", p.protocol or "TCP")]
    if not target.port:
        return ports[0] if ports else None
    for port in ports:
        if target.port == port.name or target.port == str(port.port):
            return port
    return None


def _outer_address(
    service: Service, port: ServicePort | None, nodes: Sequence[Node], number: int
) -> tuple[str, int, str]:
    """Where a machine that is no node would connect to: address, port, and by which way."""
    for ingress in service.status.loadBalancer.ingress:
        if ingress.ip:
            return ingress.ip, number, "load balancer"
    if service.spec.externalIPs:
        return service.spec.externalIPs[0], number, "external IP"
    if port is not None and port.nodePort and nodes and (addresses := sorted(addresses_of(nodes[0]))):
        return addresses[0], port.nodePort, "node port"
    return service.spec.clusterIP if service.spec.clusterIP != "None" else "", number, "ClusterIP"


def addresses_of(node: Node) -> frozenset[str]:
    """A node's addresses as the API has them."""
    return frozenset(a.address for a in node.status.addresses if a.type in ("InternalIP", "ExternalIP"))


def _aim_at_address(
    target: Target, address: str, protocol: str, services: Sequence[Service], nodes: Sequence[Node]
) -> Aim:
    for service in services:
        ingress = {each.ip for each in service.status.loadBalancer.ingress}
        vias = {
            "ClusterIP": {service.spec.clusterIP, *service.spec.clusterIPs},
            "external IP": set(service.spec.externalIPs),
            "load balancer": ingress,
        }
        for via, addresses in vias.items():
            if address in addresses:
                port = port_of(service, target)
                number = port.port if port else _number(target.port)
                return _aim(service, port, address, number, protocol, via)
    number = _number(target.port)
    for service in services:
        for port in service.spec.ports:
            if number and port.nodePort == number and (port.protocol or "TCP") == protocol:
                return _aim(service, port, address, number, protocol, "node port")
    return Aim(address=address, number=number, protocol=protocol)


def _aim(
    service: Service, port: ServicePort | None, address: str, number: int, protocol: str, via: str
) -> Aim:
    meta = service.metadata
    protocol = (port.protocol or "TCP") if port else protocol
    return Aim(meta.namespace, meta.name, service, port, address, number, protocol, via)


def selects(service: Service, pod: Pod) -> bool:
    """Whether a Service's selector picks a Pod."""
    selector, labels = service.spec.selector, pod.metadata.labels or {}
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def as_wire(value: Any, type_: type[Any]) -> Any:
    """An object as the proxy reads it."""
    return codec.decode(codec.encode(value), type_)
