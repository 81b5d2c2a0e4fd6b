"""What a data plane is told: Service ports, and the endpoints this node uses for them."""

from __future__ import annotations

import ipaddress
import socket
import struct
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

import msgspec

from clusterip.kernel.nftables import Family

Network = IPv4Network | IPv6Network

Address = bytes
"""An IP address in network order: 4 or 16 bytes."""

Destination = bytes
"""An endpoint's address, its port, and two zero bytes: 8 or 20 bytes, as the kernel's maps hold it."""

_PORT = struct.Struct("!Hxx")


class ServiceKey(NamedTuple):
    """A Service's namespace and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class PortKey(NamedTuple):
    """A Service port of one family. Two ports of a Service may share a name if their protocols differ."""

    service: ServiceKey
    port: str
    protocol: int
    family: Family

    def __str__(self) -> str:
        return f"{self.service}:{self.port}" if self.port else str(self.service)


class ServicePort(msgspec.Struct, frozen=True, gc=False):
    """A Service port of one family, as far as it does not depend on endpoints.

    ``external_ips`` are ``spec.externalIPs``; ``load_balancer_ips`` those of ``status.loadBalancer`` that
    packets arrive with (``ipMode: VIP``), to which ``source_ranges`` apply. ``node_port`` is 0 for none,
    ``affinity_seconds`` 0 for no session affinity. ``health_check_port``: where the node tells load
    balancers about the Service, 0 for nowhere. ``created`` is the Service's ``creationTimestamp``.
    """

    key: PortKey
    cluster_ip: Address
    port: int
    node_port: int = 0
    external_ips: tuple[Address, ...] = ()
    load_balancer_ips: tuple[Address, ...] = ()
    source_ranges: tuple[Network, ...] = ()
    affinity_seconds: int = 0
    internal_local: bool = False
    external_local: bool = False
    health_check_port: int = 0
    created: str = ""

    @property
    def is_external(self) -> bool:
        """Whether anything but the ClusterIP leads to it."""
        return bool(self.node_port or self.external_ips or self.load_balancer_ips)

    @property
    def uses_cluster(self) -> bool:
        """Whether some traffic may go to endpoints on any node.

        External traffic always may: from Pods and the node itself, even under ``Local`` policy.
        """
        return not self.internal_local or self.is_external

    @property
    def uses_local(self) -> bool:
        """Whether some traffic may only go to endpoints on this node."""
        return self.internal_local or (self.external_local and self.is_external)


class Endpoint(NamedTuple):
    """An endpoint of a Service port, as its EndpointSlice tells."""

    destination: Destination
    ready: bool
    serving: bool
    terminating: bool
    local: bool
    zones: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()


class Choice(NamedTuple):
    """The endpoints this node uses: for ``Cluster`` policy, and for ``Local`` policy.

    ``exist``: there are usable ones somewhere, even if none of them is for this node.
    ``on_node``: the addresses of those that run here.
    """

    cluster: tuple[Destination, ...] = ()
    local: tuple[Destination, ...] = ()
    exist: bool = False
    on_node: tuple[Address, ...] = ()


NOTHING = Choice()


class PortState(NamedTuple):
    """A Service port and the endpoints this node uses for it.

    ``serving``, for UDP, are all endpoints that still answer, also those this node would not choose.
    """

    port: ServicePort
    choice: Choice
    serving: frozenset[Destination] = frozenset()


class NodeAddresses(NamedTuple):
    """The node's own addresses: ``primary`` are its InternalIPs, on ``node_ports`` node ports answer."""

    primary: tuple[Address, ...] = ()
    node_ports: tuple[Address, ...] = ()


def pack_destination(address: Address, port: int) -> Destination:
    return address + _PORT.pack(port)


def pack_address(text: str) -> Address | None:
    """An address in binary, None if it is none. Leading zeros are taken as decimal, as Go did once."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):  # ValueError: a NUL in it
        pass
    try:
        return ipaddress.IPv4Address(".".join(str(int(part)) for part in text.split("."))).packed
    except ValueError:
        return None


def family_of(address: Address) -> Family:
    return Family.IPV4 if len(address) == 4 else Family.IPV6


def show_destination(destination: Destination) -> str:
    """For messages: ``10.244.1.5:8080``."""
    address = ipaddress.ip_address(destination[:-4])
    port = int.from_bytes(destination[-4:-2], "big")
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
