"""StatefulSets, by kubectl and the real controllers: numbers, order, partitions, history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from clusterip.client.rest import Client
from clusterip.objects.apps.statefulset import StatefulSet
from clusterip.objects.core.pod import Pod
from tests.support.controllers import HollowNode, eventually, run
from tests.support.kubectl import Kubectl

WEB = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1"}]}
"""


PARTITION = '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":%d}}}}'


def ready(pod: Pod) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)


def images(pods: list[Pod]) -> dict[str, str]:
    return {pod.metadata.name: pod.spec.containers[0].image for pod in pods}


def all_ready(count: int) -> Callable[[list[Pod]], bool]:
    return lambda pods: len(pods) == count and all(ready(pod) for pod in pods)


async def deploy(client: Client, kubectl: Kubectl, manifest: str = WEB) -> list[Pod]:
    await run(kubectl, "apply", "-f", "-", stdin=manifest)
    return await eventually(client, Pod, all_ready(3))


async def test_names_order_and_identity(client: Client, kubectl: Kubectl, nodes: list[HollowNode]) -> None:
    for node in nodes:
        node.ready_seconds = 0.2
    out_of_order: list[str] = []

    def watch(pods: list[Pod]) -> bool:
        known = {pod.metadata.name: pod for pod in pods}
        for number in (1, 2):
            below = known.get(f"web-{number - 1}")
            if f"web-{number}" in known and (below is None or not ready(below)):
                out_of_order.append(f"web-{number}")
        return all_ready(3)(pods)

    await run(kubectl, "apply", "-f", "-", stdin=WEB)
    pods = await eventually(client, Pod, watch)
    assert not out_of_order
    for number, pod in enumerate(sorted(pods, key=lambda p: p.metadata.name)):
        assert pod.metadata.name == f"web-{number}"
        assert (pod.spec.hostname, pod.spec.subdomain) == (f"web-{number}", "web")
        assert pod.metadata.labels["statefulset.kubernetes.io/pod-name"] == f"web-{number}"
        assert pod.metadata.labels["apps.kubernetes.io/pod-index"] == str(number)
    [found] = await eventually(client, StatefulSet, lambda found: found[0].status.availableReplicas == 3)
    status = found.status
    assert (status.replicas, status.readyReplicas, status.currentReplicas) == (3, 3, 3)
    assert status.currentRevision == status.updateRevision
    assert status.updateRevision == pods[0].metadata.labels["controller-revision-hash"]


async def test_scales_down_from_the_highest_number(client: Client, kubectl: Kubectl) -> None:
    await deploy(client, kubectl)
    left: list[list[str]] = []
    listed = asyncio.Event()

    def gone(pods: list[Pod]) -> bool:
        listed.set()
        names = sorted(pod.metadata.name for pod in pods)
        if not left or left[-1] != names:
            left.append(names)
        return names == ["web-0"]

    watching = asyncio.create_task(eventually(client, Pod, gone))
    await listed.wait()
    await run(kubectl, "scale", "sts/web", "--replicas=1")
    await watching
    assert left[-2:] == [["web-0", "web-1"], ["web-0"]]
    await run(kubectl, "scale", "sts/web", "--replicas=2")
    await eventually(client, Pod, all_ready(2))


async def test_a_lost_pod_comes_back_by_its_name(client: Client, kubectl: Kubectl) -> None:
    pods = await deploy(client, kubectl)
    [victim] = [pod.metadata for pod in pods if pod.metadata.name == "web-1"]
    await run(kubectl, "delete", "pod", "web-1")
    pods = await eventually(
        client,
        Pod,
        lambda found: all_ready(3)(found) and victim.uid not in {pod.metadata.uid for pod in found},
    )
    assert sorted(pod.metadata.name for pod in pods) == ["web-0", "web-1", "web-2"]
    body = {"status": {"phase": "Failed"}}
    failed = await client.patch(Pod, "web-2", "default", body, subresource="status")
    await eventually(
        client,
        Pod,
        lambda found: all_ready(3)(found) and failed.metadata.uid not in {p.metadata.uid for p in found},
    )


async def test_rolling_update_partition_and_undo(client: Client, kubectl: Kubectl) -> None:
    await deploy(client, kubectl)
    await run(
        kubectl, "patch", "sts/web", "-p", '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":2}}}}'
    )
    await run(kubectl, "set", "image", "sts/web", "web=web:2")
    wanted = {"web-0": "web:1", "web-1": "web:1", "web-2": "web:2"}
    await eventually(client, Pod, lambda found: images(found) == wanted and all_ready(3)(found))
    [found] = await eventually(client, StatefulSet, lambda found: found[0].status.updatedReplicas == 1)
    assert found.status.currentReplicas == 2
    assert found.status.currentRevision != found.status.updateRevision
    # Below the partition even a new Pod is of the old template.
    old = await client.get(Pod, "web-0", "default")
    await run(kubectl, "delete", "pod", "web-0")
    await eventually(
        client,
        Pod,
        lambda found: (
            images(found) == wanted
            and all_ready(3)(found)
            and old.metadata.uid not in {pod.metadata.uid for pod in found}
        ),
    )
    await run(
        kubectl, "patch", "sts/web", "-p", '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}'
    )
    told = await run(kubectl, "rollout", "status", "sts/web", "--timeout=20s")
    assert "rolling update complete 3 pods" in told or "partitioned roll out complete: 3 new pods" in told
    await run(kubectl, "rollout", "undo", "sts/web")
    await eventually(
        client, Pod, lambda found: set(images(found).values()) == {"web:1"} and all_ready(3)(found)
    )
    history = await run(kubectl, "rollout", "history", "sts/web")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["2", "3"]


async def test_parallel_and_first_number(client: Client, kubectl: Kubectl, nodes: list[HollowNode]) -> None:
    for node in nodes:
        node.ready_seconds = 0.3
    together = 0

    def watch(pods: list[Pod]) -> bool:
        nonlocal together
        together = max(together, sum(not ready(pod) for pod in pods))
        return all_ready(3)(pods)

    manifest = WEB.replace(
        "replicas: 3", "replicas: 3\n  podManagementPolicy: Parallel\n  ordinals: {start: 5}"
    )
    await run(kubectl, "apply", "-f", "-", stdin=manifest)
    pods = await eventually(client, Pod, watch)
    assert sorted(pod.metadata.name for pod in pods) == ["web-5", "web-6", "web-7"]
    assert together >= 2, "none waits for another"
