"""Several controllers, of which one works: real processes on a real API server."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from clusterip.client.errors import ApiError
from clusterip.client.rest import Client
from clusterip.controllers.leaderelection.elector import LeaderElector, LeadershipLost
from clusterip.controllers.leaderelection.settings import LeaderElection
from clusterip.objects.apps.replicaset import ReplicaSet
from clusterip.objects.codec import convert
from clusterip.objects.coordination.lease import Lease
from clusterip.objects.core.event import Event
from clusterip.objects.core.pod import Pod
from clusterip.objects.meta import ObjectMeta
from tests.support.apiserver import RunningApiServer, running_apiserver
from tests.support.controllers import RunningControllers, client_of, eventually

NAME, NAMESPACE = "kube-controller-manager", "kube-system"
FAST = (
    "--leader-elect",
    "--leader-elect-lease-duration=6s",
    "--leader-elect-renew-deadline=4s",
    "--leader-elect-retry-period=300ms",
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningApiServer]:
    with running_apiserver(tmp_path) as running:
        yield running


@pytest.fixture
async def client(server: RunningApiServer) -> AsyncIterator[Client]:
    async with client_of(server.kubeconfig) as connected:
        yield connected


async def _leader(client: Client, *, other_than: str = "") -> Lease:
    def led(leases: list[Lease]) -> bool:
        return any(
            lease.metadata.name == NAME and lease.spec.holderIdentity not in (None, "", other_than)
            for lease in leases
        )

    leases = await eventually(client, Lease, led, NAMESPACE)
    return next(lease for lease in leases if lease.metadata.name == NAME)


def _was_renewed(leases: list[Lease]) -> bool:
    return any(
        lease.metadata.name == NAME and lease.spec.renewTime != lease.spec.acquireTime for lease in leases
    )


def _identity(controllers: RunningControllers) -> str:
    found: list[str] = re.findall(
        r'event="waiting for the leadership".* identity=(\S+)', controllers.log.read_text()
    )
    assert found, controllers.log.read_text()
    return found[-1]


async def _replicas_come_up(client: Client, name: str) -> None:
    """The work is done: Pods are made for a ReplicaSet."""
    labels = {"app": name}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
    }
    meta = ObjectMeta(name=name, namespace="default")
    await client.create(convert({"metadata": meta, "spec": spec}, ReplicaSet))
    await eventually(
        client, Pod, lambda pods: any(p.metadata.labels.get("app") == name for p in pods), "default"
    )


async def test_one_leads_and_another_takes_over(
    server: RunningApiServer, client: Client, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        candidates = [
            RunningControllers(server.kubeconfig, tmp_path / f"controllers-{n}.log", *FAST) for n in range(3)
        ]
        for candidate in candidates:
            await asyncio.to_thread(candidate.start)
            stack.callback(candidate.stop)
        lease = await _leader(client)
        by_identity = {_identity(candidate): candidate for candidate in candidates}
        assert len(by_identity) == 3
        spec = lease.spec
        assert (spec.leaseDurationSeconds, spec.leaseTransitions) == (6, 0)
        assert spec.acquireTime
        assert spec.renewTime
        await _replicas_come_up(client, "first")

        first = spec.holderIdentity or ""
        by_identity[first].kill()
        lease = await _leader(client, other_than=first)
        assert lease.spec.leaseTransitions == 1
        await _replicas_come_up(client, "second")

        # One that stops gives the lease back, so nobody has to wait until it has run out.
        second = lease.spec.holderIdentity or ""
        assert second != first
        assert by_identity[second].stop() == 0
        assert 'event="released the leadership"' in by_identity[second].log.read_text()
        lease = await _leader(client, other_than=second)
        third = lease.spec.holderIdentity or ""
        assert third == (by_identity.keys() - {first, second}).pop()
        assert lease.spec.leaseTransitions == 2
        await _replicas_come_up(client, "third")

        told = {event.message for event in (await client.list(Event, NAMESPACE)).items}
        assert {f"{each} became leader" for each in (first, second, third)} <= told
        assert f"{second} stopped leading" in told


async def test_a_leader_that_cannot_renew_stops(
    server: RunningApiServer, client: Client, tmp_path: Path
) -> None:
    controllers = RunningControllers(server.kubeconfig, tmp_path / "controllers.log", *FAST)
    await asyncio.to_thread(controllers.start)
    try:
        await eventually(client, Lease, _was_renewed, NAMESPACE)
        server.kill()
        assert await asyncio.to_thread(controllers.wait) == 1
        assert "another one may lead" in controllers.log.read_text()
    finally:
        controllers.stop()
        await asyncio.to_thread(server.start)


async def test_never_two_at_once(client: Client) -> None:
    """Candidates come, go and break down at random; no moment has two leaders."""
    terms: list[tuple[float, float]] = []

    async def lead() -> None:
        begin = time.monotonic()
        try:
            await asyncio.sleep(random.uniform(0.1, 0.6))
            raise LeadershipLost("broke down") if random.random() < 0.3 else asyncio.CancelledError
        finally:
            terms.append((begin, time.monotonic()))

    async def candidate() -> None:
        while len(terms) < 6:
            elector = LeaderElector(
                client, LeaderElection(lease_duration=6.0, renew_deadline=4.0, retry_period=0.05), "test"
            )
            with suppress(LeadershipLost, asyncio.CancelledError):
                await elector.run(lead)

    async def meddle() -> None:
        """Somebody takes the lease by hand; whoever led then has to notice."""
        while len(terms) < 6:
            await asyncio.sleep(0.7)
            with suppress(ApiError):
                body = {"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 1}}
                await client.patch(Lease, NAME, NAMESPACE, body)

    async with asyncio.timeout(60):
        await asyncio.gather(meddle(), *(candidate() for _ in range(4)))
    terms.sort()
    gaps = [later[0] - earlier[1] for earlier, later in itertools.pairwise(terms)]
    assert min(gaps) >= 0
