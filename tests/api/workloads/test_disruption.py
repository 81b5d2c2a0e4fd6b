"""PodDisruptionBudgets: what the controller counts, and what evictions may then do."""

from __future__ import annotations

from clusterip.client.rest import Client
from clusterip.objects.core.node import Node
from clusterip.objects.core.pod import Pod
from clusterip.objects.policy.poddisruptionbudget import PodDisruptionBudget
from tests.support.controllers import eventually, run
from tests.support.kubectl import Kubectl

APP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 4
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec: {containers: [{name: app, image: app}]}
"""


async def budget(client: Client, allowed: int) -> PodDisruptionBudget:
    [found] = await eventually(
        client, PodDisruptionBudget, lambda found: found and found[0].status.disruptionsAllowed == allowed
    )
    return found


async def test_shares_are_of_the_pods_that_should_be(client: Client, kubectl: Kubectl) -> None:
    await run(kubectl, "apply", "-f", "-", stdin=APP)
    await run(kubectl, "create", "pdb", "app", "--selector=app=app", "--max-unavailable=25%")
    found = await budget(client, 1)
    status = found.status
    assert (status.expectedPods, status.currentHealthy, status.desiredHealthy) == (4, 4, 3)
    [condition] = status.conditions
    assert (condition.type, condition.status, condition.reason) == (
        "DisruptionAllowed",
        "True",
        "SufficientPods",
    )
    await run(kubectl, "delete", "pdb", "app")
    await run(kubectl, "create", "pdb", "app", "--selector=app=app", "--min-available=4")
    found = await budget(client, 0)
    await eventually(client, PodDisruptionBudget, lambda found: found[0].status.currentHealthy == 4)


async def test_drain_keeps_the_budget(client: Client, kubectl: Kubectl) -> None:
    await run(kubectl, "apply", "-f", "-", stdin=APP)
    await run(kubectl, "create", "pdb", "app", "--selector=app=app", "--min-available=3")
    await budget(client, 1)
    fewest = 4

    def drained(pods: list[Pod]) -> bool:
        nonlocal fewest
        fewest = min(fewest, sum(pod.metadata.deletionTimestamp is None for pod in pods))
        return len(pods) == 4 and not {"node-1", "node-2"} & {pod.spec.nodeName for pod in pods}

    await run(kubectl, "drain", "node-1", "node-2", "--timeout=20s")
    await eventually(client, Pod, drained)
    assert fewest >= 3
    assert all([(await client.get(Node, name)).spec.unschedulable for name in ("node-1", "node-2")])
    found = await budget(client, 1)
    assert found.status.disruptedPods == {}


async def test_without_a_known_controller_nothing_may_go(client: Client, kubectl: Kubectl) -> None:
    manifest = APP.replace("Deployment", "DaemonSet").replace("  replicas: 4\n", "")
    await run(kubectl, "apply", "-f", "-", stdin=manifest)
    await eventually(client, Pod, lambda found: len(found) == 3)
    await run(kubectl, "create", "pdb", "app", "--selector=app=app", "--max-unavailable=1")
    [found] = await eventually(
        client, PodDisruptionBudget, lambda found: found and found[0].status.conditions
    )
    [condition] = found.status.conditions
    assert (condition.status, condition.reason) == ("False", "SyncFailed")
    assert "found no controllers for pod" in condition.message
