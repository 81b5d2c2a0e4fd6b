"""What nobody serves: refused at once where a Service is, dropped where none is."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from clusterip.proxy import wire
from tests.kernel.proxy.cases.bed import Bed
from tests.kernel.proxy.cases.judge import check
from tests.kernel.proxy.cases.model import ALL, ALL_PROTOCOLS, BOTH, EVERYBODY, Client, Step, case, script
from tests.kernel.proxy.cases.place import Place


def _everything(at: Place) -> tuple[wire.Service, tuple[tuple[str, int], ...]]:
    """A Service with every kind of address, and these."""
    service = at.service(
        type="LoadBalancer", node_port=30080, ingress=[at.public(2)], externalIPs=[at.public(1)]
    )
    return service, ((at.service_ip(), 80), (at.public(1), 80), (at.public(2), 80), (at.node, 30080))


@case("a Service without endpoints refuses at once, everywhere", *ALL_PROTOCOLS)
def _no_endpoints(at: Place) -> Iterator[Step]:
    service, addresses = _everything(at)
    everywhere = [client.to(*address) for client in EVERYBODY for address in addresses]
    yield Step([service], [dial.is_refused for dial in everywhere])
    yield Step([at.slice()], [dial.is_refused for dial in everywhere])
    yield Step([at.slice(*ALL)], [dial.reaches(*ALL) for dial in everywhere])
    down = [at.endpoint(pod, ready=False, serving=False) for pod in ALL]
    yield Step([at.slice(*down)], [dial.is_refused for dial in everywhere])


@case("other ports of a ClusterIP refuse", *ALL_PROTOCOLS)
def _other_ports(at: Place) -> Iterator[Step]:
    others = [client.to(at.service_ip(), 81) for client in EVERYBODY]
    yield Step([at.service(), at.slice(*ALL)], [dial.is_refused for dial in others])


@case("addresses of the Services' range that no Service has are dropped", *ALL_PROTOCOLS)
def _unallocated(at: Place) -> Iterator[Step]:
    yield Step(
        [at.service(), at.slice(*ALL)], [client.to(at.service_ip(77)).is_dropped for client in EVERYBODY]
    )
    yield Step(
        [at.service("other", number=77), at.slice(name="other")],
        [client.to(at.service_ip(77)).is_refused for client in EVERYBODY],
    )
    yield Step(
        gone=[at.service("other", number=77)],
        dials=[client.to(at.service_ip(77)).is_dropped for client in EVERYBODY],
    )


@script("ranges of Services that come and go")
async def _service_cidrs(bed: Bed, at: Place) -> None:
    # An address where "refused" is the answer else: what is dropped, is dropped by the rule.
    extra = f"{at.outside}/{at.address_bits - 4}"
    network = ipaddress.ip_network(extra, strict=False)
    await bed.set_service_cidrs(network)
    await check(bed, at, Client.POD.to(at.outside).is_dropped)
    await bed.set_service_cidrs()
    await check(bed, at, Client.POD.to(at.outside).is_refused)


@case("Services of other proxies, headless ones and aliases are left alone")
def _not_ours(at: Place) -> Iterator[Step]:
    dial = Client.POD.to(at.service_ip())
    for labels in (
        {"service.kubernetes.io/service-proxy-name": "another"},
        {"service.kubernetes.io/headless": ""},
    ):
        yield Step([at.service(labels=labels), at.slice(*ALL)], [dial.is_dropped])
        yield Step([at.service(labels={"app": "web"})], [dial.reaches(*ALL)])
    yield Step([at.service(type="ExternalName", externalName="example.org")], [dial.is_dropped])
    yield Step([at.service()], [dial.reaches(*ALL)])


@case("a Service that is deleted, and made again", *BOTH)
def _deleted(at: Place) -> Iterator[Step]:
    service, addresses = _everything(at)
    slices = at.slice(*ALL)
    yield Step([service, slices], [Client.POD.to(*address).reaches(*ALL) for address in addresses])
    yield Step(
        gone=[service],
        dials=[
            *(Client.POD.to(*address).is_dropped for address in addresses[:3]),
            Client.POD.to(at.node, 30080).is_refused,
        ],
    )
    yield Step([service], [Client.POD.to(*address).reaches(*ALL) for address in addresses])
    yield Step(gone=[slices], dials=[Client.POD.to(*address).is_refused for address in addresses])
