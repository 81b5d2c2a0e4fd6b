"""internalTrafficPolicy and externalTrafficPolicy."""

from __future__ import annotations

from collections.abc import Iterator

from clusterip.proxy import wire
from tests.kernel.proxy.cases.model import ALL, ALL_PROTOCOLS, EVERYBODY, Client, Seen, Step, case
from tests.kernel.proxy.cases.place import Place

HERE = ("here-1", "here-2")


@case("internalTrafficPolicy Local reaches this node's endpoints", *ALL_PROTOCOLS)
def _internal_local(at: Place) -> Iterator[Step]:
    vip = at.service_ip()
    local = at.service(internalTrafficPolicy="Local")
    yield Step([local, at.slice(*ALL)], [client.to(vip).reaches(*HERE) for client in EVERYBODY])
    yield Step([at.slice("away")], [client.to(vip).is_dropped for client in EVERYBODY])
    yield Step([at.slice()], [client.to(vip).is_refused for client in EVERYBODY])
    yield Step([at.service(), at.slice(*ALL)], [client.to(vip).reaches(*ALL) for client in EVERYBODY])


@case("internalTrafficPolicy Local does not bind external addresses")
def _internal_local_external_cluster(at: Place) -> Iterator[Step]:
    both = at.service(
        type="LoadBalancer",
        node_port=30080,
        ingress=[at.public(2)],
        externalIPs=[at.public(1)],
        internalTrafficPolicy="Local",
    )
    external = ((at.node, 30080), (at.public(1), 80), (at.public(2), 80))
    yield Step(
        [both, at.slice("away")],
        [
            *(client.to(*address).reaches("away") for client in EVERYBODY for address in external),
            *(client.to(at.service_ip()).is_dropped for client in EVERYBODY),
        ],
    )


@case("externalTrafficPolicy Local: this node's endpoints and the client's address", *ALL_PROTOCOLS)
def _external_local(at: Place) -> Iterator[Step]:
    web = at.service(
        type="LoadBalancer",
        node_port=30080,
        ingress=[at.public(2)],
        externalIPs=[at.public(1)],
        externalTrafficPolicy="Local",
    )
    external = ((at.node, 30080), (at.public(1), 80), (at.public(2), 80))
    yield Step(
        [web, at.slice(*ALL)],
        [
            *(Client.OUTSIDE.to(*to).reaches(*HERE, seen=Seen.ITSELF) for to in external),
            # Pods of any node, and this node, are not bound by it; Pods keep their addresses.
            *(Client.POD.to(*to).reaches(*ALL, seen=Seen.ITSELF) for to in external),
            *(Client.POD_ELSEWHERE.to(*to).reaches(*ALL, seen=Seen.ITSELF) for to in external),
            *(Client.NODE.to(*to).reaches(*ALL) for to in external),
            *(client.to(at.service_ip()).reaches(*ALL) for client in EVERYBODY),
        ],
    )
    yield Step(
        [at.slice("away")],
        [
            *(Client.OUTSIDE.to(*to).is_dropped for to in external),
            *(Client.POD.to(*to).reaches("away", seen=Seen.ITSELF) for to in external),
            *(Client.POD_ELSEWHERE.to(*to).reaches("away", seen=Seen.ITSELF) for to in external),
            *(Client.NODE.to(*to).reaches("away") for to in external),
        ],
    )
    yield Step([at.slice()], [client.to(*to).is_refused for client in EVERYBODY for to in external])


@case("both policies Local")
def _both_local(at: Place) -> Iterator[Step]:
    web = at.service(
        type="NodePort", node_port=30080, internalTrafficPolicy="Local", externalTrafficPolicy="Local"
    )
    yield Step(
        [web, at.slice(*ALL)],
        [
            Client.OUTSIDE.to(at.node, 30080).reaches(*HERE, seen=Seen.ITSELF),
            Client.POD.to(at.node, 30080).reaches(*ALL),
            Client.NODE.to(at.node, 30080).reaches(*ALL),
            *(client.to(at.service_ip()).reaches(*HERE) for client in EVERYBODY),
        ],
    )
    yield Step(
        [at.slice("away")],
        [
            Client.OUTSIDE.to(at.node, 30080).is_dropped,
            Client.POD.to(at.node, 30080).reaches("away"),
            *(client.to(at.service_ip()).is_dropped for client in EVERYBODY),
        ],
    )


@case("externalTrafficPolicy that changes")
def _policy_changes(at: Place) -> Iterator[Step]:
    def web(policy: str) -> wire.Service:
        return at.service(type="NodePort", node_port=30080, externalTrafficPolicy=policy)

    dial = Client.OUTSIDE.to(at.node, 30080)
    yield Step([web("Cluster"), at.slice(*ALL)], [dial.reaches(*ALL, seen=Seen.MASKED)])
    yield Step([web("Local")], [dial.reaches(*HERE, seen=Seen.ITSELF)])
    yield Step([web("Cluster")], [dial.reaches(*ALL, seen=Seen.MASKED)])


@case("externalTrafficPolicy without any external address is of no account")
def _policy_without_addresses(at: Place) -> Iterator[Step]:
    yield Step(
        [at.service(externalTrafficPolicy="Local"), at.slice("away")],
        [client.to(at.service_ip()).reaches("away") for client in EVERYBODY],
    )
