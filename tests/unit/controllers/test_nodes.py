"""Nodes: their Pod networks, and what silence does to them."""

from __future__ import annotations

from ipaddress import ip_network

from clusterip.controllers.nodeipam import Pool, by_creation
from clusterip.controllers.nodelifecycle.conditions import ready_status, silent, wanted_taints
from clusterip.controllers.tainteviction import seconds_tolerated
from clusterip.objects import times
from tests.support.objects import CREATED, make_node, make_pod

NOW = times.parse(CREATED).timestamp() + 100


def test_the_lowest_free_network() -> None:
    pool = Pool(ip_network("10.244.0.0/16"), 24, [])
    used = [ip_network(f"10.244.{i}.0/24") for i in (0, 1, 3)]
    assert pool.lowest_free([]) == ip_network("10.244.0.0/24")
    assert pool.lowest_free(used) == ip_network("10.244.2.0/24")


def test_networks_of_other_sizes_and_of_services_are_kept_free() -> None:
    pool = Pool(ip_network("10.0.0.0/22"), 24, [ip_network("10.0.0.0/25"), ip_network("fd00::/112")])
    assert pool.lowest_free([ip_network("10.0.1.128/25")]) == ip_network("10.0.2.0/24")
    assert pool.lowest_free([ip_network("10.0.0.0/8")]) is None
    assert pool.lowest_free([ip_network("192.168.0.0/16")]) == ip_network("10.0.1.0/24")


def test_ipv6() -> None:
    pool = Pool(ip_network("fd00:10::/56"), 64, [])
    assert pool.lowest_free([ip_network("fd00:10::/64")]) == ip_network("fd00:10:0:1::/64")


def test_all_used() -> None:
    assert Pool(ip_network("10.0.0.0/23"), 24, []).lowest_free([ip_network("10.0.0.0/23")]) is None


def test_nodes_in_order_of_creation_then_by_number() -> None:
    nodes = [make_node(name) for name in ("node-10", "node-9", "a")]
    nodes[2].metadata.creationTimestamp = "2026-01-02T00:00:00Z"
    assert [n.metadata.name for n in by_creation(nodes)] == ["node-9", "node-10", "a"]


def test_a_silent_node_says_unknown() -> None:
    node = make_node()
    node.status.conditions = silent(node)
    found = {c.type: (c.status, c.reason) for c in node.status.conditions}
    assert found == {
        "Ready": ("Unknown", "NodeStatusUnknown"),
        "MemoryPressure": ("Unknown", "NodeStatusNeverUpdated"),
        "DiskPressure": ("Unknown", "NodeStatusNeverUpdated"),
        "PIDPressure": ("Unknown", "NodeStatusNeverUpdated"),
    }
    assert silent(node) == node.status.conditions, "said once"


def taints(**node: object) -> set[tuple[str, str]]:
    found = wanted_taints(make_node(**node))  # type: ignore[arg-type]
    return {(t.key.removeprefix("node.kubernetes.io/"), t.effect) for t in found}


def test_taints_follow_conditions() -> None:
    assert taints() == set()
    assert taints(ready="False") == {("not-ready", "NoSchedule"), ("not-ready", "NoExecute")}
    assert taints(ready="Unknown") == {("unreachable", "NoSchedule"), ("unreachable", "NoExecute")}
    assert taints(unschedulable=True) == {("unschedulable", "NoSchedule")}
    foreign = [{"key": "mine", "effect": "NoSchedule"}]
    stale = [{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}]
    assert taints(taints=foreign + stale) == {("mine", "NoSchedule")}


def test_a_taint_keeps_the_time_it_was_added() -> None:
    taint = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": CREATED}
    kept = [t for t in wanted_taints(make_node(ready="Unknown", taints=[taint])) if t.effect == "NoExecute"]
    assert [t.timeAdded for t in kept] == [CREATED]


def test_ready_status_of_a_node_that_never_spoke() -> None:
    assert ready_status(make_node(ready="")) == ""


def test_how_long_a_pod_may_stay() -> None:
    taint = {"key": "k", "effect": "NoExecute", "timeAdded": CREATED}
    node = make_node(taints=[taint, {"key": "other", "effect": "NoSchedule"}])

    def tolerating(*tolerations: dict[str, object]) -> float | None:
        return seconds_tolerated(make_pod(spec={"tolerations": list(tolerations)}), node, NOW)

    assert tolerating() == 0
    assert tolerating({"key": "k", "operator": "Exists"}) is None
    assert tolerating({"key": "k", "operator": "Exists", "tolerationSeconds": 300}) == 200
    assert tolerating({"key": "k", "operator": "Exists", "tolerationSeconds": 50}) == 0
    assert seconds_tolerated(make_pod(), make_node(), NOW) is None
