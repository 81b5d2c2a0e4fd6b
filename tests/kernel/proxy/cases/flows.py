"""Connections and flows that exist already when something changes."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
from proxy_network import PORT, Refused, Silent, listen_raw, send_acknowledgement

from tests.kernel.proxy.cases.bed import Bed
from tests.kernel.proxy.cases.model import ALL, TCP, UDP, V4, script
from tests.kernel.proxy.cases.place import Place

FLOW = 5_000
"""The source port of a UDP client that keeps sending."""


@script("connections outlive their endpoint, their Service and the proxy", *TCP)
async def _connections(bed: Bed, at: Place) -> None:
    web, slices = at.service(type="NodePort", node_port=30080), at.slice("here-1")
    await bed.apply(web, slices)
    ways = (
        ("client", at.service_ip(), 80),
        ("outside", at.node, 30080),
        ("node", at.service_ip(), 80),
        ("here-1", at.service_ip(), 80),
    )
    connections = [await bed.connect(*way) for way in ways]

    async def still_there() -> None:
        answers = await asyncio.gather(*(connection.ask() for connection in connections))
        assert [name for name, _ in answers] == ["here-1"] * len(ways)

    await still_there()
    await bed.apply(at.slice("away"))
    await still_there()
    await bed.apply(at.slice())
    await still_there()
    await bed.restart()
    await still_there()
    await bed.delete(web)
    await still_there()
    for connection in connections:
        connection.close()


@script("UDP clients leave an endpoint that goes", *UDP)
async def _udp_moves(bed: Bed, at: Place) -> None:
    web = at.service(type="LoadBalancer", node_port=30080, ingress=[at.public(2)], externalIPs=[at.public(1)])
    await bed.apply(web, at.slice("here-1"))
    ways = [
        (client, *address)
        for client in ("client", "node", "outside")
        for address in ((at.service_ip(), 80), (at.node, 30080), (at.public(1), 80), (at.public(2), 80))
    ]

    async def reached() -> set[str]:
        found = await asyncio.gather(*(bed.ask(*way, source_port=FLOW + n) for n, way in enumerate(ways)))
        return {name for name, _ in found}

    assert await reached() == {"here-1"}
    await bed.apply(at.slice("here-2"))
    assert await reached() == {"here-2"}
    await bed.apply(at.slice("here-1", "here-2"))  # a new one is no reason to move
    assert await reached() == {"here-2"}
    await bed.apply(at.slice("here-1", at.endpoint("here-2", ready=False, serving=False)))
    assert await reached() == {"here-1"}


@script("one UDP client talks to a Service by several of its addresses", *UDP)
async def _udp_addresses(bed: Bed, at: Place) -> None:
    await bed.apply(at.service(externalIPs=[at.public(1), at.public(2)]), at.slice("here-1"))
    for client in ("client", "node", "outside"):
        addresses = (at.service_ip(), at.public(1), at.public(2))
        found = await asyncio.gather(
            *(bed.ask(client, address, 80, source_port=FLOW) for address in addresses)
        )
        assert [name for name, _ in found] == ["here-1"] * len(addresses)


@script("UDP clients stay with an endpoint that terminates but serves", *UDP)
async def _udp_terminating(bed: Bed, at: Place) -> None:
    await bed.apply(at.service(), at.slice("here-1"))
    assert (await bed.ask("client", at.service_ip(), source_port=FLOW))[0] == "here-1"
    leaving = at.endpoint("here-1", ready=False, serving=True, terminating=True)
    await bed.apply(at.slice(leaving, "here-2"))
    assert (await bed.ask("client", at.service_ip(), source_port=FLOW))[0] == "here-1"
    gone = at.endpoint("here-1", ready=False, serving=False, terminating=True)
    await bed.apply(at.slice(gone, "here-2"))
    assert (await bed.ask("client", at.service_ip(), source_port=FLOW))[0] == "here-2"


@script("UDP clients that came before the first endpoint get it", *UDP)
async def _udp_first(bed: Bed, at: Place) -> None:
    web = at.service(type="NodePort", node_port=30080)
    await bed.apply(web)
    for way in (("client", at.service_ip(), 80), ("outside", at.node, 30080)):
        with pytest.raises((Refused, Silent)):
            await bed.ask(*way, source_port=FLOW, seconds=0.3)
    await bed.apply(at.slice(at.endpoint("here-1", ready=False, serving=False)))
    await bed.apply(at.slice("here-1"))
    for way in (("client", at.service_ip(), 80), ("outside", at.node, 30080)):
        assert (await bed.ask(*way, source_port=FLOW))[0] == "here-1"


@script("UDP clients follow a target port that changes", *UDP)
async def _udp_port(bed: Bed, at: Place) -> None:
    await bed.apply(at.service(type="NodePort", node_port=30080), at.slice("here-2", port=9090))
    ways = (("client", at.service_ip(), 80), ("outside", at.node, 30080))
    for way in ways:
        assert (await bed.ask(*way, source_port=FLOW))[0] == "here-2"
    await bed.apply(at.slice("here-1", port=8080))
    for way in ways:
        assert (await bed.ask(*way, source_port=FLOW))[0] == "here-1"


@script("UDP clients leave endpoints that went while no proxy ran", *UDP)
async def _udp_restart(bed: Bed, at: Place) -> None:
    await bed.apply(at.service(), at.slice("here-1"))
    assert (await bed.ask("client", at.service_ip(), source_port=FLOW))[0] == "here-1"
    await bed.restart(at.slice("here-2"))
    assert (await bed.ask("client", at.service_ip(), source_port=FLOW))[0] == "here-2"


@script("UDP clients of one Service are not disturbed by another's changes", *UDP)
async def _udp_others(bed: Bed, at: Place) -> None:
    await bed.apply(at.service(), at.slice(*ALL))
    name, _ = await bed.ask("client", at.service_ip(), source_port=FLOW)
    for number in range(3):
        await bed.apply(at.service("other", number=11), at.slice(ALL[number], name="other"))
        assert (await bed.ask("client", at.service_ip(), source_port=FLOW))[0] == name


async def _seen_from_server(bed: Bed, at: Place) -> set[str]:
    """Send something invalid to a client and back to what it believes is its server; whose packets it saw."""
    await bed.apply(at.service(), at.slice("here-1"))
    connection = await bed.connect("client", at.service_ip(), 80)
    with listen_raw(bed.namespace("client")) as listening:
        send_acknowledgement(bed.namespace("here-1"), (at.pod("here-1"), PORT), connection.local)
        await connection.ask()  # comes after it on the same way
        senders = set()
        with contextlib.suppress(BlockingIOError):
            while True:
                senders.add(socket.inet_ntoa(listening.recv(2000)[12:16]))
    connection.close()
    return senders


@script("packets that cannot be translated back do not reach clients", V4)
async def _invalid(bed: Bed, at: Place) -> None:
    assert await _seen_from_server(bed, at) == {at.service_ip()}
