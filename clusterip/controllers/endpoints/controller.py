"""Keeps the Endpoints object of every Service in step with its Pods."""

from __future__ import annotations

from clusterip.client.errors import ApiError
from clusterip.controllers import services
from clusterip.controllers.batching import Batching
from clusterip.controllers.context import BY_NAMESPACE, Context
from clusterip.controllers.controller import Controller, ObjectKey, key_of
from clusterip.controllers.copying import deep_copy
from clusterip.controllers.endpoints.subsets import CAPACITY, subsets_of, truncate
from clusterip.controllers.selection import ServicesOfPods
from clusterip.controllers.triggertime import TriggerTimes
from clusterip.objects.core.endpoints import ENDPOINTS, Endpoints
from clusterip.objects.core.pod import PODS
from clusterip.objects.core.service import SERVICES, Service
from clusterip.objects.meta import ObjectMeta

_MANAGED_BY = "endpoints.kubernetes.io/managed-by"
_MANAGER = "endpoint-controller"
_OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
_OVER_CAPACITY_MESSAGE = (
    f"there are more than {CAPACITY} endpoints; its Endpoints object lists {CAPACITY} of them, its"
    " EndpointSlices list all"
)
_LEADER = "control-plane.alpha.kubernetes.io/leader"


class EndpointsController(Controller[ObjectKey]):
    name = "endpoints-controller"
    component = "endpoint-controller"

    def __init__(self, context: Context, period: float | None = None) -> None:
        super().__init__(context)
        self._batching = Batching(period)
        self._services = self.informer(SERVICES)
        self._pods = self.informer(PODS)
        self._endpoints = self.informer(ENDPOINTS)
        self._triggers = TriggerTimes()
        self._services.on_change(self._service_changed)
        self._endpoints.on_change(self._endpoints_changed)
        ServicesOfPods(self._services, self._pods, self._pods_changed)

    async def background(self) -> None:
        """Endpoints whose Service went away while nobody looked have to go as well."""
        for key, found in self._endpoints.objects.items():
            # Old leader elections keep their lock in Endpoints without a Service.
            if key not in self._services.objects and _LEADER not in found.metadata.annotations:
                self.queue.add(key)

    async def sync(self, key: ObjectKey) -> None:
        service = self._services.objects.get(key)
        current = self._endpoints.objects.get(key)
        if service is None:
            self._triggers.forget(key)
            self._batching.counted(key, 0)
            if current is not None:
                await self._delete(current)
            return
        if not services.wants_endpoints(service):
            return
        pods = [
            pod
            for pod in self._pods.by_index(BY_NAMESPACE, key[0])
            if services.selects(service, pod.metadata.labels)
        ]
        self._batching.counted(key, len(pods))
        trigger = self._triggers.changed(service, pods)
        subsets = subsets_of(service, pods)
        over = truncate(subsets)
        labels = {**service.metadata.labels, _MANAGED_BY: _MANAGER}
        labels.pop(services.HEADLESS, None)
        if not services.is_ip_set(service):
            labels[services.HEADLESS] = ""
        if (
            current is not None
            and current.subsets == subsets
            and current.metadata.labels == labels
            and (_OVER_CAPACITY in current.metadata.annotations) == over
        ):
            return
        wanted = (
            deep_copy(current)
            if current is not None
            else Endpoints(metadata=ObjectMeta(name=key[1], namespace=key[0]))
        )
        wanted.subsets = subsets
        wanted.metadata.labels = labels
        _annotate(wanted.metadata, services.LAST_CHANGE_TRIGGER_TIME, trigger)
        if over and _OVER_CAPACITY not in wanted.metadata.annotations:
            self.events.event(service, "Warning", "EndpointsOverCapacity", _OVER_CAPACITY_MESSAGE)
        if over and _OVER_CAPACITY not in wanted.metadata.annotations:
            self.events.event(service, "Warning", "EndpointsOverCapacity", _OVER_CAPACITY_MESSAGE)
        _annotate(wanted.metadata, _OVER_CAPACITY, "truncated" if over else None)
        await self._write(key, service, wanted, create=current is None)

    async def _write(self, key: ObjectKey, service: Service, wanted: Endpoints, *, create: bool) -> None:
        try:
            written = await (self.client.create(wanted) if create else self.client.update(wanted))
        except ApiError as error:
            if not error.is_namespace_terminating and not error.is_conflict:
                what = "create" if create else "update"
                self.events.event(
                    service,
                    "Warning",
                    f"FailedTo{what.title()}Endpoint",
                    f"Failed to {what} endpoint for service {key[0]}/{key[1]}: {error}",
                )
            raise
        self.wrote(key, self._endpoints, written)
        self.log.info(
            "endpoints written",
            service="/".join(key),
            ready=sum(len(s.addresses) for s in wanted.subsets),
            not_ready=sum(len(s.notReadyAddresses) for s in wanted.subsets),
        )

    async def _delete(self, current: Endpoints) -> None:
        meta = current.metadata
        try:
            await self.client.delete(Endpoints, meta.name, meta.namespace, uid=meta.uid)
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise
        self.log.info("endpoints deleted", service=f"{meta.namespace}/{meta.name}")

    def _pods_changed(self, key: ObjectKey) -> None:
        self.queue.add_after(key, self._batching.seconds(key))

    def _service_changed(self, old: Service | None, new: Service | None) -> None:
        service = new or old
        if service is not None:
            self.queue.add(key_of(service))

    def _endpoints_changed(self, old: Endpoints | None, new: Endpoints | None) -> None:
        if new is None and old is not None:
            self.queue.add(key_of(old))


def _annotate(meta: ObjectMeta, key: str, value: str | None) -> None:
    if value is None:
        meta.annotations.pop(key, None)
    else:
        meta.annotations[key] = value
