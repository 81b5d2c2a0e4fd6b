"""Links, routes and neighbours of a network namespace, in words."""

from __future__ import annotations

import contextlib
import ipaddress

from clusterip.kernel.namespaces import Namespace
from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.rtmessages import Route
from clusterip.kernel.rtnetlink import RouteSocket

_STATES = {1: "incomplete", 2: "reachable", 4: "stale", 8: "delay", 16: "probe", 32: "failed"}
_STATES |= {64: "noarp", 128: "permanent"}


class Network:
    """One namespace as it is when it is asked."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        with RouteSocket(namespace) as routes:
            self._links = {link.index: link for link in routes.links()}

    def name(self, index: int) -> str:
        """A link's name; empty for 0."""
        link = self._links.get(index)
        return link.name if link else (f"link {index}" if index else "")

    def describe(self, index: int) -> str:
        """A link with what it is: ``veth1234 (veth, port of bridge clusterip)``."""
        link = self._links.get(index)
        if link is None:
            return self.name(index)
        words = [link.kind or ("loopback" if link.name == "lo" else "device")]
        if link.master:
            words.append(f"port of bridge {self.name(link.master)}")
        if not link.up:
            words.append("down")
        return f"{link.name} ({', '.join(words)})"

    def via(self, index: int, address: str) -> str:
        """A link by which packets of a neighbour come or go; for a bridge with the port."""
        link = self._links.get(index)
        if link is None or link.kind != "bridge":
            return self.describe(index)
        with contextlib.suppress(NetlinkError), RouteSocket(self._namespace) as routes:
            wanted = ipaddress.ip_address(address)
            for neighbour in routes.neighbours(index):
                if neighbour.address != wanted or not neighbour.link_address:
                    continue
                for port in routes.bridge_port_to(neighbour.link_address):
                    if port in self._links and self._links[port].master == index:
                        return f"{self.describe(index)}, its port {self._links[port].name}" + (
                            f" ({self._links[port].kind})" if self._links[port].kind else ""
                        )
        return self.describe(index)

    def way_to(self, address: str) -> list[str]:
        """The route to an address, and the neighbour that frames go to."""
        destination = ipaddress.ip_address(address)
        with RouteSocket(self._namespace) as routes:
            try:
                route = routes.route_to(destination)
            except NetlinkError as error:
                return [f"no route to {address}: {error.message}"]
            listed = self._listed(routes, destination)
            lines = [f"route: {self._route(listed or route, destination)}"]
            if route.kind == 2:
                return ["route: the address is its own"]
            hop = route.gateway or destination
            with contextlib.suppress(NetlinkError):
                for neighbour in routes.neighbours(route.link):
                    if neighbour.address == hop:
                        state = _STATES.get(neighbour.state, str(neighbour.state))
                        lines.append(f"neighbour: {hop} is at {neighbour.link_address or '?'} ({state})")
        return lines

    def _listed(
        self, routes: RouteSocket, destination: ipaddress.IPv4Address | ipaddress.IPv6Address
    ) -> Route | None:
        """The entry of the main table that decides, for its prefix."""
        matching = [
            route
            for route in routes.routes()
            if route.destination is None or destination in route.destination
        ]
        version = destination.version
        matching = [
            r for r in matching if r.destination is not None or (r.gateway or destination).version == version
        ]
        return max(matching, key=lambda r: r.destination.prefixlen if r.destination else -1, default=None)

    def _route(self, route: Route, destination: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
        words = [str(route.destination or "default")]
        if route.gateway:
            words.append(f"via {route.gateway}")
        if route.link:
            words.append(f"dev {self.name(route.link)}")
        if route.source:
            words.append(f"src {route.source}")
        return " ".join(words)
