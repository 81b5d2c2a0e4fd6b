"""The scheduler: which nodes can take a Pod, why others cannot, which is best."""

from __future__ import annotations

from typing import Any

import pytest

from clusterip.controllers.scheduler.filters import fit_error, reasons_against
from clusterip.controllers.scheduler.nodestate import NodeState
from clusterip.controllers.scheduler.podaffinity import AFFINITY, ANTI_AFFINITY, EXISTING_RULES, PodAffinity
from clusterip.controllers.scheduler.requests import request_of
from clusterip.controllers.scheduler.scoring import best
from clusterip.controllers.scheduler.topologyspread import NO_LABEL, UNEVEN, TopologySpread
from clusterip.objects.core.node import Node
from clusterip.objects.core.pod import Pod
from tests.support.objects import make_node, make_pod


def waiting(name: str = "new", *, owner: str = "", meta: dict[str, Any] | None = None, **spec: Any) -> Pod:
    references = [{"uid": owner, "kind": "ReplicaSet", "name": "rs", "controller": True}] if owner else []
    full_meta = {"ownerReferences": references, **(meta or {})}
    return make_pod(name, "", node="", ready=False, phase="Pending", meta=full_meta, spec=spec)


def container(cpu: str = "", memory: str = "", **more: Any) -> dict[str, Any]:
    requests = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v}
    return {"name": "c", "image": "i", "resources": {"requests": requests}, **more}


def state(node: Node, *pods: Pod) -> NodeState:
    found = NodeState(node)
    for pod in pods:
        found.add(request_of(pod))
    return found


def why(pod: Pod, node: Node, *others: Pod) -> list[str]:
    return reasons_against(request_of(pod), state(node, *others))


def test_an_ordinary_node_takes_an_ordinary_pod() -> None:
    assert why(waiting(), make_node()) == []


@pytest.mark.parametrize("ready", ["False", "Unknown", ""])
def test_nodes_must_be_ready(ready: str) -> None:
    assert why(waiting(), make_node(ready=ready)) == ["node(s) were not ready"]


def test_cordon_and_taints() -> None:
    cordoned = make_node(unschedulable=True)
    assert why(waiting(), cordoned) == ["node(s) were unschedulable"]
    anything = [{"operator": "Exists"}]
    assert why(waiting(tolerations=anything), cordoned) == []
    tainted = make_node(taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}])
    assert why(waiting(), tainted) == ["node(s) had untolerated taint(s)"]
    assert why(waiting(tolerations=[{"key": "k", "value": "v", "effect": "NoSchedule"}]), tainted) == []
    assert why(waiting(tolerations=[{"key": "k", "value": "w"}]), tainted) != []
    assert (
        why(waiting(tolerations=[{"key": "k", "operator": "Exists", "effect": "NoExecute"}]), tainted) != []
    )
    preferred = make_node(taints=[{"key": "k", "effect": "PreferNoSchedule"}])
    assert why(waiting(), preferred) == []


MISMATCH = ["node(s) didn't match Pod's node affinity/selector"]


def test_node_selector_and_affinity() -> None:
    node = make_node("node-1", {"disk": "ssd", "cores": "8"})
    assert why(waiting(nodeSelector={"disk": "ssd"}), node) == []
    assert why(waiting(nodeSelector={"disk": "hdd"}), node) == MISMATCH

    def affine(*terms: dict[str, Any]) -> Pod:
        required = {"nodeSelectorTerms": list(terms)}
        return waiting(
            affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
        )

    def term(key: str, operator: str, *values: str, fields: bool = False) -> dict[str, Any]:
        return {
            "matchFields" if fields else "matchExpressions": [
                {"key": key, "operator": operator, "values": list(values)}
            ]
        }

    for good in (
        term("disk", "In", "ssd", "x"),
        term("disk", "NotIn", "hdd"),
        term("none", "NotIn", "x"),
        term("disk", "Exists"),
        term("none", "DoesNotExist"),
        term("cores", "Gt", "4"),
        term("cores", "Lt", "9"),
        term("metadata.name", "In", "node-1", fields=True),
    ):
        assert why(affine(good), node) == [], good
    for bad in (
        term("disk", "In", "hdd"),
        term("disk", "DoesNotExist"),
        term("cores", "Gt", "8"),
        term("disk", "Gt", "1"),
        term("metadata.name", "In", "node-2", fields=True),
        {},
    ):
        assert why(affine(bad), node) == MISMATCH, bad
    assert why(affine(term("disk", "In", "hdd"), term("disk", "Exists")), node) == [], "one of them"


def test_resources_count_what_is_there() -> None:
    node = make_node(allocatable={"cpu": "2", "memory": "1Gi", "pods": "2"})
    other = make_pod("other", spec={"containers": [container("1500m", "512Mi")]})
    assert why(waiting(containers=[container("500m", "512Mi")]), node, other) == []
    assert why(waiting(containers=[container("501m", "513Mi")]), node, other) == [
        "Insufficient cpu",
        "Insufficient memory",
    ]
    assert why(waiting(), node, other, make_pod("third")) == ["Too many pods"]
    wanted = {"name": "c", "image": "i", "resources": {"requests": {"example.com/gpu": "1"}}}
    assert why(waiting(containers=[wanted]), node) == ["Insufficient example.com/gpu"]


def test_init_containers_count_at_their_peak_and_sidecars_always() -> None:
    spec = {
        "containers": [container("500m"), container("500m")],
        "initContainers": [container("2"), container("300m", restartPolicy="Always"), container("1")],
        "overhead": {"cpu": "50m"},
    }
    assert request_of(waiting(**spec)).amounts["cpu"] == 2050
    spec["initContainers"] = [container("300m", restartPolicy="Always"), container("1")]
    assert request_of(waiting(**spec)).amounts["cpu"] == 1350


def test_host_ports_clash_by_address_protocol_and_number() -> None:
    def on(ip: str, port: int, protocol: str = "TCP") -> list[dict[str, Any]]:
        return [container(ports=[{"containerPort": 1, "hostPort": port, "hostIP": ip, "protocol": protocol}])]

    def clash(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> bool:
        return why(waiting(containers=a), make_node(), make_pod("other", spec={"containers": b})) != []

    assert clash(on("", 80), on("127.0.0.1", 80))
    assert clash(on("10.0.0.1", 80), on("0.0.0.0", 80))
    assert not clash(on("10.0.0.1", 80), on("10.0.0.2", 80))
    assert not clash(on("", 80), on("", 81))
    assert not clash(on("", 53), on("", 53, "UDP"))


def test_the_message_counts_reasons() -> None:
    reasons = ["node(s) were unschedulable", "Insufficient cpu", "Insufficient cpu"]
    told = "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu."
    assert fit_error(reasons, 3) == told
    assert fit_error([], 0) == "no nodes available to schedule pods"


def choose(pod: Pod, *states: NodeState) -> str:
    candidates = [(each, each.node) for each in states if each.node is not None]
    return best(request_of(pod), candidates, TopologySpread(pod, states)).metadata.name


def test_pods_of_one_owner_spread_even_to_fuller_nodes() -> None:
    sibling = make_pod("sibling", meta={"ownerReferences": waiting(owner="rs").metadata.ownerReferences})
    crowd = [make_pod(f"p{i}", spec={"containers": [container("500m")]}) for i in range(4)]
    empty, full = state(make_node("node-1"), sibling), state(make_node("node-2"), *crowd)
    assert choose(waiting(owner="rs"), empty, full) == "node-2"
    assert choose(waiting(owner="other"), empty, full) == "node-1"


def test_preferences_come_first() -> None:
    preference = {
        "weight": 5,
        "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]},
    }
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [preference]}}
    plain, fast = state(make_node("node-1")), state(make_node("node-2", {"disk": "ssd"}), make_pod())
    assert choose(waiting(affinity=affinity), plain, fast) == "node-2"
    avoid = state(make_node("node-0", taints=[{"key": "k", "effect": "PreferNoSchedule"}]))
    assert choose(waiting(), avoid, plain) == "node-1"


HOST = "kubernetes.io/hostname"


def rule(kind: str, app: str) -> dict[str, Any]:
    term = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": HOST}
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def test_pods_join_and_avoid_each_other() -> None:
    nodes = [
        state(make_node("node-1", {HOST: "node-1"}), make_pod("db", meta={"labels": {"app": "db"}})),
        state(make_node("node-2", {HOST: "node-2"})),
    ]

    def reasons(pod: Pod) -> list[str | None]:
        affinity = PodAffinity(pod, nodes, {})
        return [affinity.reason_against(each.node.metadata.labels) for each in nodes if each.node]

    assert reasons(waiting(affinity=rule("podAffinity", "db"))) == [None, AFFINITY]
    assert reasons(waiting(affinity=rule("podAntiAffinity", "db"))) == [ANTI_AFFINITY, None]
    assert reasons(waiting(affinity=rule("podAffinity", "nobody"))) == [AFFINITY, AFFINITY]
    first = waiting(meta={"labels": {"app": "group"}}, affinity=rule("podAffinity", "group"))
    assert reasons(first) == [None, None], "the first of a group has nobody to join"
    elsewhere = waiting(meta={"namespace": "other"}, affinity=rule("podAntiAffinity", "db"))
    assert reasons(elsewhere) == [None, None], "rules are about the own namespace"


def test_pods_that_run_keep_others_away() -> None:
    hermit = make_pod("hermit", spec={"affinity": rule("podAntiAffinity", "web")})
    nodes = [state(make_node("node-1", {HOST: "node-1"}), hermit)]
    affinity = PodAffinity(waiting(), nodes, {})
    assert affinity.reason_against({HOST: "node-1"}) == EXISTING_RULES
    assert affinity.reason_against({HOST: "node-2"}) is None


ZONE = "topology.kubernetes.io/zone"


def spread(skew: int = 1, *, key: str = ZONE, soft: bool = False, **more: Any) -> dict[str, Any]:
    action = "ScheduleAnyway" if soft else "DoNotSchedule"
    selector = {"matchLabels": {"app": "web"}}
    return {
        "maxSkew": skew,
        "topologyKey": key,
        "whenUnsatisfiable": action,
        "labelSelector": selector,
    } | more


def zones(*counts: int) -> list[NodeState]:
    """A node in each zone, with so many Pods of ``app: web``."""
    return [
        state(make_node(f"node-{zone}", {ZONE: zone}), *(make_pod(f"{zone}{n}") for n in range(count)))
        for zone, count in zip("abcd", counts, strict=False)
    ]


def uneven(pod: Pod, nodes: list[NodeState]) -> list[str | None]:
    found = TopologySpread(pod, nodes)
    return [found.reason_against(each.node.metadata.labels) for each in nodes if each.node]


def web(*constraints: dict[str, Any], **spec: Any) -> Pod:
    return waiting(meta={"labels": {"app": "web"}}, topologySpreadConstraints=list(constraints), **spec)


def test_pods_are_spread_over_zones() -> None:
    assert uneven(web(spread()), zones(2, 1, 1)) == [UNEVEN, None, None]
    assert uneven(web(spread(2)), zones(2, 1, 1)) == [None, None, None]
    assert uneven(web(spread()), zones(0, 0)) == [None, None]
    stranger = waiting(meta={"labels": {"app": "other"}}, topologySpreadConstraints=[spread()])
    assert uneven(stranger, zones(2, 1)) == [None, None], "it does not count itself"
    assert uneven(web(spread()), [*zones(1, 1), state(make_node("bare"))]) == [None, None, NO_LABEL]


def test_domains_that_are_to_be_there() -> None:
    assert uneven(web(spread(minDomains=3)), zones(1, 1)) == [UNEVEN, UNEVEN]
    assert uneven(web(spread(minDomains=2)), zones(1, 1)) == [None, None]


def test_nodes_that_count_as_domains() -> None:
    nodes = zones(1, 0)
    selected = web(spread(), nodeSelector={ZONE: "a"})
    assert uneven(selected, nodes)[0] is None, "where it cannot run is no domain"
    ignoring = web(spread(nodeAffinityPolicy="Ignore"), nodeSelector={ZONE: "a"})
    assert uneven(ignoring, nodes)[0] == UNEVEN
    tainted = state(make_node("t", {ZONE: "t"}, taints=[{"key": "k", "effect": "NoSchedule"}]))
    assert uneven(web(spread()), [zones(1)[0], tainted])[0] == UNEVEN
    assert uneven(web(spread(nodeTaintsPolicy="Honor")), [zones(1)[0], tainted])[0] is None


def test_only_pods_of_one_version_count_for_each_other() -> None:
    old = make_pod("old", meta={"labels": {"app": "web", "version": "1"}})
    nodes = [state(make_node("node-a", {ZONE: "a"}), old), state(make_node("node-b", {ZONE: "b"}))]
    labels = {"app": "web", "version": "2"}
    new = waiting(meta={"labels": labels}, topologySpreadConstraints=[spread(matchLabelKeys=["version"])])
    assert uneven(new, nodes) == [None, None]
    assert uneven(web(spread()), nodes) == [UNEVEN, None]


def test_a_wish_to_be_spread_forbids_nothing_and_decides() -> None:
    nodes = zones(2, 1, 3)
    wish = web(spread(soft=True))
    assert uneven(wish, nodes) == [None, None, None]
    assert choose(wish, *nodes) == "node-b"


def test_a_state_forgets_what_leaves() -> None:
    pod = make_pod("a", spec={"containers": [container("1")]})
    found = state(make_node(), pod)
    found.add(request_of(pod))
    assert found.used["cpu"] == 1000, "once, however often it is seen"
    assert found.remove(pod.metadata.uid)
    assert not found.remove(pod.metadata.uid)
    assert found.used["cpu"] == 0
