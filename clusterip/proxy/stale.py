"""Forgetting UDP flows that end where no endpoint is any more (upstream: ``pkg/proxy/conntrack``)."""

from __future__ import annotations

import socket
from collections.abc import Collection

from clusterip.kernel.conntrack import Conntrack, Flow
from clusterip.proxy.model import Backend, ServicePort, pack_backend


def forget_stale_flows(conntrack: Conntrack, port: ServicePort, serving: Collection[Backend]) -> int:
    """Forget the flows to a UDP Service port that end elsewhere than at a serving endpoint; how many.

    That includes flows from before the first endpoint: they are tracked untranslated. Without endpoints
    nothing is done: there is nowhere else to go. Raises NetlinkError.
    """
    if port.key.protocol != socket.IPPROTO_UDP or not serving:
        return 0
    flows: list[Flow] = []
    for address in {port.cluster_ip, *port.external_ips, *port.load_balancer_ips}:
        flows += conntrack.flows(port.key.protocol, address, port.port)
    if port.node_port:
        flows += conntrack.node_port_flows(port.key.protocol, port.node_port, port.key.family)
    stale = [flow for flow in flows if pack_backend(flow.answerer, flow.answerer_port) not in serving]
    return sum(conntrack.delete(flow) for flow in stale)
