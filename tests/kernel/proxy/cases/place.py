"""Where a case happens: one family and protocol, and what the network's machines are called in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from proxy_network import NODE4, NODE6, OUTSIDE4, OUTSIDE6, PORT

from clusterip.proxy import wire
from tests.support import proxy_objects as objects
from tests.support.proxy_objects import NODE

OTHER_NODE = "node-2"
POD_NUMBERS = {"here-1": (1, 2), "here-2": (1, 3), "client": (1, 9), "away": (2, 4), "away-client": (2, 9)}
"""Each Pod's node and number. ``here-1``, ``here-2`` and ``away`` serve; the others are clients only."""


@dataclass(frozen=True)
class Place:
    """IPv4 or IPv6, and TCP, UDP or SCTP. A case is written once, with the names given here."""

    family: str = "IPv4"
    protocol: str = "TCP"

    def __str__(self) -> str:
        return f"{self.family}-{self.protocol}"

    def _ip(self, four: str, six: str) -> str:
        return four if self.family == "IPv4" else six

    def pod(self, name: str) -> str:
        subnet, number = POD_NUMBERS[name]
        return self._ip(f"10.244.{subnet}.{number}", f"fd00:244:{subnet}::{number:x}")

    def service_ip(self, number: int = 10) -> str:
        """A ClusterIP; 10 is that of the Service ``web``."""
        return self._ip(f"10.96.0.{number}", f"fd00:96::{number}")

    def public(self, number: int) -> str:
        """An address out there, for external IPs and load balancers."""
        return self._ip(f"198.51.100.{number}", f"2001:db8:51::{number}")

    @property
    def node(self) -> str:
        return self._ip(NODE4, NODE6)

    @property
    def outside(self) -> str:
        return self._ip(OUTSIDE4, OUTSIDE6)

    @property
    def address_bits(self) -> int:
        return 32 if self.family == "IPv4" else 128

    def service(
        self, name: str = "web", *, number: int = 10, port: int = 80, node_port: int = 0, **spec: Any
    ) -> wire.Service:
        """A Service with one port of this protocol, unless ``ports`` says else."""
        only = {"port": port, "protocol": self.protocol} | ({"nodePort": node_port} if node_port else {})
        return objects.service(name, self.service_ip(number), **{"ports": [only]} | spec)

    def endpoint(self, pod: str, **more: Any) -> dict[str, Any]:
        """One of the network's Pods as an endpoint; ``more`` as for :func:`proxy_objects.endpoint`."""
        node = NODE if POD_NUMBERS[pod][0] == 1 else OTHER_NODE
        return objects.endpoint(self.pod(pod), node, **more)

    def slice(
        self, *pods: str | dict[str, Any], name: str = "web", port: int = PORT, **more: Any
    ) -> wire.EndpointSlice:
        """A slice of the Service ``name`` with these Pods (names, or what ``endpoint`` made)."""
        endpoints = (self.endpoint(pod) if isinstance(pod, str) else pod for pod in pods)
        return objects.slice_of(
            name, *endpoints, **{"ports": (("", self.protocol, port),), "family": self.family} | more
        )
