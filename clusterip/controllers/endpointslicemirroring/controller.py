"""Keeps the mirrored EndpointSlices in step with the Endpoints of Services without a selector."""

from __future__ import annotations

from clusterip.client.errors import ApiError
from clusterip.controllers.context import Context
from clusterip.controllers.controller import Controller, ObjectKey, key_of
from clusterip.controllers.endpointslice.plan import MANAGED_BY, SERVICE_NAME
from clusterip.controllers.endpointslicemirroring.mirror import MANAGER, Mirror, mirror
from clusterip.objects.core.endpoints import ENDPOINTS, Endpoints
from clusterip.objects.core.service import SERVICES, Service
from clusterip.objects.discovery.endpointslice import ENDPOINTSLICES, EndpointSlice

_BY_ENDPOINTS = "mirrored endpoints"
_SKIP = "endpointslice.kubernetes.io/skip-mirror"
_LEADER = "control-plane.alpha.kubernetes.io/leader"


class EndpointSliceMirroringController(Controller[ObjectKey]):
    name = "endpointslice-mirroring-controller"
    component = "endpoint-slice-mirroring-controller"

    def __init__(self, context: Context, maximum: int = 1000) -> None:
        super().__init__(context)
        self._maximum = maximum
        self._services = self.informer(SERVICES)
        self._endpoints = self.informer(ENDPOINTS)
        self._slices = self.informer(ENDPOINTSLICES)
        self._slices.add_index(_BY_ENDPOINTS, _mirrored_from)
        self._services.on_change(self._service_changed)
        self._endpoints.on_change(self._endpoints_changed)
        self._slices.on_change(self._slice_changed)

    async def sync(self, key: ObjectKey) -> None:
        endpoints = self._endpoints.objects.get(key)
        service = self._services.objects.get(key)
        existing = self._slices.by_index(_BY_ENDPOINTS, key)
        if endpoints is None or service is None or service.spec.selector or not _wanted(endpoints):
            for each in existing:
                await self._delete(each)
            return
        found = mirror(endpoints, existing, self._maximum)
        self._tell(endpoints, found)
        if endpoints.metadata.deletionTimestamp is None:
            for each in found.plan.create:
                self.wrote(key, self._slices, await self.client.create(each))
        for each in found.plan.update:
            self.wrote(key, self._slices, await self.client.update(each))
        for each in found.plan.delete:
            await self._delete(each)

    async def _delete(self, each: EndpointSlice) -> None:
        meta = each.metadata
        try:
            await self.client.delete(EndpointSlice, meta.name, meta.namespace, uid=meta.uid)
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise

    def _tell(self, endpoints: Endpoints, found: Mirror) -> None:
        if found.invalid:
            message = f"Skipped {found.invalid} invalid IP addresses when mirroring to EndpointSlices"
            self.events.event(endpoints, "Warning", "InvalidIPAddress", message)
        if found.too_many:
            message = (
                f"A max of {self._maximum} addresses can be mirrored to EndpointSlices per Endpoints subset. "
                f"{found.invalid + found.too_many} addresses were skipped"
            )
            self.events.event(endpoints, "Warning", "TooManyAddressesToMirror", message)

    def _service_changed(self, old: Service | None, new: Service | None) -> None:
        selectors = [bool(each.spec.selector) if each is not None else None for each in (old, new)]
        service = new or old
        if service is not None and selectors[0] != selectors[1]:
            self.queue.add(key_of(service))

    def _endpoints_changed(self, old: Endpoints | None, new: Endpoints | None) -> None:
        for each in (old, new):
            if each is not None and _wanted(each):
                self.queue.add(key_of(each))

    def _slice_changed(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        """Put right what others did to our slices."""
        for each in (old, new):
            for key in _mirrored_from(each) if each is not None else ():
                self.queue.add(key)


def _wanted(endpoints: Endpoints) -> bool:
    """Whether its owner wants it mirrored, and it is not just the lock of an old leader election."""
    meta = endpoints.metadata
    return meta.labels.get(_SKIP) != "true" and _LEADER not in meta.annotations


def _mirrored_from(each: EndpointSlice) -> tuple[ObjectKey, ...]:
    labels = each.metadata.labels
    name = labels.get(SERVICE_NAME)
    return ((each.metadata.namespace, name),) if name and labels.get(MANAGED_BY) == MANAGER else ()
