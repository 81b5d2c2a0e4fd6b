"""Facts about a cluster's names that CoreDNS's tests of its plugin ``kubernetes`` state, asked of ours.

(coredns ``plugin/kubernetes``: ``handler*_test.go``, ``reverse_test.go``, ``zonal_test.go``,
``kubernetes_apex_test.go``, ``xfr_test.go``, at commit 4b26cce.) The cluster is told to the informers as an
API server tells it; answers are those of the chain of handlers that a Corefile makes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import dns.message
import dns.rcode
import msgspec
import pytest
from dns_objects import texts

from clusterip.client.informer import Informer
from clusterip.dns import wire
from clusterip.dns.cluster import Cluster
from clusterip.dns.config.corefile import parse_corefile
from clusterip.dns.config.servers import build
from clusterip.dns.follow import Follower, View
from clusterip.dns.plugins.compose import compose
from clusterip.dns.pods import Pods
from clusterip.dns.responder import Responder
from clusterip.dns.zone import Zone
from clusterip.objects.core.namespace import NAMESPACES
from clusterip.objects.core.pod import PODS
from clusterip.objects.core.service import SERVICES
from clusterip.objects.discovery.endpointslice import ENDPOINTSLICES

OK, NX, FAIL = "NOERROR", "NXDOMAIN", "SERVFAIL"
NO_CLIENT = cast(Any, None)


def service(name: str, *addresses: str, namespace: str = "testns", **spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "protocol": "TCP", "port": 80}]
    found = {"clusterIP": addresses[0] if addresses else "", "clusterIPs": list(addresses), "ports": ports}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {**found, **spec}}


def slice_of(
    owner: str,
    name: str,
    *endpoints: dict[str, Any],
    family: str = "IPv4",
    ports: Iterable[dict[str, Any]] = ({"name": "http", "protocol": "TCP", "port": 80},),
    labels: dict[str, str] | None = None,
) -> dict[str, Any]:
    labels = labels or {"kubernetes.io/service-name": owner}
    return {
        "metadata": {"name": name, "namespace": "testns", "labels": labels},
        "addressType": family,
        "endpoints": list(endpoints),
        "ports": list(ports),
    }


def at(address: str, hostname: str | None = None, **more: Any) -> dict[str, Any]:
    return {"addresses": [address], "hostname": hostname, "conditions": {"ready": True}, **more}


HEADLESS = slice_of(
    "hdls1",
    "hdls1-slice1",
    at("172.0.0.2"),
    at("172.0.0.3"),
    at("172.0.0.4", "dup-name"),
    at("172.0.0.5", "dup-name"),
)
HEADLESS_6 = slice_of("hdls1", "hdls1-slice2", at("5678:abcd::1"), at("5678:abcd::2"), family="IPv6")
PORTLESS = slice_of("hdlsprtls", "hdlsprtls-1", at("172.0.0.20"), ports=())


@dataclass
class Told:
    """What an API server has told."""

    namespaces: list[str] = field(default_factory=lambda: ["testns", "podns", "svcns", "unexposedns"])
    services: list[dict[str, Any]] = field(default_factory=list)
    slices: list[dict[str, Any]] = field(default_factory=list)
    pods: list[dict[str, Any]] = field(default_factory=list)


EVERYTHING = Told(
    services=[
        service("svc1", "10.0.0.1"),
        service("svcempty", "10.0.0.1"),
        service("svc6", "1234:abcd::1"),
        service("svc-dual-stack", "10.0.0.3", "10::3"),
        service("svc1", "10.0.0.2", namespace="unexposedns"),
        service("hdls1", "None", ports=[]),
        service("hdlsprtls", "None", ports=[]),
        service("external", type="ExternalName", externalName="ext.interwebs.test"),
        service("external-to-service", type="ExternalName", externalName="svc1.testns.svc.cluster.local."),
        service("svc2", "10.0.0.4"),
        service("kube-dns", "10.0.0.10", namespace="kube-system"),
    ],
    slices=[
        slice_of("svc1", "svc1-slice1", at("172.0.0.1", "ep1a"), at("10.0.0.99", "double-ep")),
        slice_of("svc1", "svc1-ccccc", at("172.0.0.1", "ep1a")),
        slice_of("svc1", "svc1-slice2", at("fd00:77:30::a", "ip6svc1ex"), at("fd00::"), family="IPv6"),
        slice_of("svc2", "svc2-slice1", at("10.0.0.99", "double-ep")),
        slice_of("svcempty", "svcempty-slice1"),
        HEADLESS,
        HEADLESS_6,
        PORTLESS,
    ],
    pods=[
        {
            "metadata": {"name": "foo", "namespace": "podns"},
            "spec": {},
            "status": {"phase": "Running", "podIPs": [{"ip": "10.240.0.1"}]},
        }
    ],
)


def tell(informer: Informer[Any], type_: Any, objects: Iterable[dict[str, Any]]) -> None:
    """As a first list does."""
    for number, each in enumerate(objects):
        metadata = {"resourceVersion": str(number + 1), **each["metadata"]}
        obj = msgspec.convert({**each, "metadata": metadata}, type_)
        informer.apply(obj)
    informer.synced.set()


def follow(zone: Zone, told: Told, view: View, *, pods: str, slices: Any) -> Informer[Any]:
    informers = (
        Informer(NO_CLIENT, NAMESPACES, wire.Namespace),
        Informer(NO_CLIENT, SERVICES, wire.Service),
        Informer(NO_CLIENT, ENDPOINTSLICES, slices),
    )
    if pods == "verified":
        running = Informer(NO_CLIENT, PODS, wire.Pod)
        zone.pods = Pods(running).find
        zone.pods_vary = True
        tell(running, wire.Pod, told.pods)
    elif pods == "disabled":
        zone.pods = lambda _namespace, _label: None
    Follower(zone, *informers, view)
    tell(informers[0], wire.Namespace, ({"metadata": {"name": name}} for name in told.namespaces))
    tell(informers[1], wire.Service, told.services)
    tell(informers[2], slices, told.slices)
    informers[0]._batch()
    return informers[2]


class _Cluster:
    """Stands where a composed chain looks for its cluster."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.zones = [zone]


def responder_by(options: str, told: Told = EVERYTHING, *, synced: bool = True) -> Responder:
    text = ". {\n kubernetes cluster.local in-addr.arpa ip6.arpa {\n" + options + "\n }\n log\n}\n"
    (server,) = build(parse_corefile(text, "Corefile")[0]).servers
    kubernetes = server.kubernetes
    assert kubernetes is not None
    zone = Zone("cluster.local", kubernetes.ttl)
    if kubernetes.zonal:
        zone.enable_zonal_names()
    if synced:
        view = View(kubernetes.namespaces, False, kubernetes.ignore_empty_service)
        slices = wire.PlacedEndpointSlice if kubernetes.zonal else wire.EndpointSlice
        follow(zone, told, view, pods=kubernetes.pods, slices=slices)
    composed = compose([server], lambda _options: cast(Cluster, _Cluster(zone)), [])
    responder = Responder(composed.zone, composed.forwarder)
    responder.handler = composed.handler
    return responder


async def ask(responder: Responder, name: str, type_: str) -> dns.message.Message:
    query = dns.message.make_query(name, type_, use_edns=0)
    answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    responder.respond(
        query.to_wire(), lambda answer, **_: answered.set_result(answer), tcp=True, client=("127.0.0.1", 1)
    )
    answer = dns.message.from_wire(await answered)
    assert query.is_response(answer)
    return answer


@pytest.fixture
async def responder() -> AsyncIterator[Responder]:
    made = responder_by("pods verified")
    yield made
    await made.close()


def lines(name: str, *data: str) -> list[str]:
    full = name.replace("@", ".testns.svc.cluster.local.")
    return sorted(f"{full} 5 IN {each.replace('@', '.testns.svc.cluster.local.')}" for each in data)


COMMON: list[tuple[str, str, str, list[str]]] = [
    ("svc1@", "A", OK, ["A 10.0.0.1"]),
    ("svcempty@", "A", OK, ["A 10.0.0.1"]),
    ("svc1@", "SRV", OK, ["SRV 0 100 80 svc1@"]),
    ("svcempty@", "SRV", OK, ["SRV 0 100 80 svcempty@"]),
    ("svc6@", "SRV", OK, ["SRV 0 100 80 svc6@"]),
    ("_http._tcp.svc1@", "SRV", OK, ["SRV 0 100 80 svc1@"]),
    ("_http._tcp.svcempty@", "SRV", OK, ["SRV 0 100 80 svcempty@"]),
    ("hdls1@", "A", OK, [f"A 172.0.0.{number}" for number in (2, 3, 4, 5)]),
    ("hdlsprtls@", "A", OK, ["A 172.0.0.20"]),
    ("svc1@", "AAAA", OK, []),
    ("svc0@", "AAAA", NX, []),
    ("svc0@", "A", NX, []),
    ("svc0.svc-nons.svc.cluster.local.", "A", NX, []),
    ("svc1@", "TXT", OK, []),
    ("svc0.svc-nons.svc.cluster.local.", "TXT", NX, []),
    ("bogusendpoint.hdls1@", "A", NX, []),
    ("bogusendpoint.svc0@", "A", NX, []),
    ("svc6@", "AAAA", OK, ["AAAA 1234:abcd::1"]),
    ("_http._tcp.svc6@", "SRV", OK, ["SRV 0 100 80 svc6@"]),
    ("hdls1@", "AAAA", OK, ["AAAA 5678:abcd::1", "AAAA 5678:abcd::2"]),
    ("svc.cluster.local.", "A", OK, []),
    ("pod.cluster.local.", "A", OK, []),
    ("testns.svc.cluster.local.", "A", OK, []),
    ("svc.cluster.local.", "NS", OK, []),
    ("testns.svc.cluster.local.", "NS", OK, []),
    ("foo.cluster.local.", "NS", NX, []),
    ("foo.svc.cluster.local.", "NS", NX, []),
    ("svc-dual-stack@", "A", OK, ["A 10.0.0.3"]),
    ("svc-dual-stack@", "AAAA", OK, ["AAAA 10::3"]),
    ("svc-dual-stack@", "SRV", OK, ["SRV 0 50 80 svc-dual-stack@"]),
    ("svc1@", "SOA", OK, []),
    ("endpoint.external@", "CNAME", NX, []),
    ("subdomain.subdomain.external@", "CNAME", NX, []),
    # of this plugin's own table
    ("5678-abcd--2.hdls1@", "AAAA", OK, ["AAAA 5678:abcd::2"]),
    ("172-0-0-20.hdlsprtls@", "A", OK, ["A 172.0.0.20"]),
    ("172-0-0-2.hdls1@", "A", OK, ["A 172.0.0.2"]),
    ("dup-name.hdls1@", "A", OK, ["A 172.0.0.4", "A 172.0.0.5"]),
    ("external@", "CNAME", OK, ["CNAME ext.interwebs.test."]),
    # endpoints of a Service with a ClusterIP have names too
    ("ep1a.svc1@", "A", OK, ["A 172.0.0.1"]),
    ("fd00--0.svc1@", "AAAA", OK, ["AAAA fd00::"]),
    ("fd00--.svc1@", "AAAA", NX, []),
    ("EP1A.svc1@", "AAAA", OK, []),
    ("nope.svc1@", "A", NX, []),
    # the apex
    ("cluster.local.", "HINFO", OK, []),
    ("cluster.local.", "A", OK, []),
    ("cluster.local.", "SRV", OK, []),
    ("cluster.local.", "NS", OK, ["NS ns.dns.cluster.local."]),
    # addresses
    ("1.0.0.172.in-addr.arpa.", "PTR", OK, ["PTR ep1a.svc1@"]),
    ("1.0.0.10.in-addr.arpa.", "PTR", OK, ["PTR svc1@", "PTR svcempty@"]),
    ("99.0.0.10.in-addr.arpa.", "PTR", OK, ["PTR double-ep.svc1@", "PTR double-ep.svc2@"]),
    ("101.0.0.10.in-addr.arpa.", "PTR", NX, []),
    ("a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.0.0.7.7.0.0.0.0.d.f.ip6.arpa.", "PTR", OK,
     ["PTR ip6svc1ex.svc1@"]),
    ("2.0.0.172.in-addr.arpa.", "PTR", OK, ["PTR 172-0-0-2.hdls1@"]),
    ("example.org.cluster.local.", "PTR", NX, []),
    ("svc1@", "PTR", OK, []),
    ("100.0.0.10.cluster.local.", "PTR", NX, []),
    ("svc1.testns.svc.0.10.in-addr.arpa.", "A", NX, []),
    # Pods, verified
    ("10-240-0-1.podns.pod.cluster.local.", "A", OK, ["A 10.240.0.1"]),
    ("podns.pod.cluster.local.", "A", OK, []),
    ("svcns.svc.cluster.local.", "A", OK, []),
    ("pod-nons.pod.cluster.local.", "A", NX, []),
    ("172-0-0-2.podns.pod.cluster.local.", "A", NX, []),
]  # fmt: skip


@pytest.mark.parametrize(("name", "type_", "code", "data"), COMMON)
async def test_what_is_there(responder: Responder, name: str, type_: str, code: str, data: list[str]) -> None:
    full = name.replace("@", ".testns.svc.cluster.local.")
    answer = await ask(responder, full, type_)
    assert dns.rcode.to_text(answer.rcode()) == code
    assert texts(answer.answer) == lines(name, *data)
    if not data:
        (soa,) = answer.authority
        assert str(soa[0]).startswith("ns.dns.cluster.local. hostmaster.cluster.local. ")
        assert str(soa[0]).endswith(" 7200 1800 86400 5")


async def test_what_goes_with_it(responder: Responder) -> None:
    answer = await ask(responder, "_http._tcp.hdls1.testns.svc.cluster.local.", "SRV")
    hosts = ["172-0-0-2", "172-0-0-3", "5678-abcd--1", "5678-abcd--2", "dup-name"]
    wanted = [f"SRV 0 16 80 {host}.hdls1@" for host in hosts]
    assert texts(answer.answer) == lines("_http._tcp.hdls1@", *wanted)
    assert len([line for line in texts(answer.additional) if " A " in line or " AAAA " in line]) == 6
    version = await ask(responder, "dns-version.cluster.local.", "TXT")
    assert texts(version.answer) == ['dns-version.cluster.local. 28800 IN TXT "1.1.0"']
    servers = await ask(responder, "cluster.local.", "NS")
    assert texts(servers.additional) == ["ns.dns.cluster.local. 5 IN A 10.0.0.10"]
    inside = await ask(responder, "external-to-service.testns.svc.cluster.local.", "A")
    assert texts(inside.answer) == sorted(
        [
            "external-to-service.testns.svc.cluster.local. 5 IN CNAME svc1.testns.svc.cluster.local.",
            "svc1.testns.svc.cluster.local. 5 IN A 10.0.0.1",
        ]
    )


@pytest.mark.parametrize(
    ("options", "name", "type_", "code", "data"),
    [
        ("pods insecure", "10-240-0-1.podns.pod.cluster.local.", "A", OK, ["A 10.240.0.1"]),
        ("pods insecure", "172-0-0-2.podns.pod.cluster.local.", "A", OK, ["A 172.0.0.2"]),
        ("pods insecure", "blah.podns.pod.cluster.local.", "A", NX, []),
        ("pods insecure", "blah.podns.pod.cluster.local.", "AAAA", NX, []),
        ("pods insecure", "blah.podns.pod.cluster.local.", "HINFO", NX, []),
        ("pods insecure", "blah.pod-nons.pod.cluster.local.", "A", NX, []),
        ("pods insecure", "podns.pod.cluster.local.", "A", OK, []),
        ("pods disabled", "10-240-0-1.podns.pod.cluster.local.", "A", NX, []),
        ("pods disabled", "172-0-0-2.podns.pod.cluster.local.", "A", NX, []),
        ("ignore empty_service", "svcempty@", "A", NX, []),
        ("ignore empty_service", "svc1@", "A", OK, ["A 10.0.0.1"]),
        ("ignore empty_service", "external@", "CNAME", OK, ["CNAME ext.interwebs.test."]),
        ("namespaces testns", "svc1@", "A", OK, ["A 10.0.0.1"]),
        ("namespaces testns", "svc1.unexposedns.svc.cluster.local.", "A", NX, []),
        ("namespaces testns", "unexposedns.svc.cluster.local.", "A", NX, []),
    ],
)
async def test_options(options: str, name: str, type_: str, code: str, data: list[str]) -> None:
    responder = responder_by(options)
    full = name.replace("@", ".testns.svc.cluster.local.")
    answer = await ask(responder, full, type_)
    assert dns.rcode.to_text(answer.rcode()) == code
    assert texts(answer.answer) == lines(name, *data)
    await responder.close()


async def test_before_everything_is_known() -> None:
    responder = responder_by("", synced=False)
    assert dns.rcode.to_text((await ask(responder, "svc0.testns.svc.cluster.local.", "A")).rcode()) == FAIL
    await responder.close()


async def test_letter_case_comes_back(responder: Responder) -> None:
    answer = await ask(responder, "not-a-service.testns.svc.ClUsTeR.lOcAl.", "A")
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert answer.authority[0].to_text().startswith("ClUsTeR.lOcAl. 5 IN SOA ns.dns.ClUsTeR.lOcAl. ")
    answer = await ask(responder, "_HtTp._TcP.sVc1.TeStNs.SvC.cLuStEr.LoCaL.", "SRV")
    assert (
        answer.answer[0].to_text().startswith("_HtTp._TcP.sVc1.TeStNs.SvC.cLuStEr.LoCaL. 5 IN SRV 0 100 80 ")
    )


ZONES = Told(
    services=[service("hdls", "None"), service("clstr", "10.0.0.1")],
    slices=[
        slice_of(
            "hdls",
            "hdls-1",
            at("172.0.0.1", zone="us-west-2a"),
            at("172.0.0.2", zone="us-west-2b"),
            at("172.0.0.3", zone="us-west-2b"),
            at("172.0.0.4", zone="corp.example.com"),
        ),
        slice_of("clstr", "clstr-1", at("172.0.0.9", zone="us-west-2a")),
    ],
)
ALL = [f"A 172.0.0.{number}" for number in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("name", "type_", "code", "data"),
    [
        ("us-west-2a.pin._zone.hdls@", "A", OK, ["A 172.0.0.1"]),
        ("US-west-2B.pin._zone.hdls@", "A", OK, ["A 172.0.0.2", "A 172.0.0.3"]),
        ("us-west-2c.pin._zone.hdls@", "A", OK, []),
        ("us-west-2a.prefer._zone.hdls@", "A", OK, ["A 172.0.0.1"]),
        ("us-west-2c.prefer._zone.hdls@", "A", OK, ALL),
        ("corp.example.com.pin._zone.hdls@", "A", OK, ["A 172.0.0.4"]),
        ("us-west-2a.pin._zone.ghost@", "A", NX, []),
        ("us-west-2a.florp._zone.hdls@", "A", NX, []),
        ("us-west-2a.pin._zone.clstr@", "A", NX, []),
        ("us-west-2c.pin._zone.hdls@", "TXT", OK, []),
        ("us-west-2c.prefer._zone.hdls@", "TXT", OK, []),
        ("pin._zone.hdls@", "A", NX, []),
        ("us-west-2b.pin._zone.hdls@", "SRV", OK,
         ["SRV 0 50 80 172-0-0-2.hdls@", "SRV 0 50 80 172-0-0-3.hdls@"]),
        ("hdls@", "A", OK, ALL),
    ],
)  # fmt: skip
async def test_names_of_topology_zones(name: str, type_: str, code: str, data: list[str]) -> None:
    responder = responder_by("zonal", ZONES)
    full = name.replace("@", ".testns.svc.cluster.local.")
    answer = await ask(responder, full, type_)
    assert dns.rcode.to_text(answer.rcode()) == code
    wanted = [line.lower() for line in lines(name, *data)]
    assert [line.lower() for line in texts(answer.answer)] == sorted(wanted)
    if code == OK and data:
        without = responder_by("", ZONES)
        if "_zone" in name:
            assert (await ask(without, full, type_)).rcode() == dns.rcode.NXDOMAIN
        await without.close()
    await responder.close()


def imported(name: str, type_: str, *ips: str) -> dict[str, Any]:
    ports = [{"name": "http", "protocol": "TCP", "port": 80}]
    return {
        "metadata": {"name": name, "namespace": "testns"},
        "spec": {"type": type_, "ips": list(ips), "ports": ports},
    }


@pytest.fixture
async def clusterset() -> AsyncIterator[Responder]:
    zone = Zone("cluster.local", 5)
    zone.pods = lambda _namespace, _label: None
    namespaces = Informer(NO_CLIENT, NAMESPACES, wire.Namespace)
    services = Informer(NO_CLIENT, SERVICES, wire.ServiceImport)
    slices = Informer(NO_CLIENT, ENDPOINTSLICES, wire.ImportSlice)
    Follower(zone, namespaces, services, slices)
    tell(namespaces, wire.Namespace, [{"metadata": {"name": "testns"}}])
    tell(
        services,
        wire.ServiceImport,
        [
            imported("svc1", "ClusterSetIP", "10.0.0.1"),
            imported("svc6", "ClusterSetIP", "1234:abcd::1"),
            imported("svc-dual-stack", "ClusterSetIP", "10.0.0.3", "10::3"),
            imported("hdls1", "Headless"),
            imported("hdlsprtls", "Headless"),
        ],
    )
    found = []
    for each in (HEADLESS, HEADLESS_6, PORTLESS):
        owner = each["metadata"]["labels"]["kubernetes.io/service-name"]
        labels = {
            "multicluster.kubernetes.io/service-name": owner,
            "multicluster.kubernetes.io/source-cluster": "cluster1",
        }
        found.append({**each, "metadata": {**each["metadata"], "labels": labels}})
    tell(slices, wire.ImportSlice, found)
    namespaces._batch()
    from dns_objects import responder_of

    made = responder_of(zone)
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("name", "type_", "code", "data"),
    [
        ("svc1@", "A", OK, ["A 10.0.0.1"]),
        ("_http._tcp.svc1@", "SRV", OK, ["SRV 0 100 80 svc1@"]),
        ("svc-dual-stack@", "AAAA", OK, ["AAAA 10::3"]),
        ("hdls1@", "A", OK, [f"A 172.0.0.{number}" for number in (2, 3, 4, 5)]),
        ("5678-abcd--2.cluster1.hdls1@", "AAAA", OK, ["AAAA 5678:abcd::2"]),
        ("5678-abcd--1.hdls1@", "AAAA", NX, []),
        ("172-0-0-2.cluster1.hdls1@", "A", OK, ["A 172.0.0.2"]),
        ("dup-name.cluster1.hdls1@", "A", OK, ["A 172.0.0.4", "A 172.0.0.5"]),
        ("172-0-0-20.cluster1.hdlsprtls@", "A", OK, ["A 172.0.0.20"]),
        ("_http._tcp.hdls1@", "SRV", OK,
         [f"SRV 0 16 80 {host}.cluster1.hdls1@"
          for host in ("172-0-0-2", "172-0-0-3", "5678-abcd--1", "5678-abcd--2", "dup-name")]),
        ("svc0@", "A", NX, []),
        ("10-240-0-1.testns.pod.cluster.local.", "A", NX, []),
    ],
)  # fmt: skip
async def test_services_of_other_clusters(
    clusterset: Responder, name: str, type_: str, code: str, data: list[str]
) -> None:
    answer = await ask(clusterset, name.replace("@", ".testns.svc.cluster.local."), type_)
    assert dns.rcode.to_text(answer.rcode()) == code
    assert texts(answer.answer) == lines(name, *data)


async def test_endpoints_that_go_are_gone(responder: Responder) -> None:
    zone = Zone("cluster.local", 5)
    slices = follow(zone, EVERYTHING, View(), pods="insecure", slices=wire.EndpointSlice)
    address = b"\x0a\0\0\x63"
    assert zone.endpoints is not None
    assert len(zone.endpoints.names_at(address)) == 2
    slices.remove(("testns", "svc2-slice1"))
    assert len(zone.endpoints.names_at(address)) == 1
    slices.remove(("testns", "svc1-slice1"))
    assert zone.endpoints.names_at(address) == ()
    assert zone.endpoints.find(b"testns", b"svc1", b"ep1a") is not None  # by another slice
    slices.remove(("testns", "svc1-ccccc"))
    assert zone.endpoints.find(b"testns", b"svc1", b"ep1a") is None
