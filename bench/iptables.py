"""The iptables data plane alone: first load, one endpoint replaced, a Service more and less, a restart.

    sudo .venv/bin/python bench/iptables.py [SERVICES] [nft|legacy]

In a network namespace of its own, with 5 endpoints a Service.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import resource
import socket
import sys
import time
from collections.abc import Awaitable
from pathlib import Path

from clusterip.kernel import iptables, namespaces
from clusterip.kernel.nftables import Family
from clusterip.proxy.backend import BackendOptions, PodDetection
from clusterip.proxy.iptables.backend import IptablesBackend
from clusterip.proxy.model import Choice, PortKey, PortState, ServiceKey, ServicePort, pack_destination

ENDPOINTS = 5
OPTIONS = BackendOptions(
    PodDetection((ipaddress.ip_network("10.200.0.0/14"),)), all_node_addresses=frozenset(Family)
)


def state(number: int, *, port: int = 8080) -> PortState:
    """A Service; ``port`` is that of its last endpoint."""
    key = PortKey(ServiceKey(f"ns-{number % 100}", f"svc-{number}"), "http", socket.IPPROTO_TCP, Family.IPV4)
    base = 10 << 24 | 200 << 16 | number * ENDPOINTS
    endpoints = [
        pack_destination((base + each).to_bytes(4, "big"), 8080 if each < ENDPOINTS - 1 else port)
        for each in range(ENDPOINTS)
    ]
    cluster_ip = (10 << 24 | 96 << 16 | number).to_bytes(4, "big")
    return PortState(ServicePort(key, cluster_ip, 80), Choice(tuple(endpoints), (), True))


async def timed(what: str, work: Awaitable[object]) -> None:
    started, before = time.monotonic(), _processor_seconds()
    assert not await work
    seconds, processor = time.monotonic() - started, _processor_seconds() - before
    print(f"{what:24} {seconds * 1000:9.0f} ms, processor {processor * 1000:7.0f} ms")


def _processor_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


async def measure(namespace: Path, services: int, kind: str) -> None:
    program = next(each for each in iptables.every(Family.IPV4) if each.kind == kind)
    states = [state(number) for number in range(1, services + 1)]

    def opened() -> IptablesBackend:
        with namespaces.enter(namespace):
            backend = IptablesBackend([program], OPTIONS)
        for each in states:
            backend.set_port(each.port.key, each)
        return backend

    backend = opened()
    await timed("first load", backend.reconcile())
    for port in (8081, 8082, 8083):
        changed = state(services // 2, port=port)
        backend.set_port(changed.port.key, changed)
        await timed("one endpoint replaced", backend.apply())
    one = state(services + 1)
    backend.set_port(one.port.key, one)
    await timed("a Service more", backend.apply())
    backend.set_port(one.port.key, None)
    await timed("a Service less", backend.apply())
    backend.close()
    again = opened()
    await timed("restart", again.reconcile())
    again.close()


def main() -> None:
    services = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    kind = sys.argv[2] if len(sys.argv) > 2 else iptables.NFT
    name = f"bench-ipt-{os.getpid()}"
    namespace = namespaces.create_named(name)
    try:
        print(f"{services} Services with {ENDPOINTS} endpoints, iptables-{kind}")
        asyncio.run(measure(namespace, services, kind))
    finally:
        namespaces.delete_named(name)


if __name__ == "__main__":
    main()
