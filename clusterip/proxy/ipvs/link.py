"""``kube-ipvs0``: the interface that makes Services' addresses the node's own, for IPVS to see packets."""

from __future__ import annotations

import ipaddress

from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.proxy.model import Address

NAME = "kube-ipvs0"


class ServiceLink:
    """The interface of the network namespace this is made in. Methods raise NetlinkError."""

    def __init__(self) -> None:
        self._routes = RouteSocket()

    def close(self) -> None:
        self._routes.close()

    def exists(self) -> bool:
        return self._routes.find_link(NAME) is not None

    def ensure(self) -> None:
        if self._routes.find_link(NAME) is None:
            self._routes.add_dummy(NAME)
        # IPv6 has addresses only on interfaces that are up. It answers no ARP, up or not.
        self._routes.set_link(NAME, up=True)

    def bound(self) -> set[Address]:
        """The addresses on it, but the one that every interface has for itself."""
        return {
            address.address.ip.packed
            for address in self._routes.addresses(NAME)
            if not address.address.ip.is_link_local
        }

    def others(self) -> set[Address]:
        """The addresses that the node has on its other interfaces."""
        index = self._routes.index(NAME) if self._routes.find_link(NAME) is not None else 0
        return {each.address.ip.packed for each in self._routes.addresses() if each.link != index}

    def bind(self, address: Address) -> None:
        self._routes.replace_address(NAME, _alone(address))

    def unbind(self, address: Address) -> None:
        self._routes.delete_address(NAME, _alone(address))

    def remove(self) -> bool:
        """Remove it with all addresses; whether it was there."""
        return self._routes.delete_link(NAME)


def _alone(address: Address) -> str:
    ip = ipaddress.ip_address(address)
    return f"{ip}/{ip.max_prefixlen}"
