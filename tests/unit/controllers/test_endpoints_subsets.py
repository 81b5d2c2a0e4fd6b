"""Endpoints: packed as upstream packs them."""

from __future__ import annotations

from clusterip.controllers.endpoints.subsets import subsets_of, truncate
from clusterip.objects.core.endpoints import EndpointAddress, EndpointSubset
from clusterip.objects.core.service import Service
from tests.support.objects import make_pod, make_service

TWO_PORTS = [
    {"name": "b", "port": 443, "protocol": "TCP", "targetPort": 8443},
    {"name": "a", "port": 80, "protocol": "TCP", "targetPort": 8080},
]


def packed(service: Service, *pods: object) -> list[tuple[list[str], list[str], list[tuple[str, int]]]]:
    return [
        (
            [a.ip for a in s.addresses],
            [a.ip for a in s.notReadyAddresses],
            [(p.name, p.port) for p in s.ports],
        )
        for s in subsets_of(service, pods)  # type: ignore[arg-type]
    ]


def test_ready_and_not_ready_share_a_subset() -> None:
    pods = [make_pod("b", "10.0.0.2"), make_pod("a", "10.0.0.1"), make_pod("c", "10.0.0.3", ready=False)]
    assert packed(make_service(ports=TWO_PORTS), *pods) == [
        (["10.0.0.1", "10.0.0.2"], ["10.0.0.3"], [("a", 8080), ("b", 8443)])
    ]


def test_pods_with_other_ports_make_another_subset() -> None:
    service = make_service(ports=[{"port": 80, "protocol": "TCP", "targetPort": "http"}])
    pods = []
    for name, ip, port in (("a", "10.0.0.1", 81), ("b", "10.0.0.2", 82), ("c", "10.0.0.3", 81)):
        container = {"name": "c", "image": "i", "ports": [{"name": "http", "containerPort": port}]}
        pods.append(make_pod(name, ip, spec={"containers": [container]}))
    assert packed(service, *pods) == [
        (["10.0.0.1", "10.0.0.3"], [], [("", 81)]),
        (["10.0.0.2"], [], [("", 82)]),
    ]


def test_ending_pods_are_left_out_unless_not_ready_ones_are_wanted() -> None:
    pods = [make_pod("a", "10.0.0.1", deleting=True), make_pod("b", "10.0.0.2", ready=False)]
    assert packed(make_service(), *pods) == [([], ["10.0.0.2"], [("", 8080)])]
    both = packed(make_service(publishNotReadyAddresses=True), *pods)
    assert both == [(["10.0.0.1", "10.0.0.2"], [], [("", 8080)])]


def test_headless_without_ports() -> None:
    assert packed(make_service(clusterIP="None", ports=[]), make_pod()) == [(["10.244.1.2"], [], [])]
    assert packed(make_service(ports=[]), make_pod()) == []


def test_only_the_first_family() -> None:
    pod = make_pod(status={"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]})
    assert packed(make_service(ipFamilies=["IPv6", "IPv4"]), pod) == [(["fd00::1"], [], [("", 8080)])]
    assert packed(make_service(ipFamilies=["IPv6"]), make_pod()) == []


def addresses(count: int) -> list[EndpointAddress]:
    return [EndpointAddress(ip=f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}") for i in range(count)]


def test_within_capacity_nothing_is_cut() -> None:
    subsets = [EndpointSubset(addresses=addresses(600), notReadyAddresses=addresses(400))]
    assert not truncate(subsets)
    assert len(subsets[0].addresses) == 600


def test_not_ready_addresses_go_first() -> None:
    subsets = [EndpointSubset(addresses=addresses(900), notReadyAddresses=addresses(400))]
    assert truncate(subsets)
    assert (len(subsets[0].addresses), len(subsets[0].notReadyAddresses)) == (900, 100)


def test_ready_addresses_are_cut_in_proportion() -> None:
    subsets = [
        EndpointSubset(addresses=addresses(1200)),
        EndpointSubset(addresses=addresses(400), notReadyAddresses=addresses(5)),
    ]
    assert truncate(subsets)
    assert [len(s.addresses) for s in subsets] == [750, 250]
    assert subsets[1].notReadyAddresses == []
