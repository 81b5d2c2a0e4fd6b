"""EndpointSlices: the right endpoints with the fewest writes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from clusterip.controllers.copying import deep_copy
from clusterip.controllers.endpointslice.desired import address_types, endpoints_of
from clusterip.controllers.endpointslice.plan import Plan, plan
from clusterip.objects.core.node import Node
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.service import Service
from clusterip.objects.discovery.endpointslice import EndpointSlice
from tests.support.objects import make_node, make_pod, make_service

NODES = {"node-1": make_node("node-1", {"topology.kubernetes.io/zone": "z1"}), "node-2": make_node("node-2")}


def node_named(name: str) -> Node | None:
    return NODES.get(name)


class Cluster:
    """Slices as an API server would keep them."""

    def __init__(self, service: Service, maximum: int = 100) -> None:
        self.service = service
        self.maximum = maximum
        self.slices: dict[str, EndpointSlice] = {}
        self._numbers = itertools.count()

    def sync(self, pods: Iterable[Pod], family: str = "IPv4") -> Plan:
        desired = endpoints_of(self.service, pods, family, node_named)
        result = plan(self.service, family, list(self.slices.values()), desired, self.maximum)
        for each in result.create:
            stored = deep_copy(each)
            stored.metadata.name = f"{each.metadata.generateName}{next(self._numbers)}"
            self.slices[stored.metadata.name] = stored
        for each in result.update:
            assert each.metadata.name in self.slices
            self.slices[each.metadata.name] = deep_copy(each)
        for each in result.delete:
            del self.slices[each.metadata.name]
        return result

    def sizes(self) -> list[int]:
        return sorted(len(s.endpoints) for s in self.slices.values())

    def addresses(self) -> list[str]:
        return sorted(a for s in self.slices.values() for e in s.endpoints for a in e.addresses)


def pods(count: int, start: int = 0) -> list[Pod]:
    return [make_pod(f"p{i}", f"10.244.{i // 250}.{i % 250 + 1}") for i in range(start, start + count)]


def counts(result: Plan) -> tuple[int, int, int]:
    return len(result.create), len(result.update), len(result.delete)


def test_one_slice_with_everything_said_of_each_endpoint() -> None:
    service = make_service(ports=[{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}])
    service.metadata.labels = {"team": "shop", "kubernetes.io/service-name": "forged"}
    cluster = Cluster(service)
    cluster.sync(
        [
            make_pod("ok", "10.244.1.2", spec={"hostname": "db-0", "subdomain": "svc"}),
            make_pod("starting", "10.244.1.3", ready=False, node="node-2"),
            make_pod("ending", "10.244.1.4", deleting=True),
            make_pod("done", "10.244.1.5", phase="Succeeded"),
            make_pod("failed", "10.244.1.6", phase="Failed"),
            make_pod("new", "", ready=False),
        ]
    )
    [found] = cluster.slices.values()
    assert found.metadata.labels == {
        "team": "shop",
        "kubernetes.io/service-name": "svc",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    assert found.metadata.generateName == "svc-"
    owner = found.metadata.ownerReferences[0]
    assert (owner.kind, owner.apiVersion, owner.uid) == ("Service", "v1", "uid-svc")
    assert owner.controller
    assert owner.blockOwnerDeletion
    assert [(p.name, p.port, p.protocol) for p in found.ports] == [("http", 8080, "TCP")]
    ok, starting, ending = found.endpoints
    flags = [(c.ready, c.serving, c.terminating) for c in (e.conditions for e in found.endpoints)]
    assert flags == [(True, True, False), (False, False, False), (False, True, True)]
    assert (ok.hostname, ok.nodeName, ok.zone) == ("db-0", "node-1", "z1")
    assert (starting.hostname, starting.nodeName, starting.zone) == (None, "node-2", None)
    assert ok.targetRef is not None
    assert (ok.targetRef.kind, ok.targetRef.name, ok.targetRef.uid) == ("Pod", "ok", "uid-ok")
    assert ending.addresses == ["10.244.1.4"]


def test_not_ready_addresses_are_published_on_request() -> None:
    cluster = Cluster(make_service(publishNotReadyAddresses=True))
    cluster.sync([make_pod("a", ready=False), make_pod("b", "10.244.1.9", deleting=True, ready=False)])
    [found] = cluster.slices.values()
    flags = [(c.ready, c.serving, c.terminating) for c in (e.conditions for e in found.endpoints)]
    assert flags == [(True, False, False), (True, False, True)]


def test_without_pods_there_is_one_empty_slice_and_it_stays() -> None:
    cluster = Cluster(make_service())
    assert counts(cluster.sync([])) == (1, 0, 0)
    assert counts(cluster.sync([])) == (0, 0, 0)
    assert cluster.sizes() == [0]


def test_the_empty_slice_is_used_for_the_first_endpoint_and_again_after_the_last() -> None:
    cluster = Cluster(make_service())
    cluster.sync([])
    assert counts(cluster.sync(pods(1))) == (0, 1, 0)
    assert cluster.sizes() == [1]
    assert counts(cluster.sync([])) == (0, 1, 0)
    [found] = cluster.slices.values()
    assert (found.endpoints, found.ports) == ([], [])


def test_headless_services_are_marked_and_may_have_no_ports() -> None:
    cluster = Cluster(make_service(clusterIP="None", ports=[]))
    cluster.sync(pods(1))
    [found] = cluster.slices.values()
    assert found.metadata.labels["service.kubernetes.io/headless"] == ""
    assert found.ports == []
    assert len(found.endpoints) == 1


def test_named_ports_that_differ_between_pods_make_a_slice_each() -> None:
    service = make_service(ports=[{"name": "web", "port": 80, "protocol": "TCP", "targetPort": "http"}])

    def with_port(name: str, ip: str, port: int) -> Pod:
        container = {"name": "c", "image": "i", "ports": [{"name": "http", "containerPort": port}]}
        return make_pod(name, ip, spec={"containers": [container]})

    cluster = Cluster(service)
    cluster.sync([with_port("a", "10.244.1.1", 8080), with_port("b", "10.244.1.2", 9090), make_pod("none")])
    ports = {tuple(p.port for p in s.ports): len(s.endpoints) for s in cluster.slices.values()}
    assert ports == {(8080,): 1, (9090,): 1, (): 1}


def test_a_sidecar_may_have_the_port_and_protocols_must_match() -> None:
    service = make_service(ports=[{"port": 53, "protocol": "UDP", "targetPort": "dns"}])
    sidecar = {
        "name": "s",
        "image": "i",
        "restartPolicy": "Always",
        "ports": [{"name": "dns", "containerPort": 5353, "protocol": "UDP"}],
    }
    container = {"name": "c", "image": "i", "ports": [{"name": "dns", "containerPort": 1, "protocol": "TCP"}]}
    cluster = Cluster(service)
    cluster.sync([make_pod(spec={"initContainers": [sidecar], "containers": [container]})])
    [found] = cluster.slices.values()
    assert [(p.port, p.protocol) for p in found.ports] == [(5353, "UDP")]


def test_dual_stack_has_slices_of_each_family() -> None:
    service = make_service(ipFamilies=["IPv4", "IPv6"])
    both = make_pod(status={"podIPs": [{"ip": "10.244.1.2"}, {"ip": "fd00::2"}]})
    assert address_types(service, [both]) == ["IPv4", "IPv6"]
    for family, address in (("IPv4", "10.244.1.2"), ("IPv6", "fd00::2")):
        cluster = Cluster(service)
        cluster.sync([both], family)
        [found] = cluster.slices.values()
        assert (found.addressType, found.endpoints[0].addresses) == (family, [address])


def test_pods_on_unknown_nodes_wait() -> None:
    lost = make_pod("lost", "10.244.1.9", node="node-9")
    desired = endpoints_of(make_service(), [lost, make_pod()], "IPv4", node_named)
    assert [pod.metadata.name for pod in desired.without_node] == ["lost"]
    assert [len(group.endpoints) for group in desired.groups.values()] == [1]


def test_hints_follow_traffic_distribution() -> None:
    def hints(wish: str | None, ready: bool = True) -> tuple[list[str], list[str]] | None:
        service = make_service(trafficDistribution=wish)
        desired = endpoints_of(service, [make_pod(ready=ready)], "IPv4", node_named)
        [group] = desired.groups.values()
        [endpoint] = group.endpoints.values()
        found = endpoint.hints
        return ([z.name for z in found.forZones], [n.name for n in found.forNodes]) if found else None

    assert hints(None) is None
    assert hints("PreferClose") == (["z1"], [])
    assert hints("PreferSameZone") == (["z1"], [])
    assert hints("PreferSameNode") == (["z1"], ["node-1"])
    assert hints("PreferSameZone", ready=False) is None


def test_full_slices_are_followed_by_another() -> None:
    cluster = Cluster(make_service())
    assert counts(cluster.sync(pods(250))) == (3, 0, 0)
    assert cluster.sizes() == [50, 100, 100]


def test_one_more_pod_is_one_write_to_the_slice_with_room() -> None:
    cluster = Cluster(make_service())
    cluster.sync(pods(150))
    assert counts(cluster.sync(pods(151))) == (0, 1, 0)
    assert cluster.sizes() == [51, 100]


def test_a_replaced_pod_goes_where_the_old_one_was() -> None:
    cluster = Cluster(make_service())
    cluster.sync(pods(150))
    result = cluster.sync(pods(150)[1:] + pods(1, start=200))
    assert counts(result) == (0, 1, 0)
    assert cluster.sizes() == [50, 100]


def test_a_changed_pod_rewrites_only_its_slice() -> None:
    cluster = Cluster(make_service())
    cluster.sync(pods(150))
    changed = pods(150)
    changed[3] = make_pod("p3", "10.244.0.4", ready=False)
    result = cluster.sync(changed)
    assert counts(result) == (0, 1, 0)
    [written] = result.update
    assert [e.conditions.ready for e in written.endpoints].count(False) == 1


def test_an_emptied_slice_is_deleted() -> None:
    cluster = Cluster(make_service())
    cluster.sync(pods(150))
    assert counts(cluster.sync(pods(100))) == (0, 0, 1)
    assert cluster.sizes() == [100]


def test_changed_service_labels_rewrite_the_slices_once() -> None:
    cluster = Cluster(make_service())
    cluster.sync(pods(3))
    cluster.service.metadata.labels = {"new": "label"}
    assert counts(cluster.sync(pods(3))) == (0, 1, 0)
    assert counts(cluster.sync(pods(3))) == (0, 0, 0)


def test_a_changed_port_is_an_update_in_place() -> None:
    cluster = Cluster(make_service())
    cluster.sync(pods(3))
    cluster.service.spec.ports[0].targetPort = 9090
    assert counts(cluster.sync(pods(3))) == (0, 1, 0)
    [found] = cluster.slices.values()
    assert [p.port for p in found.ports] == [9090]


def test_slices_of_an_earlier_service_of_the_name_are_deleted_never_reused() -> None:
    cluster = Cluster(make_service())
    cluster.sync(pods(3))
    [old] = cluster.slices.values()
    old.metadata.ownerReferences[0].uid = "another-life"
    assert counts(cluster.sync(pods(3))) == (1, 0, 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.integers(0, 40)), min_size=1, max_size=8), st.integers(1, 12))
def test_whatever_comes_and_goes_the_slices_are_right_and_then_at_rest(
    steps: list[set[int]], maximum: int
) -> None:
    cluster = Cluster(make_service(), maximum)
    everything = pods(41)
    for step in steps:
        wanted = [everything[i] for i in sorted(step)]
        cluster.sync(wanted)
        assert cluster.addresses() == sorted(pod.status.podIP for pod in wanted)
        assert all(len(s.endpoints) <= maximum for s in cluster.slices.values())
        assert cluster.sync(wanted).empty
        assert cluster.slices
