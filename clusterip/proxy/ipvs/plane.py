"""Which virtual servers there shall be, of all Service ports together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from clusterip.kernel.ipvs import Server
from clusterip.proxy.ipvs.servers import Wanted, virtual_servers
from clusterip.proxy.model import Address, NodeAddresses, PortKey, PortState, family_of


class Plane:
    """Service ports and the virtual servers they claim.

    Where two claim the same, the one whose ClusterIP it is has it, then the oldest Service.
    """

    def __init__(self, scheduler: str) -> None:
        self._scheduler = scheduler
        self._node_ports: tuple[Address, ...] = ()
        self._own: frozenset[Address] = frozenset()
        self.states: dict[PortKey, PortState] = {}
        self._claimed: dict[PortKey, dict[Server, Wanted]] = {}
        self._claims: dict[Server, list[PortKey]] = {}
        self.changed: set[Server] = set()

    def set_port(self, key: PortKey, state: PortState | None) -> None:
        old = self._claimed.pop(key, {})
        new: dict[Server, Wanted] = {}
        if state is None:
            self.states.pop(key, None)
        else:
            self.states[key] = state
            node_ports = [ip for ip in self._node_ports if family_of(ip) is key.family]
            new = self._claimed[key] = virtual_servers(state, self._scheduler, node_ports, self._own)
        for server in old.keys() - new.keys():
            self._claims[server].remove(key)
            if not self._claims[server]:
                del self._claims[server]
        for server in new.keys() - old.keys():
            self._claims.setdefault(server, []).append(key)
        self.changed |= {server for server in old.keys() | new.keys() if old.get(server) != new.get(server)}

    def set_node(self, addresses: NodeAddresses, own: Iterable[Address]) -> None:
        """Where node ports answer, and all addresses the node has but those bound for Services."""
        node_ports, known = addresses.node_ports, frozenset(own)
        if (node_ports, known) == (self._node_ports, self._own):
            return
        self._node_ports, self._own = node_ports, known
        for key, state in list(self.states.items()):
            if state.port.is_external:
                self.set_port(key, state)

    def wanted(self, server: Server) -> Wanted | None:
        """What a virtual server shall be; None if there shall be none."""
        claims = self._claims.get(server)
        if not claims:
            return None
        owner = claims[0] if len(claims) == 1 else min(claims, key=self._rank(server))
        return self._claimed[owner][server]

    def bound_by(self, key: PortKey) -> set[Address]:
        """The addresses that a Service port wants on our interface."""
        return {server.address for server, wanted in self._claimed.get(key, {}).items() if wanted.bind}

    def describe(self, key: PortKey) -> Iterator[str]:
        """A Service port's virtual servers and their destinations, as ``ipvsadm --save -n`` prints them."""
        for server, wanted in self._claimed.get(key, {}).items():
            persistent = f" -p {wanted.settings.timeout}" if wanted.settings.timeout else ""
            yield f"-A {server.option} -s {wanted.settings.scheduler}{persistent}"
            for each in sorted(wanted.destinations):
                yield each.command(server, 1)

    def servers(self) -> Iterable[Server]:
        return self._claims.keys()

    def _rank(self, server: Server) -> Callable[[PortKey], tuple[bool, str, PortKey]]:
        def rank(key: PortKey) -> tuple[bool, str, PortKey]:
            port = self.states[key].port
            return port.cluster_ip != server.address, port.created, key

        return rank

    def take_changed(self) -> dict[Server, Wanted | None]:
        """The virtual servers that changed since last asked."""
        taken = {server: self.wanted(server) for server in self.changed}
        self.changed.clear()
        return taken

    def take_all(self) -> dict[Server, Wanted]:
        self.changed.clear()
        found = {server: self.wanted(server) for server in self.servers()}
        return {server: wanted for server, wanted in found.items() if wanted is not None}


class Bound:
    """How many virtual servers need an address on our interface."""

    def __init__(self) -> None:
        self._needed = Counter[Address]()

    def take(self, address: Address) -> bool:
        """One more; whether it is the first."""
        self._needed[address] += 1
        return self._needed[address] == 1

    def drop(self, address: Address) -> bool:
        """One less; whether it was the last."""
        self._needed[address] -= 1
        if self._needed[address] > 0:
            return False
        del self._needed[address]
        return True

    def clear(self) -> None:
        self._needed.clear()

    def __contains__(self, address: Address) -> bool:
        return address in self._needed
