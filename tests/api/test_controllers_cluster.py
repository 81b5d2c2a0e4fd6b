"""Scheduling, nodes, namespaces and cleaning up, with the real API server and kubectl."""

from __future__ import annotations

import asyncio
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterip.client.errors import ApiError
from clusterip.client.rest import Client
from clusterip.controllers.pods import condition, is_ready
from clusterip.objects.core.configmap import ConfigMap
from clusterip.objects.core.containers import Container, ContainerPort, ResourceRequirements
from clusterip.objects.core.event import Event
from clusterip.objects.core.namespace import Namespace
from clusterip.objects.core.node import Node, Taint
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.pod_spec import PodSpec
from clusterip.objects.core.scheduling import Affinity, PodAffinityTerm, PodAntiAffinity
from clusterip.objects.core.serviceaccount import ServiceAccount
from clusterip.objects.meta import LabelSelector, ObjectMeta, OwnerReference
from tests.support.apiserver import RunningApiServer, running_apiserver
from tests.support.controllers import SECONDS, HollowNode, RunningControllers, client_of, eventually
from tests.support.kubectl import Kubectl


@pytest.fixture
def apiserver(tmp_path: Path) -> Iterator[RunningApiServer]:
    with running_apiserver(tmp_path) as server:
        yield server


@pytest.fixture
def controllers(apiserver: RunningApiServer, tmp_path: Path) -> Iterator[RunningControllers]:
    log = tmp_path / "controllers.log"
    controllers = RunningControllers(apiserver.kubeconfig, log, "--node-monitor-grace-period=2s")
    controllers.start()
    yield controllers
    assert controllers.stop() == 0


@pytest.fixture
async def client(apiserver: RunningApiServer, controllers: RunningControllers) -> AsyncIterator[Client]:
    async with client_of(apiserver.kubeconfig) as client:
        yield client


@pytest.fixture
async def nodes(client: Client) -> AsyncIterator[list[HollowNode]]:
    """Two small nodes that renew their leases."""
    nodes = [HollowNode(client, f"node-{i}", cpu="2") for i in (1, 2)]
    for node in nodes:
        await node.start()
    # Nodes are new to the cluster until the node lifecycle controller has seen that they are ready.
    await eventually(client, Node, lambda found: len(found) == 2 and not any(n.spec.taints for n in found))
    yield nodes
    for node in nodes:
        await node.stop()


def pod(name: str, namespace: str = "default", cpu: str = "", **spec: Any) -> Pod:
    resources = ResourceRequirements(requests={"cpu": cpu} if cpu else {})
    ports = [ContainerPort(containerPort=80, hostPort=port) for port in spec.pop("host_ports", ())]
    container = Container(name="c", image="clusterip.local/echo", resources=resources, ports=ports)
    meta = ObjectMeta(name=name, namespace=namespace, labels=spec.pop("labels", {}))
    return Pod(metadata=meta, spec=PodSpec(containers=[container], **spec))


def named(pods: list[Pod], name: str) -> Pod | None:
    return next((p for p in pods if p.metadata.name == name), None)


def unschedulable(pods: list[Pod], name: str) -> str:
    found = named(pods, name)
    scheduled = condition(found, "PodScheduled") if found is not None else None
    return scheduled.message if scheduled is not None and scheduled.status == "False" else ""


async def where(client: Client, name: str) -> str:
    pods = await eventually(client, Pod, lambda found: (p := named(found, name)) and p.spec.nodeName)
    found = named(pods, name)
    assert found is not None
    return found.spec.nodeName


async def test_pods_wait_for_room_and_get_it(client: Client, nodes: list[HollowNode]) -> None:
    await client.create(pod("a", cpu="1500m"))
    await client.create(pod("b", cpu="1500m"))
    assert {await where(client, "a"), await where(client, "b")} == {"node-1", "node-2"}
    await client.create(pod("c", cpu="1"))
    pods = await eventually(client, Pod, lambda found: unschedulable(found, "c"))
    assert unschedulable(pods, "c") == "0/2 nodes are available: 2 Insufficient cpu."
    events = await eventually(client, Event, lambda found: any(e.reason == "FailedScheduling" for e in found))
    [failed] = [e for e in events if e.reason == "FailedScheduling"]
    assert (failed.type, failed.source.component) == ("Warning", "default-scheduler")
    await client.delete(Pod, "a", "default")
    await where(client, "c")


async def test_constraints(client: Client, nodes: list[HollowNode]) -> None:
    await client.patch(Node, "node-2", "", {"metadata": {"labels": {"disk": "ssd"}}})
    await client.create(pod("selected", nodeSelector={"disk": "ssd"}))
    assert await where(client, "selected") == "node-2"

    await client.create(pod("port-1", host_ports=[8080]))
    await client.create(pod("port-2", host_ports=[8080]))
    await client.create(pod("port-3", host_ports=[8080]))
    pods = await eventually(client, Pod, lambda found: sum(1 for p in found if p.spec.nodeName) == 3)
    homeless = next(p.metadata.name for p in pods if not p.spec.nodeName)
    pods = await eventually(client, Pod, lambda found: unschedulable(found, homeless))
    assert "2 node(s) didn't have free ports for the requested pod ports" in unschedulable(pods, homeless)

    term = PodAffinityTerm(
        labelSelector=LabelSelector(matchLabels={"app": "lonely"}), topologyKey="kubernetes.io/hostname"
    )
    for name in ("node-1", "node-2"):
        await client.patch(Node, name, "", {"metadata": {"labels": {"kubernetes.io/hostname": name}}})
    apart = Affinity(podAntiAffinity=PodAntiAffinity(requiredDuringSchedulingIgnoredDuringExecution=[term]))
    for name in ("lonely-1", "lonely-2"):
        await client.create(pod(name, labels={"app": "lonely"}, affinity=apart))
    assert {await where(client, "lonely-1"), await where(client, "lonely-2")} == {"node-1", "node-2"}


async def test_cordoned_and_tainted_nodes_get_nothing(
    client: Client, nodes: list[HollowNode], apiserver: RunningApiServer, tmp_path: Path
) -> None:
    kubectl = Kubectl(apiserver.kubeconfig, tmp_path)
    await asyncio.to_thread(kubectl, "cordon", "node-1")
    await asyncio.to_thread(kubectl, "taint", "nodes", "node-2", "key=value:NoSchedule")
    await client.create(pod("a"))
    pods = await eventually(client, Pod, lambda found: unschedulable(found, "a"))
    assert unschedulable(pods, "a") == (
        "0/2 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable."
    )
    cordon = [("node.kubernetes.io/unschedulable", "NoSchedule")]
    await eventually(client, Node, lambda found: [(t.key, t.effect) for t in found[0].spec.taints] == cordon)
    await asyncio.to_thread(kubectl, "uncordon", "node-1")
    assert await where(client, "a") == "node-1"


async def test_nodes_get_pod_networks_in_order_and_give_them_back(client: Client) -> None:
    for i in (1, 2, 3):
        await client.create(Node(metadata=ObjectMeta(name=f"n{i}")))

    def cidrs(found: list[Node]) -> dict[str, str]:
        return {n.metadata.name: n.spec.podCIDR for n in found}

    found = await eventually(client, Node, lambda found: all(cidrs(found).values()))
    assert cidrs(found) == {"n1": "10.244.0.0/24", "n2": "10.244.1.0/24", "n3": "10.244.2.0/24"}
    assert found[0].spec.podCIDRs == [found[0].spec.podCIDR]
    await client.delete(Node, "n2")
    await client.create(Node(metadata=ObjectMeta(name="n4")))
    found = await eventually(client, Node, lambda found: cidrs(found).get("n4"))
    assert cidrs(found)["n4"] == "10.244.1.0/24"


async def test_a_silent_node_is_noticed_and_welcomed_back(client: Client, nodes: list[HollowNode]) -> None:
    await client.create(pod("a", nodeName="node-1"))
    await eventually(client, Pod, lambda found: (p := named(found, "a")) and is_ready(p))
    silent, alive = nodes
    await silent.stop()

    async def renew() -> None:
        while True:
            await alive.renew_lease()
            await asyncio.sleep(0.5)

    renewing = asyncio.create_task(renew())

    def ready(found: list[Node], name: str) -> str:
        node = next(n for n in found if n.metadata.name == name)
        return next(c.status for c in node.status.conditions if c.type == "Ready")

    found = await eventually(client, Node, lambda found: ready(found, "node-1") == "Unknown")
    assert ready(found, "node-2") == "True"
    await eventually(client, Node, lambda found: len(found[0].spec.taints) == 2)
    tainted = await client.get(Node, "node-1")
    assert {(t.key, t.effect) for t in tainted.spec.taints} == {
        ("node.kubernetes.io/unreachable", "NoSchedule"),
        ("node.kubernetes.io/unreachable", "NoExecute"),
    }
    pods = await eventually(client, Pod, lambda found: not is_ready(found[0]))
    assert pods[0].metadata.deletionTimestamp is None, "tolerated for five minutes"
    await silent.renew_lease()
    await silent.post_status()
    found = await eventually(client, Node, lambda found: not found[0].spec.taints)
    assert ready(found, "node-1") == "True"
    renewing.cancel()


async def test_no_execute_taints_evict(client: Client, nodes: list[HollowNode]) -> None:
    await client.create(pod("a"))
    node = await where(client, "a")
    body = {"spec": {"taints": [Taint(key="out", value="yes", effect="NoExecute")]}}
    await client.patch(Node, node, "", body)
    await eventually(client, Pod, lambda found: not found)


async def test_every_namespace_has_an_account_and_the_ca(client: Client, apiserver: RunningApiServer) -> None:
    await client.create(Namespace(metadata=ObjectMeta(name="shop")))
    await eventually(client, ServiceAccount, lambda found: len(found) == 1, "shop")
    [published] = await eventually(client, ConfigMap, lambda found: len(found) == 1, "shop")
    assert published.metadata.name == "kube-root-ca.crt"
    assert published.data["ca.crt"].strip() == apiserver.ca_file.read_text().strip()
    await client.patch(ConfigMap, "kube-root-ca.crt", "shop", {"data": {"ca.crt": "forged", "x": "y"}})
    await eventually(client, ConfigMap, lambda found: found[0].data == published.data, "shop")


async def test_deleting_a_namespace_empties_it(
    client: Client, nodes: list[HollowNode], apiserver: RunningApiServer, tmp_path: Path
) -> None:
    await client.create(Namespace(metadata=ObjectMeta(name="shop")))
    await eventually(client, ServiceAccount, lambda found: len(found) == 1, "shop")
    await client.create(pod("a", "shop"))
    held = ConfigMap(metadata=ObjectMeta(name="held", namespace="shop", finalizers=["example.com/hold"]))
    await client.create(held)
    await where(client, "a")
    kubectl = Kubectl(apiserver.kubeconfig, tmp_path)
    await asyncio.to_thread(kubectl, "delete", "namespace", "shop", "--wait=false")

    def told(found: list[Namespace]) -> str:
        conditions = [c for n in found if n.metadata.name == "shop" for c in n.status.conditions]
        return "".join(c.message for c in conditions if c.reason == "SomeFinalizersRemain")

    found = await eventually(client, Namespace, told)
    assert "example.com/hold in 1 resource instances" in told(found)
    with pytest.raises(ApiError) as refused:
        await client.create(pod("b", "shop"))
    assert refused.value.is_namespace_terminating
    await client.patch(ConfigMap, "held", "shop", {"metadata": {"finalizers": None}})
    await eventually(client, Namespace, lambda found: "shop" not in {n.metadata.name for n in found})
    assert (await client.list(Pod)).items == []


async def test_objects_of_absent_owners_go(client: Client) -> None:
    owner = await client.create(ConfigMap(metadata=ObjectMeta(name="owner", namespace="default")))
    uid = owner.metadata.uid
    alive = OwnerReference(apiVersion="v1", kind="ConfigMap", name="owner", uid=uid)
    absent = OwnerReference(apiVersion="v1", kind="ConfigMap", name="owner", uid="of-another-life")
    owners = {"of-alive": [alive], "of-absent": [absent], "of-both": [alive, absent]}
    for name, references in owners.items():
        meta = ObjectMeta(name=name, namespace="default", ownerReferences=references)
        await client.create(ConfigMap(metadata=meta))

    def by_name(found: list[ConfigMap]) -> dict[str, int]:
        return {c.metadata.name: len(c.metadata.ownerReferences) for c in found if c.metadata.ownerReferences}

    await eventually(client, ConfigMap, lambda found: by_name(found) == {"of-alive": 1, "of-both": 1})
    await client.delete(ConfigMap, "owner", "default")
    await eventually(client, ConfigMap, lambda found: not by_name(found))


async def test_pods_that_never_started_and_were_deleted_are_removed(client: Client) -> None:
    await client.create(pod("a"))
    await client.patch(Pod, "a", "default", {"metadata": {"finalizers": ["example.com/hold"]}})
    await client.delete(Pod, "a", "default")
    await client.patch(Pod, "a", "default", {"metadata": {"finalizers": None}})
    await eventually(client, Pod, lambda found: not found)


async def test_health_and_metrics(apiserver: RunningApiServer, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    controllers = RunningControllers(
        apiserver.kubeconfig, tmp_path / "other.log", f"--healthz-bind-address={address}"
    )

    def get(path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    async def until(path: str, code: int) -> str:
        async with asyncio.timeout(SECONDS):
            while True:
                status, body = await asyncio.to_thread(get, path)
                if status == code:
                    return body
                await asyncio.sleep(0.02)

    controllers.start()
    try:
        assert "[+]informers-synced ok" in await until("/readyz?verbose", 200)
        assert 'workqueue_adds_total{name="scheduler"}' in await until("/metrics", 200)
        apiserver.kill()
        assert "cannot reach the API server" in await until("/readyz", 500)
        assert await until("/livez", 200) == "ok", "a restart would not help"
        await asyncio.to_thread(apiserver.start)
        await until("/readyz", 200)
    finally:
        assert controllers.stop() == 0
