"""Pools, who gets which address, and which node announces it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from clusterip.controllers.loadbalancer.allocation import NoAddress, allocate, is_ours, may_share
from clusterip.controllers.loadbalancer.announcing import EXCLUDED, announcer
from clusterip.controllers.loadbalancer.pools import Address, Pool, parse
from clusterip.objects import codec
from clusterip.objects.core.node import Node
from clusterip.objects.core.service import Service
from clusterip.objects.discovery.endpointslice import EndpointSlice

SHARE = {"clusterip.local/allow-shared-ip": "one"}


def service(
    name: str = "web", has: tuple[str, ...] = (), annotations: dict[str, str] | None = None, **spec: Any
) -> Service:
    tree = {
        "metadata": {"name": name, "namespace": "ns", "uid": name, "annotations": annotations or {}},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "ipFamilies": ["IPv4"]} | spec,
        "status": {"loadBalancer": {"ingress": [{"ip": address} for address in has]}},
    }
    return codec.convert(tree, Service)


def pools(**texts: str) -> list[Pool]:
    found, complaints = parse(texts)
    assert not complaints
    return found


def given(subject: Service, available: list[Pool], *others: Service) -> list[str]:
    def holders(address: Address) -> list[Service]:
        return [
            each
            for each in (*others, subject)
            if str(address) in [ingress.ip for ingress in each.status.loadBalancer.ingress]
        ]

    return allocate(subject, available, holders)


OFFICE = "addresses: [192.0.2.8-192.0.2.10]"


def test_what_pools_may_say() -> None:
    found, complaints = parse(
        {
            "b": "{addresses: [192.0.2.0/30, 192.0.2.77, '2001:db8::1-2001:db8::3'], namespaces: [web]}",
            "a": "{addresses: [198.51.100.5], autoAssign: false}",
            "no-range": "addresses: [192.0.2.9-192.0.2.1]",
            "typing-mistake": "{adresses: [192.0.2.1]}",
            "no-yaml": "{",
        }
    )
    assert [pool.name for pool in found] == ["a", "b"]
    assert not found[0].auto_assign
    assert list(map(str, found[1].addresses(4))) == [
        "192.0.2.0",
        "192.0.2.1",
        "192.0.2.2",
        "192.0.2.3",
        "192.0.2.77",
    ]
    assert len(list(found[1].addresses(6))) == 3
    assert found[1].serves("web")
    assert not found[1].serves("mail")
    assert [text.partition(":")[0] for text in complaints] == [
        "pool no-range",
        "pool no-yaml",
        "pool typing-mistake",
    ]


def test_the_first_free_address_and_its_own_for_ever() -> None:
    office = pools(office=OFFICE)
    first = service("first", has=("192.0.2.8",))
    assert given(service(), office, first) == ["192.0.2.9"]
    assert given(service(has=("192.0.2.10",)), office, first) == ["192.0.2.10"]
    assert given(service(has=("192.0.2.99",)), office, first) == ["192.0.2.9"], "its pool is no more"


def test_nothing_left() -> None:
    full = [service(f"s{n}", has=(f"192.0.2.{n}",)) for n in (8, 9, 10)]
    with pytest.raises(NoAddress, match="no free IPv4 address in pool office"):
        given(service(), pools(office=OFFICE), *full)
    with pytest.raises(NoAddress, match="no free IPv4 address in any pool"):
        given(service(), pools(office=OFFICE + "\nautoAssign: false"))


def test_asked_for_by_address_or_pool() -> None:
    two = pools(office=OFFICE, special="{addresses: [198.51.100.5], autoAssign: false}")
    assert given(service(loadBalancerIP="192.0.2.10"), two) == ["192.0.2.10"]
    assert given(service(annotations={"clusterip.local/address-pool": "special"}), two) == ["198.51.100.5"]
    both = {"clusterip.local/load-balancer-ips": "192.0.2.9, 198.51.100.5"}
    assert given(service(annotations=both), two) == ["192.0.2.9", "198.51.100.5"]
    with pytest.raises(NoAddress, match=r"203\.0\.113\.1 is in none of the pools"):
        given(service(loadBalancerIP="203.0.113.1"), two)
    with pytest.raises(NoAddress, match="is that of Service ns/other; to share it"):
        given(service(loadBalancerIP="192.0.2.10"), two, service("other", has=("192.0.2.10",)))
    with pytest.raises(NoAddress, match='no pool "none"'):
        given(service(annotations={"clusterip.local/address-pool": "none"}), two)
    with pytest.raises(NoAddress, match="does not appear to be"):
        given(service(loadBalancerIP="nonsense"), two)


def test_namespaces_of_a_pool() -> None:
    with pytest.raises(NoAddress):
        given(service(), pools(office=OFFICE + "\nnamespaces: [mail]"))


def test_dual_stack() -> None:
    mixed = pools(office=OFFICE, six="addresses: ['2001:db8::5']")
    families = {"ipFamilies": ["IPv6", "IPv4"], "ipFamilyPolicy": "RequireDualStack"}
    assert given(service(**families), mixed) == ["2001:db8::5", "192.0.2.8"]
    with pytest.raises(NoAddress, match="no free IPv6"):
        given(service(**families), pools(office=OFFICE))
    preferred = families | {"ipFamilyPolicy": "PreferDualStack"}
    assert given(service(**preferred), pools(office=OFFICE)) == ["192.0.2.8"]


def test_sharing() -> None:
    office = pools(office=OFFICE)
    first = service("first", has=("192.0.2.9",), annotations=SHARE)
    second = service(annotations=SHARE, ports=[{"port": 443}])
    assert given(second, office, first) == ["192.0.2.9"]
    assert given(service(annotations=SHARE), office, first) == ["192.0.2.8"], "the same port"
    udp = service(annotations=SHARE, ports=[{"port": 80, "protocol": "UDP"}])
    assert given(udp, office, first) == ["192.0.2.9"]
    local = service(
        annotations=SHARE, ports=[{"port": 443}], externalTrafficPolicy="Local", selector={"a": "b"}
    )
    assert not may_share(local, first)
    first.spec.selector = {"a": "b"}
    assert may_share(local, first)


def test_whose_services() -> None:
    assert is_ours(service())
    assert is_ours(service(loadBalancerClass="clusterip.local/pool"))
    assert not is_ours(service(loadBalancerClass="cloud.example/nlb"))
    assert not is_ours(service(type="NodePort"))


def node(name: str, ready: str = "True", **labels: str) -> Node:
    conditions = [{"type": "Ready", "status": ready}]
    return codec.convert(
        {"metadata": {"name": name, "labels": labels}, "status": {"conditions": conditions}}, Node
    )


def test_announcers_are_spread_and_stay() -> None:
    nodes = [node(f"n{n}") for n in range(4)]
    addresses = [f"192.0.2.{n}" for n in range(200)]
    before = {address: announcer(service(), address, nodes, ()) for address in addresses}
    counts = Counter(before.values())
    assert min(counts.values()) > 25
    assert len(counts) == 4
    after = {address: announcer(service(), address, nodes[1:], ()) for address in addresses}
    moved = [address for address in addresses if before[address] != after[address]]
    assert {before[address] for address in moved} == {"n0"}


def test_who_may_announce() -> None:
    excluded = node("b", **{EXCLUDED: ""})
    assert announcer(service(), "192.0.2.1", [node("a", "Unknown"), excluded], ()) is None
    assert announcer(service(), "192.0.2.1", [node("a", "False"), excluded, node("c")], ()) == "c"


def test_local_policy_announces_where_endpoints_are() -> None:
    endpoints = [
        {"addresses": ["10.0.0.1"], "nodeName": "b", "conditions": {"ready": True}},
        {"addresses": ["10.0.0.2"], "nodeName": "a", "conditions": {"ready": False}},
    ]
    slices = [codec.convert({"addressType": "IPv4", "endpoints": endpoints}, EndpointSlice)]
    local = service(externalTrafficPolicy="Local")
    nodes = [node("a"), node("b"), node("c")]
    assert {announcer(local, f"192.0.2.{n}", nodes, slices) for n in range(50)} == {"b"}
    assert announcer(local, "192.0.2.1", nodes, ()) is None
