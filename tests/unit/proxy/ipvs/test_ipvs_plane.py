"""Which virtual servers and set elements Services come to."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from clusterip.kernel.ipvs import Destination, Flags, Server
from clusterip.kernel.nftables import Family
from clusterip.proxy.backend import BackendOptions, PodDetection
from clusterip.proxy.ipvs.plane import Plane
from clusterip.proxy.ipvs.rules import definition, node_elements, port_elements
from clusterip.proxy.model import (
    Address,
    Choice,
    NodeAddresses,
    PortKey,
    PortState,
    ServiceKey,
    ServicePort,
    pack_address,
    pack_destination,
)

NODE = "192.0.2.1"


def packed(text: str) -> Address:
    address = pack_address(text)
    assert address is not None
    return address


ADDRESSES = NodeAddresses((packed(NODE),), (packed(NODE),))
OWN = [packed(NODE), packed("127.0.0.1")]


def key(name: str = "web") -> PortKey:
    return PortKey(ServiceKey("ns", name), "http", socket.IPPROTO_TCP, Family.IPV4)


def state(
    name: str = "web", ip: str = "10.96.0.1", *, local: tuple[str, ...] = (), **more: object
) -> PortState:
    port = ServicePort(key(name), packed(ip), 80, **more)  # type: ignore[arg-type]
    endpoints = tuple(pack_destination(packed(f"10.244.0.{number}"), 8080) for number in (1, 2))
    here = tuple(pack_destination(packed(address), 8080) for address in local)
    return PortState(port, Choice(endpoints, here, True))


def server(address: str, port: int = 80) -> Server:
    return Server(socket.IPPROTO_TCP, packed(address), port)


def plane(*states: PortState, scheduler: str = "rr") -> Plane:
    made = Plane(scheduler)
    made.set_node(ADDRESSES, OWN)
    for each in states:
        made.set_port(each.port.key, each)
    return made


def destinations(made: Plane, address: str, port: int = 80) -> set[str]:
    wanted = made.wanted(server(address, port))
    assert wanted is not None
    return {str(ipaddress.ip_address(each.address)) for each in wanted.destinations}


def test_every_address_is_a_virtual_server() -> None:
    made = plane(
        state(
            external_ips=(packed("198.51.100.1"), packed(NODE)),
            load_balancer_ips=(packed("198.51.100.2"),),
            node_port=30080,
        )
    )
    assert set(made.servers()) == {
        server("10.96.0.1"),
        server("198.51.100.1"),
        server("198.51.100.2"),
        server(NODE),
        server(NODE, 30080),
    }
    # An address that the node has anyway is not bound a second time.
    assert made.bound_by(key()) == {packed(ip) for ip in ("10.96.0.1", "198.51.100.1", "198.51.100.2")}
    wanted = made.wanted(server("10.96.0.1"))
    assert wanted is not None
    assert wanted.destinations == {Destination(packed(f"10.244.0.{number}"), 8080) for number in (1, 2)}


def test_policies() -> None:
    here = ("10.244.0.1",)
    made = plane(state(local=here, node_port=30080, external_local=True))
    assert destinations(made, "10.96.0.1") == {"10.244.0.1", "10.244.0.2"}
    assert destinations(made, NODE, 30080) == {"10.244.0.1"}
    # With none here, this node's own clients still get somewhere, but not from the ClusterIP.
    made = plane(state(node_port=30080, external_local=True, internal_local=True))
    assert destinations(made, NODE, 30080) == {"10.244.0.1", "10.244.0.2"}
    assert destinations(made, "10.96.0.1") == set()


@pytest.mark.parametrize(("scheduler", "flags"), [("rr", Flags(0)), ("mh", Flags.SCHED2)])
def test_affinity_and_schedulers(scheduler: str, flags: Flags) -> None:
    made = plane(state(affinity_seconds=600), scheduler=scheduler)
    wanted = made.wanted(server("10.96.0.1"))
    assert wanted is not None
    assert wanted.settings == (scheduler, flags | Flags.PERSISTENT, 600)


def test_the_older_of_two_has_an_address_and_then_the_other() -> None:
    shared = {"external_ips": (packed("198.51.100.1"),)}
    old = state("old", "10.96.0.1", created="2026-01-01T00:00:00Z", **shared)
    new = state("new", "10.96.0.2", created="2026-02-01T00:00:00Z", **shared)
    new = new._replace(choice=Choice((pack_destination(packed("10.244.0.9"), 8080),), (), True))
    made = plane(new, old)
    assert destinations(made, "198.51.100.1") == {"10.244.0.1", "10.244.0.2"}
    made.set_port(key("old"), None)
    assert destinations(made, "198.51.100.1") == {"10.244.0.9"}
    # Whose ClusterIP it is has it before all others.
    made.set_port(key("owner"), state("owner", "198.51.100.1", created="2026-03-01T00:00:00Z"))
    assert destinations(made, "198.51.100.1") == {"10.244.0.1", "10.244.0.2"}


def test_only_what_is_different_counts_as_changed() -> None:
    made = plane(state(node_port=30080))
    made.take_changed()
    made.set_port(key(), state(node_port=30080))
    assert made.take_changed() == {}
    made.set_port(key(), state(node_port=30081))
    assert made.take_changed().keys() == {server(NODE, 30080), server(NODE, 30081)}
    made.set_port(key(), None)
    assert made.take_changed() == {server("10.96.0.1"): None, server(NODE, 30081): None}


def test_node_ports_follow_the_nodes_addresses() -> None:
    made = plane(state(node_port=30080))
    made.take_changed()
    made.set_node(NodeAddresses((), (packed("192.0.2.7"),)), OWN)
    changed = made.take_changed()
    assert changed.keys() == {server(NODE, 30080), server("192.0.2.7", 30080)}
    assert changed[server(NODE, 30080)] is None


def elements(wanted: PortState) -> set[tuple[str, str]]:
    return {(element.set, element.text) for element in port_elements(wanted, ADDRESSES)}


def test_elements() -> None:
    balanced = {"load_balancer_ips": (packed("198.51.100.2"),), "node_port": 30080}
    found = elements(state(**balanced))
    assert ("cluster-ips", "10.96.0.1 . tcp . 80") in found
    assert ("external", "198.51.100.2 . tcp . 80") in found
    assert ("node-ports", "tcp . 30080") in found
    found = elements(state(local=("10.244.0.1",), external_local=True, **balanced))
    assert not {name for name, _ in found} & {"external", "node-ports", "dropped-outside"}
    found = elements(state(external_local=True, **balanced))
    assert ("dropped-outside", "198.51.100.2 . tcp . 80") in found
    assert ("dropped-node-ports", "tcp . 30080") in found
    assert ("dropped", "10.96.0.1 . tcp . 80") in elements(state(internal_local=True))


def test_source_ranges_let_the_node_itself_in_if_they_hold_it() -> None:
    balanced = {"load_balancer_ips": (packed("198.51.100.2"),)}
    allowed = ("allowed-sources", "198.51.100.2 . tcp . 80 . 198.51.100.2")
    assert allowed in elements(state(source_ranges=(ipaddress.ip_network("192.0.2.0/24"),), **balanced))
    assert allowed not in elements(state(source_ranges=(ipaddress.ip_network("192.0.3.0/24"),), **balanced))
    # One that holds the address already may not overlap with itself.
    everything = (ipaddress.ip_network("128.0.0.0/1"),)
    assert allowed not in elements(state(source_ranges=everything, **balanced))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            BackendOptions(PodDetection((ipaddress.ip_network("10.244.0.0/16"),))),
            "ip saddr != { 10.244.0.0/16 }",
        ),
        (BackendOptions(PodDetection(bridge="br0")), 'iifname != "br0"'),
        (BackendOptions(PodDetection(interface_prefix="cali")), 'iifname != "cali*"'),
    ],
)
def test_who_is_no_pod(options: BackendOptions, text: str) -> None:
    rules = definition(Family.IPV4, options)
    masquerade = next(line for line in rules.splitlines() if "@cluster-ips" in line)
    assert masquerade.strip().startswith(text)
    assert f"{text} jump outside" in rules


def test_node_elements_are_of_their_family() -> None:
    both = NodeAddresses((), (packed(NODE), packed("2001:db8::1")))
    assert {element.text for element in node_elements(both, Family.IPV6)} == {"2001:db8::1"}
