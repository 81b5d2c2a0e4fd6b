"""The controllers as a process of their own, and nodes that only say that they run their Pods.

The controllers are the real program against a real API server. The nodes are what upstream calls hollow:
everything about them is real but the containers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar

from clusterip.client.config import load
from clusterip.client.errors import ApiError
from clusterip.client.informer import Informer
from clusterip.client.rest import Client
from clusterip.client.workqueue import WorkQueue
from clusterip.objects import times
from clusterip.objects.coordination.lease import Lease, LeaseSpec
from clusterip.objects.core.node import Node, NodeCondition, NodeStatus
from clusterip.objects.core.pod import PODS, Pod
from clusterip.objects.meta import Object, ObjectMeta
from tests.support.kubectl import Kubectl

O = TypeVar("O", bound=Object)  # noqa: E741

SECONDS = 20.0


class RunningControllers:
    """``clusterip controllers`` as a process."""

    def __init__(self, kubeconfig: Path, log: Path, *arguments: str) -> None:
        self._command = [
            sys.executable,
            "-m",
            "clusterip.cli.controllers",
            f"--kubeconfig={kubeconfig}",
            "--healthz-bind-address=0",
            "--leader-elect=false",
            "-v4",
            *arguments,
        ]
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Return once it runs and can be told to stop."""
        with self.log.open("ab") as log:
            begin = log.tell()
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stderr=log)
        deadline = time.monotonic() + SECONDS
        while b'event="starting"' not in self.log.read_bytes()[begin:]:
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)

    def kill(self) -> None:
        """kill -9, as a crash would."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait(self) -> int:
        """Until it ends by itself; the exit code."""
        assert self._process is not None
        return self._process.wait(SECONDS)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
        return self._process.wait(10)


@asynccontextmanager
async def client_of(kubeconfig: Path) -> AsyncIterator[Client]:
    async with Client(load(str(kubeconfig))) as client:
        yield client


async def eventually(
    client: Client, type_: type[O], condition: Callable[[list[O]], Any], namespace: str = ""
) -> list[O]:
    """Wait for a condition on all objects of a kind, by watching; fails after some seconds."""
    seen: list[O] = []
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                listed = await client.list(type_, namespace)
                objects = {(o.metadata.namespace, o.metadata.name): o for o in listed.items}
                seen = list(objects.values())
                if condition(seen):
                    return seen
                async for event in client.watch(
                    type_, namespace, resource_version=listed.metadata.resourceVersion
                ):
                    if event.type == "BOOKMARK":
                        continue
                    key = (event.object.metadata.namespace, event.object.metadata.name)
                    if event.type == "DELETED":
                        objects.pop(key, None)
                    else:
                        objects[key] = event.object
                    seen = list(objects.values())
                    if condition(seen):
                        return seen
    except TimeoutError:
        raise AssertionError(
            f"{type_.__name__}: not within {SECONDS} s; last seen: {[o.metadata.name for o in seen]}"
        ) from None


async def run(kubectl: Kubectl, *arguments: str, stdin: str | None = None) -> str:
    """kubectl while the hollow nodes of this event loop go on."""
    return await asyncio.to_thread(kubectl, *arguments, stdin=stdin)


class HollowNode:
    """A node whose Pods come up as soon as they are bound, and go as soon as they are told to."""

    def __init__(self, client: Client, name: str, *, pods: int = 110, cpu: str = "4") -> None:
        self.name = name
        self.ready_seconds = 0.0
        self._client = client
        self._allocatable = {"cpu": cpu, "memory": "8Gi", "pods": str(pods)}
        self._informer: Informer[Pod] = Informer(client, PODS, field_selector=f"spec.nodeName={name}")
        self._queue: WorkQueue[tuple[str, str]] = WorkQueue()
        self._informer.on_change(lambda old, new: self._queue.add(_key(new or old)))
        self._used: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        with contextlib.suppress(ApiError):
            await self._client.create(Node(metadata=ObjectMeta(name=self.name)))
        await self.post_status()
        await self.renew_lease()
        self._tasks = [asyncio.create_task(self._informer.run()), asyncio.create_task(self._work())]

    async def stop(self) -> None:
        """Fall silent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._queue.close()

    async def post_status(self, ready: str = "True") -> None:
        now = times.now()
        condition = NodeCondition(
            type="Ready", status=ready, lastHeartbeatTime=now, lastTransitionTime=now, reason="KubeletReady"
        )
        status = NodeStatus(allocatable=dict(self._allocatable), conditions=[condition])
        body = {"status": status}
        await self._client.patch(Node, self.name, "", body, subresource="status")

    async def renew_lease(self) -> None:
        lease = Lease(
            metadata=ObjectMeta(name=self.name, namespace="kube-node-lease"),
            spec=LeaseSpec(holderIdentity=self.name, leaseDurationSeconds=40, renewTime=times.now_micro()),
        )
        try:
            await self._client.create(lease)
        except ApiError as error:
            if not error.is_already_exists:
                raise
            body = {"spec": {"renewTime": times.now_micro()}}
            await self._client.patch(Lease, self.name, "kube-node-lease", body)

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            pod = self._informer.objects.get(key)
            try:
                if pod is not None:
                    await self._handle(pod)
            except ApiError as error:
                if not error.is_not_found:
                    self._queue.add_rate_limited(key)
            except ConnectionError:
                self._queue.add_rate_limited(key)
            self._queue.done(key)

    async def _handle(self, pod: Pod) -> None:
        meta = pod.metadata
        if meta.deletionTimestamp is not None:
            self._used.discard(pod.status.podIP)
            await self._client.delete(Pod, meta.name, meta.namespace, grace_period_seconds=0)
        elif pod.status.phase in ("", "Pending"):
            await self._start_pod(pod)

    async def _start_pod(self, pod: Pod) -> None:
        node = await self._client.get(Node, self.name)
        if not node.spec.podCIDR:
            self._queue.add_after(_key(pod), 0.05)
            return
        addresses = map(str, list(ip_network(node.spec.podCIDR).hosts())[1:])
        address = next(a for a in addresses if a not in self._used)
        self._used.add(address)
        if self.ready_seconds:
            await asyncio.sleep(self.ready_seconds)
        now = times.now()
        conditions = [
            {"type": type_, "status": "True", "lastTransitionTime": now}
            for type_ in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
        ]
        status = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": now,
            "conditions": conditions,
        }
        await self._client.patch(
            Pod,
            pod.metadata.name,
            pod.metadata.namespace,
            {"status": status},
            kind="strategic",
            subresource="status",
        )


def _key(pod: Pod | None) -> tuple[str, str]:
    assert pod is not None
    return pod.metadata.namespace, pod.metadata.name
