"""Whom a proxied request is for: the meaning of ``[SCHEME:]NAME[:PORT]`` for Pods, Services and nodes.

As upstream's ``ResourceLocation`` functions in ``pkg/registry/core/{pod,service,node}``.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
import ssl
from dataclasses import dataclass
from typing import Any

from clusterip.apiserver import status
from clusterip.apiserver.backend import Address
from clusterip.apiserver.generic import Objects
from clusterip.apiserver.kubelet import Kubelets
from clusterip.objects.core.endpoints import ENDPOINTS, EndpointAddress, Endpoints
from clusterip.objects.core.node import NODES
from clusterip.objects.core.pod import PODS, Pod
from clusterip.objects.core.service import SERVICES, Service

_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True)
class Target:
    """A server to pass requests on to; ``host`` is how links to it name it."""

    address: Address
    host: str


@dataclass(frozen=True)
class Id:
    """A name in a path with what may stand around it."""

    scheme: str
    name: str
    port: str

    @classmethod
    def parse(cls, text: str, kind: str) -> Id:
        """Raises StatusError (400)."""
        parts = text.split(":")
        scheme, name, port = "", parts[0], ""
        if len(parts) == 2:
            port = parts[1]
        elif len(parts) == 3:
            scheme, name, port = parts
        if len(parts) > 3 or not name or scheme not in ("", "http", "https"):
            raise status.bad_request(f'invalid {kind} request "{text}"')
        return cls(scheme, name, port)


class Targets:
    """Finds targets."""

    def __init__(self, kubelets: Kubelets) -> None:
        self._kubelets = kubelets
        # Pods have no certificates that anyone could check, and need none: this is no secret channel.
        self._unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._unchecked.check_hostname = False
        self._unchecked.verify_mode = ssl.CERT_NONE

    async def pod(self, objects: Objects, namespace: str, text: str) -> Target:
        """A Pod's first address, at the port asked for or the first that a container declares.

        Raises:
            StatusError: 400, the name or the address cannot be used; 404, there is no such Pod.
        """
        wanted = Id.parse(text, "pod")
        pod: Pod = (await objects.get(PODS, namespace, wanted.name)).decode()
        declared = (container.ports for container in pod.spec.containers if container.ports)
        port = wanted.port or next((str(ports[0].containerPort) for ports in declared), "")
        ip = pod.status.podIPs[0].ip if pod.status.podIPs else ""
        if not is_proxyable(ip):
            raise status.bad_request("address not allowed")
        return self._target(wanted.scheme, ip, port)

    async def service(self, objects: Objects, namespace: str, text: str) -> Target:
        """A ready endpoint of a Service that is a Pod, picked at random; the port by name or number.

        Raises:
            StatusError: 400, the name cannot be used; 404, there is no such Service or it has no
                Endpoints; 503, it has no such port, or nothing that is ready.
        """
        wanted = Id.parse(text, "service")
        port = wanted.port
        if _is_number(port):
            port = await _port_name(objects, namespace, wanted)
        entry = objects.cache.of(ENDPOINTS).get(namespace, wanted.name)
        if entry is None:
            raise status.not_found(SERVICES, wanted.name)
        endpoints: Endpoints = entry.decode()
        if not endpoints.subsets:
            raise status.unavailable(f'no endpoints available for service "{wanted.name}"')
        for subset in random.sample(endpoints.subsets, len(endpoints.subsets)):
            numbers = [each.port for each in subset.ports if each.name == port]
            for address in random.sample(subset.addresses, len(subset.addresses)) if numbers else []:
                if _is_pods(objects, namespace, address):
                    return self._target(wanted.scheme, address.ip, str(numbers[0]))
        raise status.unavailable(f'no endpoints available for service "{text}"')

    async def node(self, text: str) -> Target:
        """A node's kubelet, or another port of the node.

        Raises:
            StatusError: 400, the name or the address cannot be used; 404, there is no such node.
        """
        wanted = Id.parse(text, "node")
        found = self._kubelets.of(wanted.name)
        if found is None:
            raise status.not_found(NODES, wanted.name)
        kubelet = found.address
        await _check_host(kubelet.host)
        if wanted.port in ("", kubelet.port):
            return Target(kubelet, str(kubelet))
        return self._target(wanted.scheme, kubelet.host, wanted.port)

    def _target(self, scheme: str, host: str, port: str) -> Target:
        tls = self._unchecked if scheme == "https" else None
        address = Address(host, port or _PORTS[scheme or "http"], tls)
        shown = f"[{host}]" if ":" in host else host
        return Target(address, f"{shown}:{port}" if port else shown)


async def _port_name(objects: Objects, namespace: str, wanted: Id) -> str:
    """The name of the port that a Service has under a number. It may be empty."""
    service: Service = (await objects.get(SERVICES, namespace, wanted.name)).decode()
    for port in service.spec.ports:
        if port.port == int(wanted.port):
            return port.name
    number = int(wanted.port)
    raise status.unavailable(f'no service port {number} found for service "{wanted.name}"')


def _is_number(port: str) -> bool:
    """Whether Go's ``ParseInt`` takes it for a number."""
    return port.isascii() and port.removeprefix("-").removeprefix("+").isdigit()


def _is_pods(objects: Objects, namespace: str, address: EndpointAddress) -> bool:
    """Whether an address is that of the Pod it claims to be of: else one could reach just anything."""
    reference = address.targetRef
    if reference is None or reference.namespace != namespace:
        return False
    entry = objects.cache.of(PODS).get(namespace, reference.name)
    if entry is None:
        return False
    pod: Pod = entry.decode()
    return any(each.ip == address.ip for each in pod.status.podIPs)


def is_proxyable(text: str) -> bool:
    """Whether an address may be proxied to: not the API server's own machine, nor a whole network."""
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    ip = mapped or ip
    special = ip.is_unspecified or ip.is_loopback or ip.is_multicast or ip.is_link_local
    return not special and str(ip) != "255.255.255.255"


async def _check_host(host: str) -> None:
    """Raises StatusError (400)."""
    try:
        found: list[Any] = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise status.bad_request(f"lookup {host}: {error.strerror or error}") from None
    if not all(is_proxyable(each[4][0]) for each in found):
        raise status.bad_request("address not allowed")
