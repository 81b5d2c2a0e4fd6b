"""From a Service port to virtual servers. Upstream: ``syncProxyRules`` in ``pkg/proxy/ipvs/proxier.go``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from clusterip.kernel.ipvs import Destination, Flags, Server, Settings
from clusterip.proxy.model import Address, PortState
from clusterip.proxy.model import Destination as Endpoint


class Wanted(NamedTuple):
    """What a virtual server shall be. ``bind``: its address must be one of the node's."""

    settings: Settings
    destinations: frozenset[Destination]
    bind: bool


def virtual_servers(
    state: PortState, scheduler: str, node_ports: Iterable[Address], own: frozenset[Address]
) -> dict[Server, Wanted]:
    """A Service port's virtual servers.

    Args:
        state: the port and its endpoints.
        scheduler: how destinations are chosen.
        node_ports: where node ports answer, of the port's family.
        own: addresses the node has on other interfaces, which must not be bound a second time.
    """
    port, choice, _ = state
    settings = _settings(scheduler, port.affinity_seconds)
    cluster = frozenset(map(_destination, choice.cluster))
    local = frozenset(map(_destination, choice.local))
    internal = local if port.internal_local else cluster
    # Without an endpoint on this node, its Pods and itself still get somewhere: they are not bound by the
    # policy. Others do not come this far (rules.py).
    external = (local or cluster) if port.external_local else cluster
    protocol = port.key.protocol
    found = {Server(protocol, port.cluster_ip, port.port): Wanted(settings, internal, bind=True)}
    for address in (*port.external_ips, *port.load_balancer_ips):
        found.setdefault(
            Server(protocol, address, port.port), Wanted(settings, external, bind=address not in own)
        )
    if port.node_port:
        for address in node_ports:
            found.setdefault(
                Server(protocol, address, port.node_port), Wanted(settings, external, bind=False)
            )
    return found


def _settings(scheduler: str, affinity_seconds: int) -> Settings:
    flags = Flags(0)
    if affinity_seconds:
        flags |= Flags.PERSISTENT
    if scheduler == "mh":
        flags |= Flags.SCHED2  # a client's connections are spread: its port counts
    return Settings(scheduler, flags, affinity_seconds)


def _destination(endpoint: Endpoint) -> Destination:
    return Destination(endpoint[:-4], int.from_bytes(endpoint[-4:-2], "big"))
