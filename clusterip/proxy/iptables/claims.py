"""Addresses that several Service ports claim: the first rule in ``KUBE-SERVICES`` decides who has one.

Upstream leaves the order to chance. Here the port whose ClusterIP it is comes first, then the oldest Service.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from clusterip.proxy.model import Address, PortKey, PortState


class Frontend(NamedTuple):
    """Where connections go that a Service port answers."""

    address: Address
    protocol: int
    port: int


class Claims:
    """Which Service ports want which frontends."""

    def __init__(self) -> None:
        self._claimants: dict[Frontend, tuple[PortKey, ...]] = {}

    def change(self, key: PortKey, old: PortState | None, new: PortState | None) -> None:
        before, after = set(_frontends(old)), set(_frontends(new))
        for frontend in before - after:
            left = tuple(each for each in self._claimants[frontend] if each != key)
            if left:
                self._claimants[frontend] = left
            else:
                del self._claimants[frontend]
        for frontend in after - before:
            self._claimants[frontend] = (*self._claimants.get(frontend, ()), key)

    def contested(self, states: Iterable[PortState]) -> dict[Frontend, tuple[PortKey, ...]]:
        """The frontends of these ports that others want as well, with all that do."""
        found = {}
        for state in states:
            for frontend in _frontends(state):
                claimants = self._claimants.get(frontend, ())
                if len(claimants) > 1:
                    found[frontend] = claimants
        return found


def rank(frontend: Frontend, state: PortState) -> tuple[bool, str, PortKey]:
    """The least of several has it."""
    port = state.port
    return port.cluster_ip != frontend.address, port.created, port.key


def _frontends(state: PortState | None) -> Iterator[Frontend]:
    if state is not None:
        port = state.port
        for address in (port.cluster_ip, *port.external_ips, *port.load_balancer_ips):
            yield Frontend(address, port.key.protocol, port.port)
