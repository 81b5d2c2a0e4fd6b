"""Keeps the way to every other node's Pods: routes, the VXLAN device with its entries, masquerading.

Changes are made as Nodes change, and when somebody else took something away. What an earlier agent made is
marked (routes by their protocol, the rest by name), so that it is taken over or removed; nothing else is
touched. Traffic needs no agent: all of it is in the kernel.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.informer import Informer
from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.nftables import Family, NftablesError
from clusterip.kernel.rtmessages import RT_TABLE_MAIN, Route
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.node.network import masquerade, vxlan
from clusterip.node.network.ipam import Network
from clusterip.node.network.peers import VXLAN_ANNOTATION, Peer, Remote, Vtep, encode, remote_of
from clusterip.node.network.underlay import UnderlayEvents
from clusterip.node.network.uplink import Neighbourhood, Uplink, find
from clusterip.node.network.ways import Direct, Mode, Tunnel, Way, Ways, decide
from clusterip.process import log

_log = log.get("node")

ROUTE_PROTOCOL = 0xC1
"""What marks a route as ours, so that one to a node that is gone is found again after a restart."""

_METRIC = {4: 0, 6: 1024}  # what the kernel gives a route that asks for none
_RETRY_SECONDS = 2.0
_LONGEST_PAUSE = 1.0


@dataclass(frozen=True)
class Settings:
    """How this node takes part. ``networks`` are its podCIDRs, ``addresses`` its InternalIPs.

    ``mtu``: of Pods' links, 0: what the way between machines leaves.
    """

    name: str
    mode: Mode
    networks: Sequence[Network]
    addresses: Sequence[str]
    masquerades: bool = True
    mtu: int = 0
    vni: int = vxlan.DEFAULT_VNI
    port: int = vxlan.DEFAULT_PORT


Annotate = Callable[[dict[str, str | None]], Awaitable[object]]


class PodNetwork:
    """This node's part in the Pod network."""

    def __init__(
        self, settings: Settings, nodes: Informer[Peer], annotate: Annotate, on_mtu: Callable[[int], None]
    ) -> None:
        """``annotate`` changes the annotations of the own Node (None removes one); ``on_mtu`` is told the
        MTU of Pods' links, at first and when it changes."""
        self._settings = settings
        self._annotate = annotate
        self._on_mtu = on_mtu
        self._own = [ip_address(address) for address in settings.addresses]
        self._nodes = nodes
        self._remotes: dict[str, Remote] = {}
        self._changed = asyncio.Event()
        self._masquerade = masquerade.Masquerade()
        self._complaints: dict[str, str] = {}
        self._must_retry = False
        self._uplink: Uplink | None = None
        self._device = 0
        self._mtu = 0
        self.vtep: Vtep | None = None
        """The own end of the tunnel, once the device is there."""
        nodes.on_change(self._node_changed)

    async def run(self) -> None:
        """Follow the Nodes and the kernel until cancelled."""
        with UnderlayEvents(self._link_matters, self._route_matters, self._changed.set):
            while True:
                await self._changed.wait()
                self._changed.clear()
                began = time.monotonic()
                is_done = self.sync() and await self._publish()
                took = time.monotonic() - began
                # When a thousand nodes come one by one, most of the time is left to others.
                await asyncio.sleep(min(_LONGEST_PAUSE, 9 * took))
                if not is_done:
                    asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._changed.set)

    def sync(self) -> bool:
        """Make the kernel as the Nodes want it; False if it refused something, which is to be tried again.

        What is wrong is logged once.
        """
        complaints: dict[str, str] = {}
        self._must_retry = False
        with self._noting(complaints, "all"), RouteSocket() as route:
            self._sync(route, complaints)
        for part, problem in complaints.items():
            if self._complaints.get(part) != problem:
                _log.warning("Pod network incomplete", part=part, problem=problem)
        self._complaints = complaints
        return not self._must_retry

    def _sync(self, route: RouteSocket, complaints: dict[str, str]) -> None:
        settings = self._settings
        self._uplink = uplink = find(route, self._own)
        address = uplink.address if uplink else self._own[0]
        own = Vtep(str(address), vxlan.mac_of(address), settings.vni, settings.port)
        ways = decide(settings.mode, self._remotes.values(), own, Neighbourhood(route).has)
        for name, problem in ways.lacking.items():
            complaints[f"node {name}"] = problem
        self.vtep = None
        if ways.needed or ways.asked:
            if uplink is None:
                complaints["VXLAN"] = (
                    f"no device of this machine has the node's address {address} (--node-ip)"
                )
            else:
                with self._noting(complaints, f"VXLAN device {vxlan.DEVICE}"):
                    self._sync_device(own, uplink, ways)
        self._set_mtu(uplink)
        device = route.find_link(vxlan.DEVICE)
        self._device = device.index if device else 0
        self._sync_routes(route, ways, complaints)
        if device and not (ways.needed or ways.asked):
            route.delete_link(device.index)
            _log.info("VXLAN device removed", device=vxlan.DEVICE)
        with self._noting(complaints, "masquerading"):
            self._sync_masquerade(ways)

    def _sync_device(self, own: Vtep, uplink: Uplink, ways: Ways) -> None:
        mtu = uplink.mtu - vxlan.overhead(uplink.address)
        vxlan.ensure_device(own, uplink.index, self._settings.networks, mtu)
        vxlan.sync_entries(way for way in ways.routes.values() if isinstance(way, Tunnel))
        self.vtep = Vtep(
            own.address,
            own.mac,
            own.vni,
            own.port,
            always=self._settings.mode == "vxlan",
            needed=ways.needed,
        )

    def _set_mtu(self, uplink: Uplink | None) -> None:
        mtu = self._settings.mtu
        if not mtu and uplink is not None:
            mtu = uplink.mtu - (vxlan.overhead(uplink.address) if self.vtep is not None else 0)
        if mtu != self._mtu:
            self._mtu = mtu
            self._on_mtu(mtu)

    def _sync_routes(self, route: RouteSocket, ways: Ways, complaints: dict[str, str]) -> None:
        wanted = {
            network: way
            for network, way in ways.routes.items()
            if isinstance(way, Direct) or self.vtep is not None
        }
        present: dict[Network, Route] = {}
        foreign: set[Network] = set()
        for each in route.routes():
            if each.destination is None:
                continue
            if each.protocol == ROUTE_PROTOCOL:
                present[each.destination] = each
            elif each.metric == _METRIC[each.destination.version]:
                foreign.add(each.destination)
        for network in present.keys() - wanted.keys():
            route.delete_route(network, protocol=ROUTE_PROTOCOL)
        for network, way in wanted.items():
            if network in foreign:
                complaints[str(network)] = "there is a route already, which another program has made"
                continue
            mtu = self._route_mtu(way)
            if not _is_so(present.get(network), way, self._device, mtu):
                with self._noting(complaints, str(network)):
                    _make_route(route, network, way, mtu)

    def _route_mtu(self, way: Way) -> int:
        """The MTU of Pods' links where a way would take more; 0 where it would not.

        A node puts a Pod's fragments together to see their ports, and sends on in one piece what the way
        takes: too big for the Pod at the other end, and nothing that its sender can do better.
        """
        uplink = self._uplink
        if uplink is None or not self._mtu:
            return 0
        most = uplink.mtu - (vxlan.overhead(uplink.address) if isinstance(way, Tunnel) else 0)
        return self._mtu if self._mtu < most else 0

    def _sync_masquerade(self, ways: Ways) -> None:
        if not self._settings.masquerades:
            for family in Family:
                masquerade.remove(family)
            return
        others = (network for remote in self._remotes.values() for network in remote.networks)
        self._masquerade.sync(self._settings.networks, others, ways.neighbours)

    async def _publish(self) -> bool:
        """Have the own Node say how the tunnel's end here is reached; whether it does."""
        node = self._nodes.get("", self._settings.name)
        wanted = encode(self.vtep) if self.vtep is not None else None
        if node is None or node.metadata.annotations.get(VXLAN_ANNOTATION) == wanted:
            return True
        try:
            await self._annotate({VXLAN_ANNOTATION: wanted})
        except (ApiError, Unreachable) as error:
            _log.warning("VXLAN device not announced, trying again", error=str(error))
            return False
        return True

    def _node_changed(self, old: Peer | None, new: Peer | None) -> None:
        node = new or old
        assert node is not None
        name = node.metadata.name
        if name == self._settings.name:
            if new is not None and (old is None or old.metadata.annotations != new.metadata.annotations):
                self._changed.set()
            return
        if new is None:
            del self._remotes[name]
        else:
            remote = remote_of(new)
            if self._remotes.get(name) == remote:
                return  # most changes are heartbeats
            self._remotes[name] = remote
        self._changed.set()

    def _link_matters(self, index: int) -> bool:
        return self._uplink is None or index in (self._uplink.index, self._device)

    def _route_matters(self, route: Route, is_there: bool) -> bool:
        """Whether one of ours was taken, or one that stood in the way, or what is near has changed."""
        if route.table != RT_TABLE_MAIN:
            return False
        if not is_there and (route.protocol == ROUTE_PROTOCOL or str(route.destination) in self._complaints):
            return True
        return route.gateway is None and self._link_matters(route.link)

    @contextlib.contextmanager
    def _noting(self, complaints: dict[str, str], what: str) -> Iterator[None]:
        """Note what the kernel refuses, and go on: what can work is to work."""
        try:
            yield
        except NetlinkError as error:
            complaints[what] = f"the kernel refused it: {error.message}"
            self._must_retry = True
        except (NftablesError, OSError) as error:
            complaints[what] = str(error)
            self._must_retry = True


def _is_so(found: Route | None, way: Way, device: int, mtu: int) -> bool:
    if found is None or (found.gateway, found.mtu) != (way.gateway, mtu):
        return False
    if isinstance(way, Tunnel):
        return found.link == device
    return found.link != device


def _make_route(route: RouteSocket, network: Network, way: Way, mtu: int) -> None:
    if isinstance(way, Direct):
        route.replace_route(network, gateway=way.gateway, protocol=ROUTE_PROTOCOL, mtu=mtu)
    else:
        route.replace_route(
            network,
            gateway=way.gateway,
            link=vxlan.DEVICE,
            protocol=ROUTE_PROTOCOL,
            onlink=True,
            mtu=mtu,
        )
