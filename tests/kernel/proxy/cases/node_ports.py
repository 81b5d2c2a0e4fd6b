"""Node ports: on which addresses they answer, and to whom."""

from __future__ import annotations

from collections.abc import Iterator

from proxy_network import SECOND4, SECOND6

from clusterip.kernel.nftables import Family
from tests.kernel.proxy.cases.bed import Bed
from tests.kernel.proxy.cases.judge import check
from tests.kernel.proxy.cases.model import (
    ALL,
    ALL_PROTOCOLS,
    BOTH,
    EVERYBODY,
    TCP,
    Client,
    Seen,
    Step,
    case,
    script,
)
from tests.kernel.proxy.cases.place import Place


def _second(at: Place) -> str:
    """An address of the node that is not its InternalIP."""
    return SECOND4 if at.family == "IPv4" else SECOND6


@case("a node port reaches all endpoints, masqueraded", *ALL_PROTOCOLS)
def _node_port(at: Place) -> Iterator[Step]:
    yield Step(
        [at.service(type="NodePort", node_port=30080), at.slice(*ALL)],
        [
            *(client.to(at.node, 30080).reaches(*ALL) for client in EVERYBODY),
            *(client.to(at.service_ip()).reaches(*ALL) for client in EVERYBODY),
        ],
    )
    if at.protocol != "SCTP":  # which the node itself may not speak
        # The Service's port is not a node port.
        yield Step(dials=[client.to(at.node, 80).is_refused for client in EVERYBODY])
    yield Step(
        [at.slice("here-2")],
        [
            Client.OUTSIDE.to(at.node, 30080).reaches("here-2", seen=Seen.MASKED),
            Client.POD.to(at.node, 30080).reaches("here-2", seen=Seen.MASKED),
            Client.POD_ELSEWHERE.to(at.node, 30080).reaches("here-2", seen=Seen.MASKED),
        ],
    )


@case("a node port answers on the node's primary addresses only")
def _primary_only(at: Place) -> Iterator[Step]:
    yield Step(
        [at.service(type="NodePort", node_port=30080), at.slice(*ALL)],
        [
            Client.OUTSIDE.to(at.node, 30080).reaches(*ALL),
            Client.OUTSIDE.to(_second(at), 30080).is_refused,
            Client.POD.to(_second(at), 30080).is_refused,
        ],
    )


@case("a node port answers on all of the node's addresses", *TCP, all_node_addresses=frozenset(Family))
def _all_addresses(at: Place) -> Iterator[Step]:
    yield Step(
        [at.service(type="NodePort", node_port=30080), at.slice(*ALL)],
        [
            Client.OUTSIDE.to(at.node, 30080).reaches(*ALL),
            Client.OUTSIDE.to(_second(at), 30080).reaches(*ALL),
            Client.POD.to(_second(at), 30080).reaches(*ALL),
            Client.NODE.to(_second(at), 30080).reaches(*ALL),
            # Not on what is only routed through the node.
            Client.POD.to(at.pod("here-2"), 30080).is_refused,
        ],
    )


@script("node ports follow the node's addresses")
async def _addresses_change(bed: Bed, at: Place) -> None:
    await bed.apply(at.service(type="NodePort", node_port=30080), at.slice(*ALL))
    await bed.set_node(_second(at))
    await check(
        bed,
        at,
        Client.OUTSIDE.to(_second(at), 30080).reaches(*ALL),
        Client.OUTSIDE.to(at.node, 30080).is_refused,
    )
    await bed.set_node()
    await check(
        bed,
        at,
        Client.OUTSIDE.to(_second(at), 30080).is_refused,
        Client.OUTSIDE.to(at.node, 30080).reaches(*ALL),
    )


@case("a node port that changes")
def _changes(at: Place) -> Iterator[Step]:
    yield Step(
        [at.service(type="NodePort", node_port=30080), at.slice(*ALL)],
        [Client.OUTSIDE.to(at.node, 30080).reaches(*ALL)],
    )
    yield Step(
        [at.service(type="NodePort", node_port=30081)],
        [
            Client.OUTSIDE.to(at.node, 30080).is_refused,
            Client.OUTSIDE.to(at.node, 30081).reaches(*ALL),
        ],
    )
    yield Step(
        [at.service()],
        [
            Client.OUTSIDE.to(at.node, 30081).is_refused,
            Client.POD.to(at.service_ip()).reaches(*ALL),
        ],
    )


@case("one node port number for TCP and another Service's for UDP", *BOTH)
def _both_protocols(at: Place) -> Iterator[Step]:
    other = Place(at.family, "UDP" if at.protocol == "TCP" else "TCP")
    yield Step(
        [
            at.service(type="NodePort", node_port=30080),
            at.slice("here-1"),
            other.service("other", number=11, type="NodePort", node_port=30080),
            other.slice("here-2", name="other"),
        ],
        [Client.OUTSIDE.to(at.node, 30080).reaches("here-1")],
    )


@case("one Service with TCP and UDP on the same numbers", *BOTH)
def _one_service_both_protocols(at: Place) -> Iterator[Step]:
    ports = [
        {"name": protocol.lower(), "protocol": protocol, "port": 80, "nodePort": 30080}
        for protocol in ("TCP", "UDP")
    ]
    yield Step(
        [
            at.service(type="NodePort", ports=ports),
            at.slice("here-1", ports=(("tcp", "TCP", 8080), ("udp", "UDP", 8080))),
        ],
        [
            Client.OUTSIDE.to(at.node, 30080).reaches("here-1"),
            Client.POD.to(at.service_ip()).reaches("here-1"),
        ],
    )
