"""Bringing virtual servers, addresses and destinations to what is wanted. All of it blocks."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping

from clusterip.kernel.ipvs import Destination, Ipvs, Server, Settings
from clusterip.kernel.netlink import NetlinkError
from clusterip.process import log
from clusterip.proxy.backend import Refusal
from clusterip.proxy.ipvs.link import ServiceLink
from clusterip.proxy.ipvs.plane import Bound
from clusterip.proxy.ipvs.servers import Wanted
from clusterip.proxy.model import Address, Network

_log = log.get("proxy")


class Written:
    """What the kernel has of a virtual server."""

    def __init__(self, settings: Settings, destinations: set[Destination]) -> None:
        self.settings = settings
        self.destinations = destinations
        self.bind = False


class Writer:
    """Writes virtual servers. Methods raise NetlinkError where nothing can be done at all."""

    def __init__(self, ipvs: Ipvs, link: ServiceLink, excluded: Iterable[Network] = ()) -> None:
        self._ipvs = ipvs
        self._link = link
        self._excluded = tuple(excluded)
        self._bound = Bound()
        self.written: dict[Server, Written] = {}
        self.refused: dict[Server, Refusal] = {}
        self._lacking: list[str] = []
        self.ending: set[tuple[Server, Destination]] = set()
        """Destinations that get no new connections and go when their last one has ended."""

    def write(self, changes: Mapping[Server, Wanted | None]) -> None:
        """Bring these virtual servers to what is wanted (None: away)."""
        for server, wanted in changes.items():
            self.refused.pop(server, None)
            self._lacking.clear()
            try:
                if wanted is None:
                    self._remove(server)
                else:
                    self._put(server, wanted)
            except NetlinkError as error:
                self.refused[server] = Refusal(f"virtual server {server}", error.message)
            if self._lacking:
                self.refused[server] = Refusal(f"virtual server {server}", "; ".join(self._lacking))

    def reconcile(self, wanted: Mapping[Server, Wanted]) -> None:
        """Read what there is and bring it to what is wanted; others' virtual servers in the way go."""
        self._link.ensure()
        self._read()
        bound = self._link.bound()
        self.write(wanted)
        for server in list(self.written):
            if server not in wanted and not self._is_excluded(server.address):
                self._remove(server)
        for address in bound:
            if address not in self._bound:
                self._link.unbind(address)

    def _read(self) -> None:
        self._bound.clear()
        self.written.clear()
        self.ending.clear()
        for server, settings in self._ipvs.servers().items():
            states = self._ipvs.destinations(server)
            self.written[server] = Written(settings, set(states))
            # What an earlier process has let run out goes on to do so, unless it is wanted again.
            self.ending |= {(server, each) for each, state in states.items() if state.weight == 0}

    def _put(self, server: Server, wanted: Wanted) -> None:
        written = self.written.get(server)
        if written is None:
            self._ipvs.add_server(server, wanted.settings)
            written = self.written[server] = Written(wanted.settings, set())
        elif written.settings != wanted.settings:
            self._ipvs.set_server(server, wanted.settings)
            written.settings = wanted.settings
        for destination in wanted.destinations:
            if (server, destination) in self.ending:
                self._ipvs.set_weight(server, destination, 1)
                self.ending.discard((server, destination))
            elif destination not in written.destinations:
                self._add(server, written, destination)
        for destination in written.destinations - wanted.destinations:
            if (server, destination) not in self.ending:
                self._end(server, destination)
        # Last, so that nobody finds the address before there is somebody to answer.
        self._bind(server, written, wanted.bind)

    def _add(self, server: Server, written: Written, destination: Destination) -> None:
        """Add a destination; one that cannot be had keeps no other back."""
        try:
            self._ipvs.add_destination(server, destination)
        except NetlinkError as error:
            # The kernel wants a route to it.
            host = ipaddress.ip_address(destination.address)
            self._lacking.append(f"destination {host} port {destination.port}: {error.message}")
        else:
            written.destinations.add(destination)

    def _remove(self, server: Server) -> None:
        written = self.written.get(server)
        if written is None:
            return
        self._bind(server, written, False)
        self._ipvs.delete_server(server)
        del self.written[server]
        self.ending = {each for each in self.ending if each[0] != server}

    def _end(self, server: Server, destination: Destination) -> None:
        """Take a destination away: at once, or once its connections have ended.

        UDP has no end; its clients shall move on with their next packet (``expire_nodest_conn``).
        """
        if server.protocol == socket.IPPROTO_TCP:
            state = self._ipvs.destinations(server).get(destination)
            if state is not None and state.active + state.inactive:
                self._ipvs.set_weight(server, destination, 0)
                self.ending.add((server, destination))
                return
        self._ipvs.delete_destination(server, destination)
        self.written[server].destinations.discard(destination)

    def finish_ended(self) -> None:
        """Remove the destinations whose connections have ended meanwhile."""
        for server in {server for server, _ in self.ending}:
            states = self._ipvs.destinations(server)
            for destination in {each for of, each in self.ending if of == server}:
                state = states.get(destination)
                if state is not None and state.active + state.inactive:
                    continue
                self._ipvs.delete_destination(server, destination)
                self.ending.discard((server, destination))
                self.written[server].destinations.discard(destination)
                _log.debug("removed a destination without connections", server=str(server))

    def _bind(self, server: Server, written: Written, wanted: bool) -> None:
        if wanted == written.bind:
            return
        if wanted:
            if self._bound.take(server.address):
                self._link.bind(server.address)
        elif self._bound.drop(server.address):
            self._link.unbind(server.address)
        written.bind = wanted

    def _is_excluded(self, address: Address) -> bool:
        ip = ipaddress.ip_address(address)
        return any(ip in network for network in self._excluded)
