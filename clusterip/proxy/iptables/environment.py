"""What the rules depend on beside Services: the proxy's options, this node, and the iptables program."""

from __future__ import annotations

import ipaddress
import socket
from typing import NamedTuple

from clusterip.kernel.nftables import Family
from clusterip.proxy.backend import PodDetection
from clusterip.proxy.iptables.rule import rule
from clusterip.proxy.model import Address

INVALID_DROPPED = "ct_state_invalid_dropped_pkts"
LOCALHOST_ACCEPTED = "localhost_nps_accepted_pkts"
COUNTERS = (INVALID_DROPPED, LOCALHOST_ACCEPTED)
"""The kernel's counters (nfacct) that upstream's metrics are read from."""


def count_in(counter: str) -> str:
    """The match that counts a packet. With two blanks, as it is printed."""
    return f"-m nfacct --nfacct-name  {counter}"


class Environment(NamedTuple):
    """One family's. ``counters``: the nfacct counters that the kernel has."""

    family: Family
    pods: PodDetection = PodDetection()
    masquerade_all: bool = False
    masquerade_bit: int = 14
    localhost_node_ports: bool = False
    """Whether node ports answer on 127.0.0.0/8."""
    all_node_addresses: bool = True
    node_ips: tuple[Address, ...] = ()
    node_port_ips: tuple[Address, ...] = ()
    drop_invalid: bool = True
    random_fully: bool = True
    counters: frozenset[str] = frozenset()

    @property
    def mark(self) -> str:
        """The packet mark that means "masquerade"; as mask, that bit alone."""
        return f"{1 << self.masquerade_bit:#x}"

    @property
    def knows_pods(self) -> bool:
        """Whether connections of Pods can be told from others."""
        return bool(self.pod_cidr or self.pods.bridge or self.pods.interface_prefix)

    @property
    def pod_cidr(self) -> str:
        """The Pods' range of this family, if they are told by it. As upstream, the first counts."""
        version = 4 if self.family is Family.IPV4 else 6
        return next((str(cidr) for cidr in self.pods.cidrs if cidr.version == version), "")

    @property
    def interface(self) -> str:
        """The interface that Pods' packets come in by, in iptables' notation."""
        return self.pods.bridge or f"{self.pods.interface_prefix}+"

    def pod_rule(
        self,
        *,
        invert: bool = False,
        destination: str = "",
        protocol: str = "",
        matches: str = "",
        target: str,
    ) -> str:
        """A rule for packets from Pods, or (``invert``) from elsewhere."""
        negation = "! " if invert else ""
        source = f"{negation}-s {self.pod_cidr}" if self.pod_cidr else ""
        interface = "" if self.pod_cidr else f"{negation}-i {self.interface}"
        return rule(
            source=source,
            destination=destination,
            interface=interface,
            protocol=protocol,
            matches=matches,
            target=target,
        )

    def show(self, address: Address) -> str:
        """An address as a rule's ``-s`` or ``-d`` has it."""
        return f"{text_of(address)}/{32 if self.family is Family.IPV4 else 128}"

    @property
    def reject(self) -> str:
        return (
            "REJECT --reject-with icmp-port-unreachable"
            if self.family is Family.IPV4
            else "REJECT --reject-with icmp6-port-unreachable"
        )


def text_of(address: Address) -> str:
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


def is_loopback(address: Address) -> bool:
    return ipaddress.ip_address(address).is_loopback
