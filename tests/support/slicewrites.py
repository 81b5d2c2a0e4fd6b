"""Counts what is written to a Service's EndpointSlices, and marks Pods as their kubelets would."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable

from clusterip.client.rest import Client
from clusterip.objects import times
from clusterip.objects.core.pod import Pod
from clusterip.objects.discovery.endpointslice import EndpointSlice

AT_ONCE = 16
"""How many status updates of Pods are under way at a time."""


class SliceWrites:
    """Follows the EndpointSlices of a Service: what they hold, and how often each was written."""

    def __init__(self, client: Client, namespace: str, service: str) -> None:
        self._client = client
        self._namespace = namespace
        self._selector = f"kubernetes.io/service-name={service}"
        self.slices: dict[str, EndpointSlice] = {}
        self._writes: Counter[str] = Counter()
        self._changed = asyncio.Condition()

    async def run(self) -> None:
        listed = await self._client.list(EndpointSlice, self._namespace, label_selector=self._selector)
        self.slices = {each.metadata.name: each for each in listed.items}
        async for event in self._client.watch(
            EndpointSlice,
            self._namespace,
            label_selector=self._selector,
            resource_version=listed.metadata.resourceVersion,
        ):
            if event.type == "BOOKMARK":
                continue
            name = event.object.metadata.name
            async with self._changed:
                self._writes[name] += 1
                if event.type == "DELETED":
                    self.slices.pop(name, None)
                else:
                    self.slices[name] = event.object
                self._changed.notify_all()

    def ready(self) -> set[str]:
        """The names of the Pods that the slices call ready."""
        return {
            endpoint.targetRef.name
            for each in self.slices.values()
            for endpoint in each.endpoints
            if endpoint.conditions.ready and endpoint.targetRef is not None
        }

    async def until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Raises TimeoutError."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)

    def taken(self) -> Counter[str]:
        """How often each slice was written since this was asked last."""
        writes, self._writes = self._writes, Counter()
        return writes


async def mark(client: Client, pods: Iterable[Pod], address: Callable[[Pod], str], *, ready: bool) -> None:
    """Report of Pods that they run and are ready or not, some at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(pod: Pod) -> None:
        now = times.now()
        ip = address(pod)
        status = {
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "startTime": now,
            "conditions": [
                {"type": type_, "status": "True" if ready else "False", "lastTransitionTime": now}
                for type_ in ("Ready", "ContainersReady")
            ],
        }
        meta = pod.metadata
        async with places:
            await client.patch(
                Pod, meta.name, meta.namespace, {"status": status}, kind="strategic", subresource="status"
            )

    await asyncio.gather(*(one(pod) for pod in pods))
