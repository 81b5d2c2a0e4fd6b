"""Which Service port a tracked connection belongs to."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from clusterip.kernel.flowcounters import CountedFlow
from clusterip.proxy.model import Network, PortKey, PortState


class Places:
    """The addresses of all Service ports, as tracked connections name them.

    ``own``, where data planes translate at the socket: the ranges of this node's Pods and its own addresses.
    There a connection stands in connection tracking as one to its endpoint, on the client's node and on the
    server's; it belongs to the client's.
    """

    def __init__(self, states: Iterable[PortState], own: Collection[Network]) -> None:
        self._frontends: dict[tuple[bytes, int, bytes], PortKey] = {}
        self._node_ports: dict[tuple[int, int, bytes], PortKey] = {}
        self._endpoints: dict[tuple[bytes, int], PortKey | None] = {}
        self._own = own
        for port, choice, _ in states:
            key = port.key
            number = port.port.to_bytes(2, "big")
            for address in (port.cluster_ip, *port.external_ips, *port.load_balancer_ips):
                self._frontends[address, key.protocol, number] = key
            if port.node_port:
                place = len(port.cluster_ip), key.protocol, port.node_port.to_bytes(2, "big")
                self._node_ports[place] = key
            if own:
                for destination in choice.cluster or choice.local:
                    # An endpoint of several Service ports: nobody can say which was meant.
                    shared = (destination, key.protocol) in self._endpoints
                    self._endpoints[destination, key.protocol] = None if shared else key

    def find(self, flow: CountedFlow) -> PortKey | None:
        """The Service port, None if it is a connection of another kind."""
        if flow.destination + flow.port + b"\0\0" == flow.answerer:
            if not self._endpoints:
                return None
            key = self._endpoints.get((flow.answerer, flow.protocol))
            return key if key is not None and self._is_own(flow.source) else None
        return self._frontends.get((flow.destination, flow.protocol, flow.port)) or self._node_ports.get(
            (len(flow.destination), flow.protocol, flow.port)
        )

    def _is_own(self, source: bytes) -> bool:
        number, version = int.from_bytes(source, "big"), 4 if len(source) == 4 else 6
        return any(
            network.version == version and number & int(network.netmask) == int(network.network_address)
            for network in self._own
        )
