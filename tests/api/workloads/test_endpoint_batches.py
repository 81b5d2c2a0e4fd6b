"""Each slice of a large Service is written at most once for what its Pods tell at about the same time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import convert

from clusterip.client.rest import Client
from clusterip.objects.core.node import Node
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.service import Service
from clusterip.objects.meta import ObjectMeta
from tests.support.apiserver import RunningApiServer
from tests.support.controllers import RunningControllers
from tests.support.slicewrites import SliceWrites, mark

PODS, BATCH = 250, 100
PERIOD = "2s"
"""Far longer than a batch takes, however busy the machine is."""

SECONDS = 30.0
SERVICE = {
    "metadata": {"name": "many", "namespace": "default"},
    "spec": {"selector": {"app": "many"}, "ports": [{"port": 80, "targetPort": 8080}]},
}


@pytest.fixture
def controllers(apiserver: RunningApiServer, tmp_path: Path) -> Iterator[RunningControllers]:
    controllers = RunningControllers(
        apiserver.kubeconfig,
        tmp_path / "controllers.log",
        "--controllers=endpointslice-controller,endpoints-controller",
        f"--endpointslice-updates-batch-period={PERIOD}",
        f"--endpoint-updates-batch-period={PERIOD}",
    )
    controllers.start()
    yield controllers
    assert controllers.stop() == 0


@pytest.mark.usefixtures("controllers")
async def test_slices_are_written_once_for_each_batch(client: Client) -> None:
    await client.create(Node(metadata=ObjectMeta(name="node-1")))
    pods = [await client.create(pod(number)) for number in range(PODS)]
    writes = SliceWrites(client, "default", "many")
    following = asyncio.create_task(writes.run())
    try:
        await client.create(convert(SERVICE, Service))
        # The first slice, which is empty, tells that the Service has been looked at.
        await writes.until(lambda: len(writes.slices) == 1, SECONDS)
        writes.taken()
        ready: set[str] = set()
        turns = [(pods[:BATCH], True), (pods[BATCH:], True), (random.sample(pods, BATCH), False)]
        for number, (batch, now) in enumerate(turns):
            names = {each.metadata.name for each in batch}
            ready = ready | names if now else ready - names
            await mark(client, batch, address, ready=now)
            await writes.until(lambda: writes.ready() == ready, SECONDS)  # noqa: B023 - waited for here
            counts = writes.taken()
            assert max(counts.values()) == 1, f"batch {number}: {counts}"
        assert sum(len(each.endpoints) for each in writes.slices.values()) == PODS
    finally:
        following.cancel()


def pod(number: int) -> Pod:
    manifest = {
        "metadata": {"name": f"pod-{number}", "namespace": "default", "labels": {"app": "many"}},
        "spec": {"nodeName": "node-1", "containers": [{"name": "c", "image": "clusterip.local/echo"}]},
    }
    return convert(manifest, Pod)


def address(of: Pod) -> str:
    number = int(of.metadata.name.removeprefix("pod-"))
    return f"10.244.{number // 250}.{number % 250 + 2}"
