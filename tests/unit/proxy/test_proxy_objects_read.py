"""From wire objects to Service ports and endpoints."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest

from clusterip.kernel.nftables import Family
from clusterip.objects import codec
from clusterip.proxy import wire
from clusterip.proxy.endpoints import Part, SliceIndex, one_by_one
from clusterip.proxy.model import PortKey, ServiceKey, pack_address, show_destination
from clusterip.proxy.nodes import NodePortAddresses, is_eligible, primary_addresses
from clusterip.proxy.services import health_check_port, service_ports
from clusterip.proxy.tracker import Tracker
from tests.support.proxy_objects import NODE, endpoint, service, slice_of

TCP4 = PortKey(ServiceKey("default", "web"), "", socket.IPPROTO_TCP, Family.IPV4)


def test_a_dual_stack_service_has_its_ports_twice() -> None:
    ports = service_ports(
        service(
            ip=("10.96.0.10", "fd00::10"),
            type="LoadBalancer",
            ports=[
                {"name": "dns", "port": 53, "protocol": "UDP", "nodePort": 30053},
                {"name": "sctp", "port": 99, "protocol": "SCTP"},
                {"name": "odd", "port": 1, "protocol": "QUIC"},
            ],
            externalIPs=["198.51.100.1", "2001:db8::1", "nonsense"],
            ingress=["198.51.100.2", {"ip": "198.51.100.3", "ipMode": "Proxy"}, {"hostname": "x"}],
            loadBalancerSourceRanges=[" 192.0.2.0/25", "192.0.2.128/25", "2001:db8::/32"],
            externalTrafficPolicy="Local",
            healthCheckNodePort=31000,
        )
    )
    assert [(str(port.key), port.key.family, port.port) for port in ports] == [
        ("default/web:dns", Family.IPV4, 53),
        ("default/web:sctp", Family.IPV4, 99),
        ("default/web:dns", Family.IPV6, 53),
        ("default/web:sctp", Family.IPV6, 99),
    ]
    first = ports[0]
    assert first.external_ips == (pack_address("198.51.100.1"),)
    assert first.load_balancer_ips == (pack_address("198.51.100.2"),)
    assert first.source_ranges == (ipaddress.ip_network("192.0.2.0/24"),)
    assert first.external_local
    assert not first.internal_local
    assert first.node_port == 30053


@pytest.mark.parametrize(
    "spec",
    [
        {"labels": {"service.kubernetes.io/service-proxy-name": ""}},
        {"labels": {"service.kubernetes.io/headless": "x"}},
        {"ip": "None"},
        {"ip": ""},
        {"type": "ExternalName"},
        {"ports": None},
    ],
)
def test_services_that_are_not_ours(spec: dict[str, Any]) -> None:
    assert service_ports(service(**spec)) == []


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        ({}, 0),
        ({"sessionAffinity": "ClientIP"}, 10800),
        (
            {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}},
            5,
        ),
    ],
)
def test_session_affinity(spec: dict[str, Any], seconds: int) -> None:
    assert service_ports(service(**spec))[0].affinity_seconds == seconds


def test_a_range_of_everything_is_no_limit() -> None:
    spec: dict[str, Any] = {"loadBalancerSourceRanges": ["192.0.2.0/24", "0.0.0.0/0", "2001:db8::/32"]}
    v4, v6 = service_ports(service(ip=("10.96.0.10", "fd00::10"), **spec))
    assert v4.source_ranges == ()
    assert v6.source_ranges == (ipaddress.ip_network("2001:db8::/32"),)


def test_health_check_port_only_for_local_load_balancers() -> None:
    spec: dict[str, Any] = {"type": "LoadBalancer", "healthCheckNodePort": 31000}
    assert health_check_port(service(externalTrafficPolicy="Local", **spec)) == 31000
    assert health_check_port(service(externalTrafficPolicy="Cluster", **spec)) == 0


def test_duplicates_prefer_the_one_that_stays() -> None:
    leaving = slice_of("web", endpoint("10.244.1.2", ready=False, terminating=True), slice_name="a")
    running = slice_of("web", endpoint("10.244.1.2"), slice_name="b")
    for order in ((leaving, running), (running, leaving)):
        (found,) = one_by_one([Part(slice_.packed, 8080) for slice_ in order], NODE)
        assert found.ready


def test_what_cannot_be_read_in_a_slice_is_left_out() -> None:
    odd = slice_of(
        "web",
        {"addresses": []},
        {"addresses": ["fd00::1"]},
        {"addresses": ["not an address"]},
        {"addresses": ["10.244.1.2"], "nodeName": NODE},
        ports=(("", "TCP", 8080), ("x", "QUIC", 1), ("zero", "TCP", 0)),
    )
    index = SliceIndex()
    index.change(None, odd)
    (part,) = index.parts(TCP4)
    (only,) = one_by_one([part], NODE)
    assert show_destination(only.destination) == "10.244.1.2:8080"
    assert (only.ready, only.serving, only.terminating, only.local) == (True, True, False, True)
    assert not index.parts(TCP4._replace(port="x"))
    assert not index.parts(TCP4._replace(port="zero"))
    assert not index.parts(TCP4._replace(family=Family.IPV6))


def test_nulls_in_slices() -> None:
    text = b'{"addressType":"IPv4","metadata":{"name":"x"},"endpoints":null,"ports":null}'
    assert not codec.decode(text, wire.EndpointSlice).packed


def test_slices_are_found_by_their_service() -> None:
    index = SliceIndex()
    first, second = slice_of("web", slice_name="a"), slice_of("web", slice_name="b")
    key = ServiceKey("default", "web")
    assert index.change(None, first) == {key}
    index.change(None, second)
    assert len(list(index.of(key))) == 2
    assert index.change(second, slice_of("other", slice_name="b")) == {key, ServiceKey("default", "other")}
    index.change(first, None)
    assert list(index.of(key)) == []
    assert index.change(None, slice_of("", slice_name="c")) == set()


def test_only_what_changed_is_told() -> None:
    tracker = Tracker(NODE)
    tracker.service_changed(None, service("a"))
    tracker.service_changed(None, service("b", "10.96.0.11"))
    assert {change.key.service.name for change in tracker.take_changes()} == {"a", "b"}
    new = slice_of("a", endpoint("10.244.1.2"))
    tracker.slice_changed(None, new)
    (change,) = tracker.take_changes()
    assert change.key.service.name == "a"
    tracker.slice_changed(new, new)
    assert list(tracker.take_changes()) == []
    tracker.service_changed(service("a"), None)
    (change,) = tracker.take_changes()
    assert change.new is None


def test_a_change_of_zone_touches_services_with_hints() -> None:
    tracker = Tracker(NODE)
    tracker.service_changed(None, service())
    hinted = slice_of(
        "web", endpoint("10.244.1.2", zones=["zone-a"]), endpoint("10.244.1.3", zones=["zone-b"])
    )
    tracker.slice_changed(None, hinted)
    (change,) = tracker.take_changes()
    assert change.new is not None
    assert len(change.new.choice.cluster) == 2
    labels = {"topology.kubernetes.io/zone": "zone-a"}
    tracker.node_changed(codec.convert({"metadata": {"name": NODE, "labels": labels}}, wire.Node))
    (change,) = tracker.take_changes()
    assert change.new is not None
    assert len(change.new.choice.cluster) == 1


def node(**more: Any) -> wire.Node:
    addresses = [
        {"type": "InternalIP", "address": "192.0.2.1"},
        {"type": "Hostname", "address": "node-1"},
        {"type": "InternalIP", "address": "2001:db8::1"},
    ]
    return codec.convert({"metadata": {"name": NODE}, "status": {"addresses": addresses}} | more, wire.Node)


def test_node() -> None:
    assert primary_addresses(node()) == [pack_address("192.0.2.1"), pack_address("2001:db8::1")]
    assert primary_addresses(None) == []
    assert is_eligible(node())
    assert not is_eligible(None)
    assert not is_eligible(node(spec={"taints": [{"key": "ToBeDeletedByClusterAutoscaler"}]}))
    assert not is_eligible(node(metadata={"name": NODE, "deletionTimestamp": "2026-01-01T00:00:00Z"}))


@pytest.mark.parametrize(
    ("addresses", "override", "primary"),
    [
        (["InternalIP=192.0.2.1", "InternalIP=192.0.2.2"], "", ["192.0.2.1"]),
        (["ExternalIP=198.51.100.1", "InternalIP=192.0.2.1"], "", ["192.0.2.1"]),
        (["ExternalIP=198.51.100.1"], "", ["198.51.100.1"]),
        (["InternalIP=192.0.2.1", "ExternalIP=2001:db8::1"], "", ["192.0.2.1", "2001:db8::1"]),
        (["InternalIP=192.0.2.1", "InternalIP=2001:db8::1"], "192.0.2.9", ["192.0.2.9", "2001:db8::1"]),
        (["InternalIP=192.0.2.1"], "0.0.0.0", ["192.0.2.1"]),
        ([], "2001:db8::9", ["2001:db8::9"]),
        (["Hostname=node-1"], "", []),
    ],
)
def test_primary_addresses(addresses: list[str], override: str, primary: list[str]) -> None:
    items = [dict(zip(("type", "address"), item.split("=", 1), strict=True)) for item in addresses]
    found = primary_addresses(node(status={"addresses": items}), override)
    assert found == [pack_address(address) for address in primary]


@pytest.mark.parametrize(
    ("given", "everywhere"),
    [
        ((), {Family.IPV4, Family.IPV6}),
        (("primary",), set()),
        (("192.0.2.0/24",), {Family.IPV6}),
        (("0.0.0.0/0", "2001:db8::/32"), {Family.IPV4}),
    ],
)
def test_node_port_addresses(given: tuple[str, ...], everywhere: set[Family]) -> None:
    assert NodePortAddresses(given).everywhere == everywhere
