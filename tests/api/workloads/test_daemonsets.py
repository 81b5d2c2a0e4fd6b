"""DaemonSets, by kubectl and the real controllers, on nodes that come, go and refuse."""

from __future__ import annotations

from clusterip.client.rest import Client
from clusterip.objects.apps.controllerrevision import ControllerRevision
from clusterip.objects.apps.daemonset import DaemonSet
from clusterip.objects.core.event import Event
from clusterip.objects.core.pod import Pod
from tests.support.controllers import HollowNode, eventually, run
from tests.support.kubectl import Kubectl

AGENT = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: agent, image: "agent:1"}]}
"""


ON_DELETE = """
  updateStrategy: {type: OnDelete}
  revisionHistoryLimit: 1
  template:"""


def nodes_of(pods: list[Pod]) -> list[str]:
    return sorted(pod.spec.nodeName for pod in pods)


async def deploy(client: Client, kubectl: Kubectl, manifest: str = AGENT) -> list[Pod]:
    await run(kubectl, "apply", "-f", "-", stdin=manifest)
    await eventually(client, DaemonSet, lambda found: found and found[0].status.numberAvailable == 3)
    return (await client.list(Pod, "default")).items


async def test_one_pod_on_every_node(client: Client, kubectl: Kubectl, nodes: list[HollowNode]) -> None:
    pods = await deploy(client, kubectl)
    assert nodes_of(pods) == ["node-1", "node-2", "node-3"]
    shown = await run(kubectl, "get", "ds/agent", "--no-headers")
    assert shown.split()[:6] == ["agent", "3", "3", "3", "3", "3"]

    fourth = HollowNode(client, "node-4")
    await fourth.start()
    try:
        pods = await eventually(client, Pod, lambda found: len(found) == 4)
        await eventually(client, Pod, lambda found: "node-4" in nodes_of(found))
        victim = pods[0].metadata
        await run(kubectl, "delete", "pod", victim.name)
        await eventually(
            client,
            Pod,
            lambda found: (
                nodes_of(found) == ["node-1", "node-2", "node-3", "node-4"]
                and victim.uid not in {pod.metadata.uid for pod in found}
            ),
        )
    finally:
        await fourth.stop()


async def test_selectors_taints_and_cordons_decide(client: Client, kubectl: Kubectl) -> None:
    await deploy(client, kubectl)
    await run(kubectl, "cordon", "node-1")
    await run(kubectl, "taint", "node", "node-2", "mine=yes:NoSchedule")
    await run(kubectl, "taint", "node", "node-3", "mine=yes:NoExecute")
    await eventually(client, Pod, lambda found: nodes_of(found) == ["node-1", "node-2"])
    await run(kubectl, "delete", "pod", "-l", "app=agent", "--wait=false")
    # Daemons tolerate a cordon; a taint that keeps Pods off leaves alone only those that are there.
    await eventually(client, Pod, lambda found: nodes_of(found) == ["node-1"])
    await run(kubectl, "label", "node", "node-2", "disk=fast")
    await run(kubectl, "taint", "node", "node-2", "mine-")
    await eventually(client, Pod, lambda found: nodes_of(found) == ["node-1", "node-2"])
    patch = '{"spec":{"template":{"spec":{"nodeSelector":{"disk":"fast"}}}}}'
    await run(kubectl, "patch", "ds/agent", "-p", patch)
    await eventually(client, Pod, lambda found: nodes_of(found) == ["node-2"])
    await eventually(client, DaemonSet, lambda found: found[0].status.desiredNumberScheduled == 1)


async def test_rolling_update_history_and_undo(client: Client, kubectl: Kubectl) -> None:
    await deploy(client, kubectl)
    fewest = 3

    def replaced(pods: list[Pod]) -> bool:
        nonlocal fewest
        fewest = min(fewest, sum(pod.metadata.deletionTimestamp is None for pod in pods))
        return [pod.spec.containers[0].image for pod in pods] == ["agent:2"] * 3

    await run(kubectl, "set", "image", "ds/agent", "agent=agent:2")
    await eventually(client, Pod, replaced)
    assert fewest == 2, "one node after the other"
    told = await run(kubectl, "rollout", "status", "ds/agent", "--timeout=15s")
    assert 'daemon set "agent" successfully rolled out' in told
    history = await run(kubectl, "rollout", "history", "ds/agent")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2"]
    await run(kubectl, "rollout", "undo", "ds/agent")
    await run(kubectl, "rollout", "status", "ds/agent", "--timeout=15s")
    pods = await eventually(client, Pod, lambda found: len(found) == 3)
    assert {pod.spec.containers[0].image for pod in pods} == {"agent:1"}
    revisions = (await client.list(ControllerRevision, "default")).items
    assert sorted(each.revision for each in revisions) == [2, 3], "the first revision became the third"


async def test_surge_starts_the_new_pod_before_the_old_one_goes(client: Client, kubectl: Kubectl) -> None:
    strategy = "updateStrategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}"
    await deploy(client, kubectl, AGENT.replace("  template:", f"  {strategy}\n  template:"))
    fewest, most = 3, 3

    def replaced(pods: list[Pod]) -> bool:
        nonlocal fewest, most
        living = [pod for pod in pods if pod.metadata.deletionTimestamp is None]
        ready = sum(c.type == "Ready" and c.status == "True" for p in living for c in p.status.conditions)
        fewest, most = min(fewest, ready), max(most, len(living))
        return [pod.spec.containers[0].image for pod in pods] == ["agent:2"] * 3

    await run(kubectl, "set", "image", "ds/agent", "agent=agent:2")
    await eventually(client, Pod, replaced)
    assert (fewest, most) == (3, 4)


async def test_on_delete_waits_and_history_is_bounded(client: Client, kubectl: Kubectl) -> None:
    await deploy(
        client,
        kubectl,
        AGENT.replace("  template:", ON_DELETE),
    )
    for version in (2, 3, 4):
        await run(kubectl, "set", "image", "ds/agent", f"agent=agent:{version}")
        await eventually(
            client,
            DaemonSet,
            lambda found: (
                found[0].status.observedGeneration == found[0].metadata.generation
                and found[0].status.updatedNumberScheduled == 0
            ),
        )
    pods = (await client.list(Pod, "default")).items
    assert {pod.spec.containers[0].image for pod in pods} == {"agent:1"}
    # Those in use (the first and the newest) and one more of the past.
    await eventually(client, ControllerRevision, lambda found: sorted(r.revision for r in found) == [1, 3, 4])
    await run(kubectl, "delete", "pod", pods[0].metadata.name)
    await eventually(
        client,
        Pod,
        lambda found: sorted(p.spec.containers[0].image for p in found) == ["agent:1", "agent:1", "agent:4"],
    )


async def test_a_failed_pod_is_replaced(client: Client, kubectl: Kubectl) -> None:
    [victim, *_] = await deploy(client, kubectl)
    meta = victim.metadata
    body = {"status": {"phase": "Failed", "reason": "Evicted"}}
    await client.patch(Pod, meta.name, meta.namespace, body, subresource="status")
    await eventually(
        client,
        Pod,
        lambda found: (
            nodes_of(found) == ["node-1", "node-2", "node-3"]
            and meta.uid not in {pod.metadata.uid for pod in found}
        ),
    )
    await eventually(client, Event, lambda found: any(e.reason == "FailedDaemonPod" for e in found))
