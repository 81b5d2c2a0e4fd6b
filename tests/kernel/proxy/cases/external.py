"""External IPs and the addresses of load balancers."""

from __future__ import annotations

from collections.abc import Iterator

from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.proxy import wire
from tests.kernel.proxy.cases.bed import Bed
from tests.kernel.proxy.cases.judge import check
from tests.kernel.proxy.cases.model import (
    ALL,
    ALL_PROTOCOLS,
    BOTH,
    EVERYBODY,
    Client,
    Seen,
    Step,
    case,
    script,
)
from tests.kernel.proxy.cases.place import Place


@case("an external IP reaches all endpoints, masqueraded", *BOTH)
def _external_ip(at: Place) -> Iterator[Step]:
    ip = at.public(1)
    yield Step(
        [at.service(externalIPs=[ip]), at.slice(*ALL)],
        [
            *(client.to(ip).reaches(*ALL) for client in EVERYBODY),
            Client.OUTSIDE.to(ip).reaches(*ALL, seen=Seen.MASKED),
            Client.POD.to(ip).reaches(*ALL, seen=Seen.MASKED),
        ],
    )
    yield Step([at.service()], [Client.POD.to(ip).is_dropped, Client.POD.to(at.service_ip()).reaches(*ALL)])


@case("a load balancer's address reaches all endpoints, masqueraded", *ALL_PROTOCOLS)
def _load_balancer(at: Place) -> Iterator[Step]:
    ip = at.public(2)
    balanced = at.service(type="LoadBalancer", node_port=30080, ingress=[ip])
    yield Step(
        [balanced, at.slice(*ALL)],
        [
            *(client.to(ip).reaches(*ALL) for client in EVERYBODY),
            *(client.to(at.node, 30080).reaches(*ALL) for client in EVERYBODY),
            Client.OUTSIDE.to(ip).reaches(*ALL, seen=Seen.MASKED),
            Client.POD.to(ip).reaches(*ALL, seen=Seen.MASKED),
        ],
    )
    yield Step(
        [at.service(type="LoadBalancer", node_port=30080, ingress=[at.public(3)])],
        [Client.OUTSIDE.to(at.public(3)).reaches(*ALL), Client.POD.to(ip).is_dropped],
    )


@case("a load balancer without node ports")
def _no_node_ports(at: Place) -> Iterator[Step]:
    ip = at.public(2)
    yield Step(
        [at.service(type="LoadBalancer", allocateLoadBalancerNodePorts=False, ingress=[ip]), at.slice(*ALL)],
        [client.to(ip).reaches(*ALL) for client in EVERYBODY],
    )


@case("an address of ipMode Proxy is the load balancer's own", *BOTH)
def _proxy_mode(at: Place) -> Iterator[Step]:
    proxied, virtual = at.public(3), at.public(2)
    ingress = [
        {"ip": proxied, "ipMode": "Proxy"},
        {"ip": virtual, "ipMode": "VIP"},
        {"hostname": "balancer.example"},
    ]
    yield Step(
        [at.service(type="LoadBalancer", node_port=30080, ingress=ingress), at.slice(*ALL)],
        [
            Client.POD.to(proxied).is_dropped,  # it would go out to the balancer; nobody is there
            Client.POD.to(virtual).reaches(*ALL),
            Client.OUTSIDE.to(at.node, 30080).reaches(*ALL),
        ],
    )


@case("an external address of the other family only leaves the Service alone")
def _other_family(at: Place) -> Iterator[Step]:
    other = Place("IPv6" if at.family == "IPv4" else "IPv4")
    yield Step(
        [at.service(externalIPs=[other.public(1)]), at.slice(*ALL)],
        [Client.POD.to(at.service_ip()).reaches(*ALL), Client.POD.to(other.public(1)).is_dropped],
    )


@case("two Services on one external IP", *BOTH)
def _shared_external_ip(at: Place) -> Iterator[Step]:
    ip = at.public(1)
    second = at.service("second", number=11, port=81, externalIPs=[ip])
    yield Step(
        [
            at.service(externalIPs=[ip]),
            at.slice("here-1"),
            second,
            at.slice("here-2", name="second"),
        ],
        [Client.OUTSIDE.to(ip, 80).reaches("here-1"), Client.OUTSIDE.to(ip, 81).reaches("here-2")],
    )
    yield Step(
        gone=[second],
        dials=[Client.OUTSIDE.to(ip, 80).reaches("here-1"), Client.POD.to(ip, 81).is_dropped],
    )


@case("two Services that claim one external address and port: the older has it, then the other")
def _claimed_twice(at: Place) -> Iterator[Step]:
    ip = at.public(1)
    older = at.service(externalIPs=[ip], created="2026-01-01T00:00:00Z")
    newer = at.service("newer", number=11, externalIPs=[ip], created="2026-02-01T00:00:00Z")
    slices = [at.slice("here-1"), at.slice("here-2", name="newer")]
    yield Step([newer, older, *slices], [Client.OUTSIDE.to(ip).reaches("here-1")])
    yield Step(gone=[older], dials=[Client.OUTSIDE.to(ip).reaches("here-2")])
    yield Step([older], [Client.OUTSIDE.to(ip).reaches("here-1")])


# loadBalancerSourceRanges


def _limited(at: Place, *ranges: str, **more: object) -> wire.Service:
    return at.service(
        type="LoadBalancer",
        node_port=30080,
        ingress=[at.public(2)],
        loadBalancerSourceRanges=list(ranges),
        **more,
    )


def _only(at: Place, address: str) -> str:
    return f"{address}/{at.address_bits}"


@case("source ranges keep others from a load balancer's address, and from nothing else", *ALL_PROTOCOLS)
def _source_ranges(at: Place) -> Iterator[Step]:
    ip = at.public(2)
    nobody = at.public(77)
    yield Step(
        [_limited(at, _only(at, nobody), externalIPs=[at.public(1)]), at.slice(*ALL)],
        [
            *(client.to(ip).is_dropped for client in EVERYBODY),
            Client.OUTSIDE.to(at.node, 30080).reaches(*ALL),
            Client.OUTSIDE.to(at.public(1)).reaches(*ALL),
            *(client.to(at.service_ip()).reaches(*ALL) for client in EVERYBODY),
        ],
    )
    yield Step(
        [_limited(at, _only(at, nobody), _only(at, at.outside))],
        [Client.OUTSIDE.to(ip).reaches(*ALL), Client.POD.to(ip).is_dropped],
    )
    # Ranges that overlap, the last with blanks around it, as validation lets through.
    wide = "192.0.2.0/28" if at.family == "IPv4" else "2001:db8::/64"
    yield Step(
        [_limited(at, _only(at, at.outside), f" {wide} ")],
        [Client.OUTSIDE.to(ip).reaches(*ALL), Client.POD.to(ip).is_dropped],
    )
    everything = "0.0.0.0/0" if at.family == "IPv4" else "::/0"
    yield Step(
        [_limited(at, _only(at, nobody), everything)],
        [client.to(ip).reaches(*ALL) for client in EVERYBODY],
    )
    yield Step([_limited(at)], [client.to(ip).reaches(*ALL) for client in EVERYBODY])


@case("source ranges hold for Pods, by their own addresses")
def _pods_source_ranges(at: Place) -> Iterator[Step]:
    ip = at.public(2)
    yield Step(
        [_limited(at, _only(at, at.pod("client"))), at.slice(*ALL)],
        [
            Client.POD.to(ip).reaches(*ALL),
            Client.POD_ELSEWHERE.to(ip).is_dropped,
            Client.OUTSIDE.to(ip).is_dropped,
            Client.NODE.to(ip).is_dropped,
        ],
    )


@case("source ranges of the other family only are none")
def _ranges_of_the_other_family(at: Place) -> Iterator[Step]:
    other = Place("IPv6" if at.family == "IPv4" else "IPv4")
    yield Step(
        [_limited(at, _only(other, other.public(77))), at.slice(*ALL)],
        [Client.OUTSIDE.to(at.public(2)).reaches(*ALL)],
    )


@case("source ranges also keep others from being refused")
def _ranges_before_refusals(at: Place) -> Iterator[Step]:
    yield Step(
        [_limited(at, _only(at, at.public(77)))],
        [Client.OUTSIDE.to(at.public(2)).is_dropped, Client.OUTSIDE.to(at.node, 30080).is_refused],
    )


@script("a node that may, reaches a load balancer's address it has itself")
async def _node_with_the_address(bed: Bed, at: Place) -> None:
    ip = at.public(2)
    with RouteSocket(bed.network.node) as routes:
        routes.add_address("lo", _only(at, ip))
        try:
            await bed.apply(_limited(at, _only(at, at.node)), at.slice(*ALL))
            await check(
                bed,
                at,
                Client.NODE.to(ip).reaches(*ALL),  # from the address itself, the kernel's choice
                Client.OUTSIDE.to(ip).is_dropped,
            )
            await bed.apply(_limited(at, _only(at, at.public(77))))
            await check(bed, at, Client.NODE.to(ip).is_dropped)
        finally:
            routes.delete_address("lo", _only(at, ip))
