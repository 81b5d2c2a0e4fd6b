"""By which way the Pods of each other node are reached: a pure decision.

The modes are flannel's backends: ``host-gw`` routes by the other node's own address, for which both must be
on one network; ``vxlan`` sends everything through a tunnel; ``auto`` uses the first where it can and the
second where it must (flannel's ``DirectRouting``, Calico's ``CrossSubnet``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from clusterip.node.network.ipam import Address, Network, gateway_of
from clusterip.node.network.peers import Remote, Vtep

Mode = Literal["auto", "host-gw", "vxlan", "none"]
MODES: tuple[Mode, ...] = ("auto", "host-gw", "vxlan", "none")


@dataclass(frozen=True)
class Direct:
    """By a node's own address, on a network that this node is on too."""

    gateway: Address


@dataclass(frozen=True)
class Tunnel:
    """Through VXLAN to a node, whose bridge has the address ``gateway``."""

    gateway: Address
    vtep: Vtep


Way = Direct | Tunnel


@dataclass
class Ways:
    """The decision for all other nodes.

    ``needed``: there are nodes that only a tunnel reaches; ``asked``: others need this node to have one.
    ``lacking`` says of nodes that cannot be reached why, and ``neighbours`` are the addresses of those that
    are on a network with this one.
    """

    routes: dict[Network, Way] = field(default_factory=dict)
    needed: bool = False
    asked: bool = False
    lacking: dict[str, str] = field(default_factory=dict)
    neighbours: set[Address] = field(default_factory=set)


def decide(mode: Mode, remotes: Iterable[Remote], own: Vtep, is_neighbour: Callable[[Address], bool]) -> Ways:
    """How to reach the Pods of ``remotes``.

    Args:
        mode: what this node may do.
        remotes: all nodes but this one.
        own: this node's end of a tunnel, which need not be there yet.
        is_neighbour: whether an address is on a network that this node is on.
    """
    ways = Ways(needed=mode == "vxlan")
    for remote in remotes:
        near = {address for address in remote.addresses if is_neighbour(address)}
        vtep = remote.vtep
        always = mode == "vxlan" or (mode == "auto" and vtep is not None and vtep.always)
        if not always:
            ways.neighbours |= near
        ways.asked |= mode == "auto" and vtep is not None and (vtep.needed or vtep.always)
        for network in remote.networks:
            address = remote.address(network.version)
            if not always and address in near and address is not None:
                ways.routes[network] = Direct(address)
                continue
            if mode == "host-gw":
                ways.lacking[remote.name] = _not_near(remote, network)
                continue
            ways.needed = True
            problem = _problem(own, vtep)
            if problem:
                ways.lacking[remote.name] = problem
            elif vtep is not None:
                ways.routes[network] = Tunnel(gateway_of(network).ip, vtep)
    return ways


def _not_near(remote: Remote, network: Network) -> str:
    address = remote.address(network.version)
    if address is None:
        return f"it has no address of its own to route {network} by"
    return f"{address} is on no network of this node, and the mode host-gw needs that: use auto or vxlan"


def _problem(own: Vtep, vtep: Vtep | None) -> str:
    """Why two ends make no tunnel; "" if they do."""
    if vtep is None:
        return "it has no VXLAN device yet"
    if (own.vni, own.port) != (vtep.vni, vtep.port):
        return (
            f"its VXLAN is network {vtep.vni} on port {vtep.port}, "
            f"this node's {own.vni} on port {own.port}: give all nodes the same"
        )
    if own.remote.version != vtep.remote.version:
        return f"{own.address} and {vtep.address} are of different families: give all nodes one of both"
    return ""
