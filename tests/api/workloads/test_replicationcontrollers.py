"""ReplicationControllers, by kubectl and the real controllers."""

from __future__ import annotations

from clusterip.client.rest import Client
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.replicationcontroller import ReplicationController
from tests.support.controllers import eventually, run
from tests.support.kubectl import Kubectl

OLD = """
apiVersion: v1
kind: ReplicationController
metadata: {name: old}
spec:
  replicas: 3
  template:
    metadata: {labels: {app: old}}
    spec: {containers: [{name: web, image: clusterip.local/echo}]}
"""


async def test_as_many_pods_as_wanted(client: Client, kubectl: Kubectl) -> None:
    await run(kubectl, "apply", "-f", "-", stdin=OLD)
    [found] = await eventually(
        client, ReplicationController, lambda found: found and found[0].status.availableReplicas == 3
    )
    assert (found.status.replicas, found.status.fullyLabeledReplicas, found.status.readyReplicas) == (3, 3, 3)
    pods = (await client.list(Pod, "default")).items
    assert {pod.metadata.generateName for pod in pods} == {"old-"}
    assert {pod.metadata.ownerReferences[0].kind for pod in pods} == {"ReplicationController"}
    await run(kubectl, "scale", "rc/old", "--replicas=1")
    await eventually(client, Pod, lambda found: len(found) == 1)
    await eventually(client, ReplicationController, lambda found: found[0].status.replicas == 1)


async def test_adopts_lets_go_and_orphans(client: Client, kubectl: Kubectl) -> None:
    await run(kubectl, "run", "lone", "--image=clusterip.local/echo", "--labels=app=old")
    lone = await client.get(Pod, "lone", "default")
    await run(kubectl, "apply", "-f", "-", stdin=OLD)
    pods = await eventually(client, Pod, lambda found: len(found) == 3)
    [adopted] = [pod for pod in pods if pod.metadata.uid == lone.metadata.uid]
    assert adopted.metadata.ownerReferences[0].name == "old"
    await run(kubectl, "label", "pod/lone", "app=free", "--overwrite")
    pods = await eventually(client, Pod, lambda found: len(found) == 4)
    await run(kubectl, "delete", "rc/old", "--cascade=orphan")
    pods = await eventually(client, Pod, lambda found: not any(p.metadata.ownerReferences for p in found))
    assert len(pods) == 4
