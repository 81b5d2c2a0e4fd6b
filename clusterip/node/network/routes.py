"""Routes to the Pods of other nodes: each node's podCIDRs by way of its InternalIP."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import msgspec

from clusterip.client.informer import Informer
from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.rtnetlink import IPAddress, IPNetwork, RouteSocket
from clusterip.process import log

_log = log.get("node")

# What marks a route as ours, so that one to a node that is gone is found again after a restart.
ROUTE_PROTOCOL = 0xC1


class _Metadata(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    resourceVersion: str = ""
    uid: str = ""


class _Address(msgspec.Struct):
    type: str = ""
    address: str = ""


class _Spec(msgspec.Struct):
    podCIDR: str = ""
    podCIDRs: list[str] = []


class _Status(msgspec.Struct):
    addresses: list[_Address] = []


class Peer(msgspec.Struct):
    """As much of a Node as routes need."""

    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


def wanted_routes(peers: list[Peer], own_name: str) -> dict[IPNetwork, IPAddress]:
    """podCIDR -> gateway for every other node that has both, in the same address family."""
    routes: dict[IPNetwork, IPAddress] = {}
    for peer in peers:
        if peer.metadata.name == own_name:
            continue
        gateways = [ip_address(a.address) for a in peer.status.addresses if a.type == "InternalIP"]
        for text in peer.spec.podCIDRs or [peer.spec.podCIDR]:
            network = ip_network(text) if text else None
            gateway = next((g for g in gateways if network and g.version == network.version), None)
            if network and gateway:
                routes[network] = gateway
    return routes


class RouteKeeper:
    """Keeps the kernel's routes as the Nodes want them. Changes are made as Nodes change."""

    def __init__(self, nodes: Informer[Peer], own_name: str) -> None:
        self._nodes = nodes
        self._own_name = own_name
        self._refused: dict[IPNetwork, str] = {}
        self.routes: dict[IPNetwork, IPAddress] = {}
        nodes.on_batch(self.sync)

    def sync(self) -> None:
        """Make and remove what differs. A route the kernel refuses is logged once and tried again."""
        wanted = wanted_routes(list(self._nodes.objects.values()), self._own_name)
        if wanted == self.routes and not self._refused:
            return
        with RouteSocket() as kernel:
            present = {
                route.destination: route.gateway
                for route in kernel.routes()
                if route.protocol == ROUTE_PROTOCOL and route.destination
            }
            for network in present.keys() - wanted.keys():
                kernel.delete_route(network)
            for network, gateway in wanted.items():
                if present.get(network) == gateway:
                    continue
                try:
                    kernel.replace_route(network, gateway=gateway, protocol=ROUTE_PROTOCOL)
                    self._refused.pop(network, None)
                except NetlinkError as error:
                    self._refuse(network, gateway, error)
        self.routes = wanted

    def _refuse(self, network: IPNetwork, gateway: IPAddress, error: NetlinkError) -> None:
        if self._refused.get(network) != error.message:
            self._refused[network] = error.message
            _log.warning(
                "cannot route to another node's Pods; is it on the same network?",
                network=network,
                gateway=gateway,
                error=error.message,
            )
