"""What is written is what has changed. Upstream: ``TestSyncProxyRulesRepeated`` in ``proxier_test.go``."""

from __future__ import annotations

import ipaddress
import socket

from clusterip.kernel.iptables import parse
from clusterip.kernel.nftables import Family
from clusterip.proxy.backend import PodDetection
from clusterip.proxy.iptables.compare import Comparison, same
from clusterip.proxy.iptables.delta import Delta, in_steps
from clusterip.proxy.iptables.environment import Environment
from clusterip.proxy.iptables.names import SERVICES, digest
from clusterip.proxy.iptables.plane import Plane
from clusterip.proxy.iptables.port import Entry
from clusterip.proxy.model import (
    Choice,
    Destination,
    PortKey,
    PortState,
    ServiceKey,
    ServicePort,
    pack_destination,
)

ENVIRONMENT = Environment(Family.IPV4, PodDetection((ipaddress.ip_network("10.244.0.0/16"),)))
KEY = PortKey(ServiceKey("ns", "web"), "http", socket.IPPROTO_TCP, Family.IPV4)
CHAIN = f"KUBE-SVC-{digest('ns/web:http', 'tcp')}"


def destination(number: int) -> Destination:
    return pack_destination(bytes([10, 244, 0, number]), 8080)


def endpoint_chain(number: int) -> str:
    return f"KUBE-SEP-{digest('ns/web:http', 'tcp', f'10.244.0.{number}:8080')}"


def state(*numbers: int, **more: object) -> PortState:
    port = ServicePort(KEY, bytes([10, 96, 0, 1]), 80, **more)  # type: ignore[arg-type]
    return PortState(port, Choice(tuple(map(destination, numbers)), (), bool(numbers)))


def written(plane: Plane) -> str:
    """What the plane writes now; it counts as done."""
    delta = Delta()
    changed = plane.take_changed()
    for key, wanted in changed.items():
        plane.change(delta, key, wanted)
    plane.wrote(changed)
    return delta.text()


def test_an_endpoint_more_writes_its_chain_and_the_services() -> None:
    plane = Plane(ENVIRONMENT)
    plane.set_port(KEY, state(1, 2))
    assert f"-I {SERVICES} -d 10.96.0.1/32" in written(plane)
    plane.set_port(KEY, state(1, 2, 3))
    lines = written(plane).splitlines()
    assert [line for line in lines if line.startswith(":")] == [
        f":{chain} - [0:0]" for chain in (CHAIN, endpoint_chain(3))
    ]
    assert not any(line.startswith(("-D", "-I", "-X")) for line in lines)
    assert "*filter" not in lines


def test_an_endpoint_less_drops_its_chain_after_what_leads_to_it() -> None:
    plane = Plane(ENVIRONMENT)
    plane.set_port(KEY, state(1, 2))
    written(plane)
    plane.set_port(KEY, state(2))
    lines = written(plane).splitlines()
    assert lines[-2:] == [f"-X {endpoint_chain(1)}", "COMMIT"]
    assert f":{endpoint_chain(2)} - [0:0]" not in lines


def test_nothing_changed_writes_nothing() -> None:
    plane = Plane(ENVIRONMENT)
    plane.set_port(KEY, state(1, 2))
    written(plane)
    plane.set_port(KEY, state(2, 1))  # the order in which slices name them is of no importance
    assert written(plane) == ""


def test_refusal_is_gone_after_the_way_to_endpoints_is_there() -> None:
    plane = Plane(ENVIRONMENT)
    plane.set_port(KEY, state())
    assert "REJECT" in written(plane)
    plane.set_port(KEY, state(1))
    lines = written(plane).splitlines()
    assert lines.index("*nat") < lines.index("*filter")
    assert any(line.startswith("-D") and "REJECT" in line for line in lines)
    plane.set_port(KEY, state())
    lines = written(plane).splitlines()
    assert lines.index("*filter") < lines.index("*nat")


def test_a_service_that_is_gone_leaves_nothing() -> None:
    plane = Plane(ENVIRONMENT)
    plane.set_port(KEY, state(1))
    written(plane)
    plane.set_port(KEY, None)
    lines = written(plane).splitlines()
    assert {line for line in lines if line.startswith("-X")} == {f"-X {CHAIN}", f"-X {endpoint_chain(1)}"}
    assert sum(line.startswith(f"-D {SERVICES}") for line in lines) == 1
    assert not plane.written


def test_source_ranges_follow_the_nodes_addresses() -> None:
    plane = Plane(ENVIRONMENT)
    balanced = {"load_balancer_ips": (bytes([192, 0, 2, 9]),)}
    plane.set_port(KEY, state(1, source_ranges=(ipaddress.ip_network("198.51.100.0/24"),), **balanced))
    written(plane)
    plane.set_environment(ENVIRONMENT._replace(node_ips=(bytes([198, 51, 100, 7]),)))
    assert "-s 192.0.2.9/32" in written(plane)


def test_what_changes_while_one_writes_is_for_the_next_time() -> None:
    plane = Plane(ENVIRONMENT)
    plane.set_port(KEY, state(1))
    taken = plane.take_changed()
    plane.set_port(KEY, state(1, 2))
    plane.wrote(taken)
    assert plane.has_changes
    assert f":{endpoint_chain(2)} - [0:0]" in written(plane)


def test_of_two_that_claim_an_address_the_older_comes_first() -> None:
    plane = Plane(ENVIRONMENT)
    older, newer = (
        PortState(
            ServicePort(
                PortKey(ServiceKey("ns", name), "http", socket.IPPROTO_TCP, Family.IPV4),
                bytes([10, 96, 0, number]),
                80,
                external_ips=(bytes([198, 51, 100, 1]),),
                created=f"2026-0{number}-01T00:00:00Z",
            ),
            Choice((destination(number),), (), True),
        )
        for number, name in ((1, "older"), (2, "newer"))
    )

    def put_first(state: PortState) -> list[str]:
        """Whose rules for the address are put at the head, one after the other."""
        plane.set_port(state.port.key, state)
        delta = Delta()
        taken = plane.take_changed()
        for key, wanted in taken.items():
            plane.change(delta, key, wanted)
        plane.settle(delta, taken)
        plane.wrote(taken)
        head = f"-I {SERVICES} -d 198.51.100.1/32"
        lines = [line for line in delta.text().splitlines() if line.startswith(head)]
        return [line.split('"ns/')[1].split(":")[0] for line in lines]

    assert put_first(older) == ["older"]
    assert put_first(newer) == ["newer", "older"]
    plane.set_port(older.port.key, None)
    assert "198.51.100.1" in written(plane)
    assert put_first(older)[-1] == "older"


def test_large_removals_are_taken_in_steps() -> None:
    removal = Delta()
    plane = Plane(ENVIRONMENT)
    plane.set_port(KEY, state(1, 2, 3))
    taken = plane.take_changed()
    for key, wanted in taken.items():
        plane.change(removal, key, wanted)
    going = Delta()
    going.dropped = set(removal.chains)
    going.removed = [Entry("nat", "PREROUTING", f"-j {SERVICES}")]
    texts = [step.text() for step in in_steps(going, size=2)]
    assert texts[0].count("-D") == 1
    assert [text.count("-X") for text in texts] == [0, 0, 0, 2, 2]


SAVED = """\
# Generated by iptables-nft-save
*nat
:PREROUTING ACCEPT [12:34]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-OLD - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.9/32 -p tcp -m comment --comment "ns/old" -m tcp --dport 80 -j KUBE-SVC-OLD
COMMIT
"""


def test_what_nobody_wants_any_more_is_found() -> None:
    found = parse(SAVED)
    comparison = Comparison(found, ENVIRONMENT)
    frame = comparison.frame().text()
    assert "-I PREROUTING" not in frame
    assert "-I POSTROUTING" in frame
    assert ":KUBE-SERVICES - [0:0]" in frame.split("*nat")[0]  # in filter, which has none yet
    assert ":KUBE-SERVICES - [0:0]" not in frame.split("*nat")[1]
    rest = comparison.rest().text()
    assert "-X KUBE-SVC-OLD" in rest
    assert "-D KUBE-SERVICES -d 10.96.0.9/32" in rest
    assert rest.index("-D KUBE-SERVICES") < rest.index("-A KUBE-SERVICES") < rest.index("-X")


def test_versions_of_iptables_print_the_same_rule_differently() -> None:
    rule = "-p tcp -m tcp -j DNAT --to-destination 10.0.0.1:80"
    assert same(["-p tcp -j DNAT --to-destination 10.0.0.1:80"], [rule])
    assert not same(["-p tcp -j DNAT --to-destination 10.0.0.2:80"], [rule])
    assert not same(None, [])
