"""What a cluster on one machine is made of: its names, networks and addresses."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

import msgspec

from clusterip.cluster.errors import ClusterError

DEFAULT_NAME = "clusterip"
SUBNETS = [IPv4Network(f"172.30.{third}.0/24") for third in range(16)]
"""Networks for the nodes, in the order they are tried."""

_FIRST_NODE = 11
_DNS = 10
_NAME = re.compile(r"[a-z][a-z0-9-]{0,12}")


class ClusterConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster's shape. Everything on the machine is named after ``name``, so that several can coexist."""

    name: str = DEFAULT_NAME
    nodes: int = 3
    subnet: IPv4Network = SUBNETS[0]
    pod_cidr: IPv4Network = IPv4Network("10.244.0.0/16")
    service_cidr: IPv4Network = IPv4Network("10.96.0.0/16")
    domain: str = "cluster.local"
    api_port: int = 6443
    proxy_mode: str = "nftables"
    isolated: bool = False
    """Whether it runs in a machine within the machine (``isolation.py``)."""
    dual_stack: bool = False
    """Whether nodes, Pods and Services have IPv6 addresses beside those of IPv4."""

    @property
    def link(self) -> str:
        """The machine's own interface in the cluster's network."""
        return f"{self.name}0"

    @property
    def switch_namespace(self) -> str:
        return f"{self.name}-switch"

    @property
    def table(self) -> str:
        """The nftables table for traffic to the outside."""
        return f"{self.name}-outside"

    @property
    def machine_address(self) -> IPv4Address:
        return self.subnet[1]

    @property
    def api_service_address(self) -> IPv4Address:
        """ClusterIP of ``default/kubernetes``."""
        return self.service_cidr[1]

    @property
    def dns_address(self) -> IPv4Address:
        """ClusterIP of ``kube-system/kube-dns``."""
        return self.service_cidr[_DNS]

    @property
    def api_url(self) -> str:
        return f"https://{self.machine_address}:{self.api_port}"

    @property
    def outer_api_url(self) -> str:
        """The API server for who is on the real machine, and inside an isolated one as well."""
        return f"https://127.0.0.1:{self.api_port}" if self.isolated else self.api_url

    @property
    def load_balancer_addresses(self) -> tuple[IPv4Address, IPv4Address]:
        """The first and the last address for load balancers: the upper quarter of the subnet."""
        return self.subnet[self.subnet.num_addresses * 3 // 4], self.subnet[-2]

    @property
    def node_names(self) -> list[str]:
        return [f"node-{number}" for number in range(1, self.nodes + 1)]

    def namespace_of(self, node: str) -> str:
        """The network namespace of a node."""
        return f"{self.name}-{node}"

    def cgroup_of(self, node: str) -> str:
        """The cgroup that everything of a node is in, below the root of all; "" where nobody asks for it.

        Programs at sockets (``ebpf``) are attached to it: otherwise every node's would be the machine's.
        """
        return f"{self.name}-nodes/{node}" if self.proxy_mode == "ebpf" else ""

    def address_of(self, node: str) -> IPv4Address:
        """The InternalIP of a node."""
        return self.subnet[_FIRST_NODE + self.node_names.index(node)]

    @property
    def ipv6(self) -> Ipv6Networks | None:
        """Its networks of IPv6; None if it has none."""
        return Ipv6Networks.of(self.name, self.subnet) if self.dual_stack else None

    def addresses_of(self, node: str) -> tuple[str, ...]:
        """A node's InternalIPs: that of IPv4, and with ``dual_stack`` that of IPv6."""
        first = str(self.address_of(node))
        if self.ipv6 is None:
            return (first,)
        return first, str(self.ipv6.subnet[_FIRST_NODE + self.node_names.index(node)])

    @property
    def pod_cidrs(self) -> str:
        """The Pods' networks, separated by commas; so are ``service_cidrs``."""
        return _joined(self.pod_cidr, self.ipv6 and self.ipv6.pods)

    @property
    def service_cidrs(self) -> str:
        return _joined(self.service_cidr, self.ipv6 and self.ipv6.services)

    def check(self) -> None:
        """Raises ClusterError, saying what to change, if a cluster cannot be like this."""
        if not _NAME.fullmatch(self.name):
            raise ClusterError(
                f"{self.name!r} cannot name a cluster: use a lower-case letter, "
                "then up to 12 letters, digits and dashes"
            )
        if self.subnet.prefixlen > 28:
            raise ClusterError(f"the subnet {self.subnet} is too small for nodes: use a /24")
        most = max(self.subnet.num_addresses * 3 // 4 - _FIRST_NODE, 0)
        if not 1 <= self.nodes <= most:
            raise ClusterError(f"the subnet {self.subnet} has room for 1 to {most} nodes, not {self.nodes}")
        if self.dual_stack and self.nodes > 256:
            raise ClusterError(f"with IPv6 a cluster has at most 256 nodes, not {self.nodes}")
        if self.service_cidr.prefixlen > 24 or self.service_cidr.prefixlen < 12:
            raise ClusterError(f"the Service network must be a /12 to /24: {self.service_cidr}")
        if self.pod_cidr.prefixlen > 23 or 1 << (24 - self.pod_cidr.prefixlen) < self.nodes:
            raise ClusterError(f"the Pod network {self.pod_cidr} has no /24 for each of {self.nodes} nodes")
        networks = [self.subnet, self.pod_cidr, self.service_cidr]
        for i, network in enumerate(networks):
            for other in networks[:i]:
                if network.overlaps(other):
                    raise ClusterError(f"the networks {other} and {network} overlap: choose others")


class Ipv6Networks(NamedTuple):
    """Networks of IPv6 for nodes, Pods and Services, of a unique local prefix (RFC 4193)."""

    subnet: IPv6Network
    pods: IPv6Network
    services: IPv6Network

    @classmethod
    def of(cls, name: str, subnet: IPv4Network) -> Ipv6Networks:
        """The same each time for a cluster, and others than those of other clusters.

        The global ID is made from its name and its subnet, which no two clusters of a machine share.
        """
        digest = hashlib.sha256(f"{name} {subnet}".encode()).digest()
        prefix = int.from_bytes(b"\xfd" + digest[:5] + bytes(10), "big")
        return cls(
            IPv6Network((prefix | 1 << 64, 64)),
            IPv6Network((prefix | 0x100 << 64, 56)),  # a /64 for each node
            IPv6Network((prefix | 0x200 << 64, 112)),
        )

    @property
    def machine_address(self) -> IPv6Address:
        return self.subnet[1]

    @property
    def load_balancer_addresses(self) -> tuple[IPv6Address, IPv6Address]:
        """The first and the last address for load balancers."""
        return self.subnet[0xF000], self.subnet[0xFFFF]


def _joined(first: object, second: object | None) -> str:
    return f"{first},{second}" if second is not None else str(first)


def free_subnet(taken: Iterable[IPv4Network]) -> IPv4Network:
    """The first of SUBNETS that overlaps with none of ``taken``.

    Raises:
        ClusterError: all of them do.
    """
    networks = list(taken)
    for subnet in SUBNETS:
        if not any(subnet.overlaps(network) for network in networks):
            return subnet
    raise ClusterError("172.30.0.0 to 172.30.15.255 are all in use on this machine: give another --subnet")


def encode(config: ClusterConfig) -> bytes:
    return msgspec.json.format(msgspec.json.encode(config, enc_hook=str), indent=2) + b"\n"


def decode(data: bytes) -> ClusterConfig:
    return msgspec.json.decode(data, type=ClusterConfig, dec_hook=lambda kind, value: kind(value))
