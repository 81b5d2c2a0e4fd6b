"""Deployments, ReplicaSets and the endpoints behind Services, with the real API server and kubectl."""

from __future__ import annotations

import asyncio

from clusterip.client.informer import Informer
from clusterip.client.rest import Client
from clusterip.objects.apps.deployment import Deployment
from clusterip.objects.apps.replicaset import ReplicaSet
from clusterip.objects.core.endpoints import Endpoints
from clusterip.objects.core.event import Event
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.service import Service
from clusterip.objects.discovery.endpointslice import ENDPOINTSLICES, EndpointSlice
from tests.support.apiserver import RunningApiServer
from tests.support.controllers import RunningControllers, eventually, run
from tests.support.kubectl import Kubectl

APP = """
apiVersion: v1
kind: Service
metadata: {name: my-service}
spec: {selector: {app: my-app}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: my-app}
spec:
  replicas: 3
  selector: {matchLabels: {app: my-app}}
  template:
    metadata: {labels: {app: my-app}}
    spec:
      containers: [{name: web, image: clusterip.local/echo, ports: [{name: http, containerPort: 8080}]}]
"""


def ready_addresses(slices: list[EndpointSlice], service: str = "my-service") -> set[str]:
    return {
        address
        for each in slices
        if each.metadata.labels.get("kubernetes.io/service-name") == service
        for endpoint in each.endpoints
        if endpoint.conditions.ready
        for address in endpoint.addresses
    }


async def deploy(kubectl: Kubectl, client: Client) -> list[EndpointSlice]:
    await run(kubectl, "apply", "-f", "-", stdin=APP)
    return await eventually(client, EndpointSlice, lambda found: len(ready_addresses(found)) == 3)


async def test_from_apply_to_endpoints(client: Client, kubectl: Kubectl) -> None:
    slices = await deploy(kubectl, client)
    [found] = [s for s in slices if s.metadata.labels.get("kubernetes.io/service-name") == "my-service"]
    assert found.metadata.name.startswith("my-service-")
    assert (
        found.metadata.labels["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"
    )
    assert found.metadata.ownerReferences[0].kind == "Service"
    assert found.addressType == "IPv4"
    assert [(p.name, p.port, p.protocol) for p in found.ports] == [("", 8080, "TCP")]
    assert {e.nodeName for e in found.endpoints} == {"node-1", "node-2", "node-3"}, "spread over all nodes"
    assert all(e.targetRef and e.targetRef.uid for e in found.endpoints)
    assert "endpoints.kubernetes.io/last-change-trigger-time" in found.metadata.annotations

    def all_ready(objects: list[Endpoints]) -> bool:
        return any(
            e.metadata.name == "my-service" and e.subsets and len(e.subsets[0].addresses) == 3
            for e in objects
        )

    await eventually(client, Endpoints, all_ready)
    printed = await run(kubectl, "rollout", "status", "deployment/my-app", "--timeout=15s")
    assert 'deployment "my-app" successfully rolled out' in printed
    shown = await run(kubectl, "get", "deployment", "my-app", "--no-headers")
    assert shown.split()[:4] == ["my-app", "3/3", "3", "3"]


async def test_scaling_up_and_down(client: Client, kubectl: Kubectl) -> None:
    await deploy(kubectl, client)
    await run(kubectl, "scale", "deployment/my-app", "--replicas=7")
    await eventually(client, EndpointSlice, lambda found: len(ready_addresses(found)) == 7)
    await run(kubectl, "scale", "deployment/my-app", "--replicas=1")
    await eventually(client, EndpointSlice, lambda found: len(ready_addresses(found)) == 1)
    await eventually(client, Pod, lambda found: len(found) == 1)
    [replica_set] = (await client.list(ReplicaSet)).items
    events = await eventually(client, Event, lambda found: any("from 7 to 1" in e.message for e in found))
    messages = {e.message for e in events if e.reason == "ScalingReplicaSet"}
    name = replica_set.metadata.name
    assert f"Scaled up replica set {name} from 3 to 7" in messages
    assert f"Scaled down replica set {name} from 7 to 1" in messages


async def test_rolling_restart_never_has_too_few_endpoints(client: Client, kubectl: Kubectl) -> None:
    await deploy(kubectl, client)
    informer: Informer[EndpointSlice] = Informer(client, ENDPOINTSLICES)
    fewest = 3

    def count() -> None:
        nonlocal fewest
        fewest = min(fewest, len(ready_addresses(list(informer.objects.values()))))

    task = asyncio.create_task(informer.run())
    await informer.synced.wait()
    informer.on_batch(count)
    before = {pod.metadata.uid for pod in (await client.list(Pod, "default")).items}
    await run(kubectl, "rollout", "restart", "deployment/my-app")
    await run(kubectl, "rollout", "status", "deployment/my-app", "--timeout=20s")
    pods = await eventually(client, Pod, lambda found: len(found) == 3)
    await eventually(client, EndpointSlice, lambda found: len(ready_addresses(found)) == 3)
    task.cancel()
    assert not before & {pod.metadata.uid for pod in pods}
    assert fewest >= 3, "a rolling update of three may lose none (25 % of 3, rounded down)"


async def test_rollback_pause_and_history(client: Client, kubectl: Kubectl) -> None:
    await deploy(kubectl, client)
    await run(kubectl, "set", "image", "deployment/my-app", "web=clusterip.local/echo:2")
    await run(kubectl, "rollout", "status", "deployment/my-app", "--timeout=20s")
    history = await run(kubectl, "rollout", "history", "deployment/my-app")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2"]
    await run(kubectl, "rollout", "undo", "deployment/my-app")
    await run(kubectl, "rollout", "status", "deployment/my-app", "--timeout=20s")
    pods = await eventually(client, Pod, lambda found: len(found) == 3)
    assert {pod.spec.containers[0].image for pod in pods} == {"clusterip.local/echo"}
    deployment = await client.get(Deployment, "my-app", "default")
    assert deployment.metadata.annotations["deployment.kubernetes.io/revision"] == "3"

    await run(kubectl, "rollout", "pause", "deployment/my-app")
    await run(kubectl, "set", "image", "deployment/my-app", "web=clusterip.local/echo:4")
    await run(kubectl, "scale", "deployment/my-app", "--replicas=4")
    pods = await eventually(client, Pod, lambda found: len(found) == 4)
    assert {pod.spec.containers[0].image for pod in pods} == {"clusterip.local/echo"}, "paused"
    await run(kubectl, "rollout", "resume", "deployment/my-app")
    await run(kubectl, "rollout", "status", "deployment/my-app", "--timeout=20s")
    pods = await eventually(client, Pod, lambda found: len(found) == 4)
    assert {pod.spec.containers[0].image for pod in pods} == {"clusterip.local/echo:4"}


async def test_recreate_has_no_two_versions_at_once(client: Client, kubectl: Kubectl) -> None:
    manifest = APP.replace("replicas: 3", "replicas: 3\n  strategy: {type: Recreate}")
    await run(kubectl, "apply", "-f", "-", stdin=manifest)
    await eventually(client, EndpointSlice, lambda found: len(ready_addresses(found)) == 3)
    mixed = False

    def replaced(pods: list[Pod]) -> bool:
        nonlocal mixed
        images = {pod.spec.containers[0].image for pod in pods}
        mixed = mixed or len(images) > 1
        return images == {"clusterip.local/echo:2"} and len(pods) == 3

    watching = asyncio.create_task(eventually(client, Pod, replaced))
    await run(kubectl, "set", "image", "deployment/my-app", "web=clusterip.local/echo:2")
    await watching
    assert not mixed


async def test_a_deleted_pod_is_replaced(client: Client, kubectl: Kubectl) -> None:
    await deploy(kubectl, client)
    victim = (await client.list(Pod, "default")).items[0].metadata
    await run(kubectl, "delete", "pod", victim.name)
    pods = await eventually(
        client, Pod, lambda found: len(found) == 3 and victim.uid not in {p.metadata.uid for p in found}
    )
    assert len(pods) == 3


async def test_a_pod_that_loses_its_labels_is_let_go_and_replaced(client: Client, kubectl: Kubectl) -> None:
    await deploy(kubectl, client)
    stray = (await client.list(Pod, "default")).items[0].metadata
    await run(kubectl, "label", "pod", stray.name, "app=debug", "--overwrite")
    pods = await eventually(client, Pod, lambda found: len(found) == 4)
    [freed] = [pod for pod in pods if pod.metadata.uid == stray.uid]
    assert freed.metadata.ownerReferences == []
    await eventually(
        client, EndpointSlice, lambda found: len(ready_addresses(found) - {freed.status.podIP}) == 3
    )
    await run(kubectl, "label", "pod", stray.name, "app=my-app", "--overwrite")
    await eventually(client, Pod, lambda found: len(found) == 3)


async def test_deletion_policies(client: Client, kubectl: Kubectl) -> None:
    await deploy(kubectl, client)
    await run(kubectl, "delete", "deployment", "my-app", "--cascade=orphan")
    [replica_set] = await eventually(
        client, ReplicaSet, lambda found: found and not any(rs.metadata.ownerReferences for rs in found)
    )
    assert len((await client.list(Pod, "default")).items) == 3
    await run(kubectl, "apply", "-f", "-", stdin=APP)
    [adopted] = await eventually(client, ReplicaSet, lambda found: found[0].metadata.ownerReferences)
    assert adopted.metadata.uid == replica_set.metadata.uid, "the new Deployment takes the old one's Pods"
    await run(kubectl, "delete", "deployment", "my-app", "--cascade=foreground", "--timeout=15s")
    assert (await client.list(ReplicaSet, "default")).items == [], "gone before the Deployment was"
    await eventually(client, Pod, lambda found: not found)


async def test_background_deletion_of_service_and_deployment(client: Client, kubectl: Kubectl) -> None:
    await deploy(kubectl, client)
    await run(kubectl, "delete", "deployment/my-app", "service/my-service")
    await eventually(client, Pod, lambda found: not found)
    await eventually(client, ReplicaSet, lambda found: not found)
    await eventually(
        client,
        EndpointSlice,
        lambda found: (
            not any(
                "kubernetes.io/service-name" in s.metadata.labels and s.metadata.name.startswith("my-service")
                for s in found
            )
        ),
    )
    await eventually(client, Endpoints, lambda found: "my-service" not in {e.metadata.name for e in found})


async def test_selector_and_port_changes_reach_the_endpoints(client: Client, kubectl: Kubectl) -> None:
    await deploy(kubectl, client)
    service = await client.get(Service, "my-service", "default")
    service.spec.ports[0].targetPort = 9999
    await client.update(service)

    def on_port(slices: list[EndpointSlice]) -> bool:
        ours = [s for s in slices if s.metadata.labels.get("kubernetes.io/service-name") == "my-service"]
        return [[p.port for p in s.ports] for s in ours] == [[9999]] and len(ready_addresses(ours)) == 3

    await eventually(client, EndpointSlice, on_port)
    service = await client.get(Service, "my-service", "default")
    service.spec.selector = {"app": "nobody"}
    await client.update(service)
    await eventually(client, EndpointSlice, lambda found: not ready_addresses(found))


async def test_what_others_do_to_slices_is_put_right(client: Client, kubectl: Kubectl) -> None:
    slices = await deploy(kubectl, client)
    wanted = ready_addresses(slices)
    for each in slices:
        if each.metadata.labels.get("kubernetes.io/service-name") == "my-service":
            await client.delete(EndpointSlice, each.metadata.name, "default")
    await eventually(client, EndpointSlice, lambda found: ready_addresses(found) == wanted)


async def test_kill_9_loses_and_doubles_nothing(
    client: Client, kubectl: Kubectl, controllers: RunningControllers, apiserver: RunningApiServer
) -> None:
    await run(kubectl, "apply", "-f", "-", stdin=APP.replace("replicas: 3", "replicas: 12"))
    await eventually(client, Pod, lambda found: len(found) >= 4)
    controllers.kill()
    await run(kubectl, "scale", "deployment/my-app", "--replicas=15")
    controllers.start()
    await eventually(client, EndpointSlice, lambda found: len(ready_addresses(found)) == 15)
    assert len((await client.list(Pod, "default")).items) == 15

    apiserver.kill()
    await asyncio.to_thread(apiserver.start)
    await run(kubectl, "scale", "deployment/my-app", "--replicas=16")
    await eventually(client, EndpointSlice, lambda found: len(ready_addresses(found)) == 16)
    assert len((await client.list(Pod, "default")).items) == 16
