"""A network namespace with the iptables programs of one kind, for backends to work in."""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path

from clusterip.kernel import iptables, namespaces
from clusterip.kernel.iptables import Iptables, Rules
from clusterip.kernel.nftables import Family
from clusterip.proxy.backend import BackendOptions, PodDetection
from clusterip.proxy.iptables.backend import IptablesBackend
from clusterip.proxy.iptables.constant import TABLES

OPTIONS = BackendOptions(
    PodDetection(tuple(map(ipaddress.ip_network, ("10.244.0.0/16", "fd00:244::/32")))),
    all_node_addresses=frozenset(Family),
)


class Node:
    """A network namespace and the iptables programs of one kind."""

    def __init__(self, namespace: Path, kind: str) -> None:
        self.namespace = namespace
        self.kind = kind
        self.programs = {
            family: next(each for each in iptables.every(family) if each.kind == kind) for family in Family
        }
        self.touched = asyncio.Event()
        self._open: list[IptablesBackend] = []

    def backend(self, options: BackendOptions = OPTIONS) -> IptablesBackend:
        """A backend as the proxy has it; closed when the test ends."""
        with namespaces.enter(self.namespace):
            backend = IptablesBackend(self.programs.values(), options)
        backend.watch(self.touched.set)
        self._open.append(backend)
        return backend

    def saved(self, family: Family = Family.IPV4) -> dict[str, Rules]:
        program: Iptables = self.programs[family]
        return namespaces.run_in(self.namespace, lambda: program.save(*TABLES))

    def restore(self, text: str, family: Family = Family.IPV4) -> None:
        """As another program would."""
        namespaces.run_in(self.namespace, lambda: self.programs[family].restore(text))

    def close(self) -> None:
        for backend in self._open:
            backend.close()
        self._open.clear()
