"""Keeps the EndpointSlices of every Service in step with its Pods."""

from __future__ import annotations

from clusterip.client.errors import ApiError
from clusterip.controllers import services
from clusterip.controllers.batching import Batching
from clusterip.controllers.context import BY_NAMESPACE, Context
from clusterip.controllers.controller import Controller, ObjectKey, key_of
from clusterip.controllers.endpointslice.desired import ZONE, address_types, endpoints_of
from clusterip.controllers.endpointslice.plan import MANAGED_BY, MANAGER, SERVICE_NAME, Plan, plan
from clusterip.controllers.selection import ServicesOfPods
from clusterip.controllers.triggertime import TriggerTimes
from clusterip.objects.core.node import NODES, Node
from clusterip.objects.core.pod import PODS
from clusterip.objects.core.service import SERVICES, Service
from clusterip.objects.discovery.endpointslice import ENDPOINTSLICES, EndpointSlice

_BY_SERVICE = "service"


class EndpointSliceController(Controller[ObjectKey]):
    name = "endpointslice-controller"
    component = "endpoint-slice-controller"

    def __init__(self, context: Context, maximum: int = 100, period: float | None = None) -> None:
        super().__init__(context)
        self._maximum = maximum
        self._batching = Batching(period)
        self._services = self.informer(SERVICES)
        self._pods = self.informer(PODS)
        self._nodes = self.informer(NODES)
        self._slices = self.informer(ENDPOINTSLICES)
        self._slices.add_index(_BY_SERVICE, _service_of)
        self._triggers = TriggerTimes()
        self._own_writes: dict[str, str] = {}
        self._own_deletes: set[str] = set()
        self._services.on_change(self._service_changed)
        self._slices.on_change(self._slice_changed)
        self._nodes.on_change(self._node_changed)
        ServicesOfPods(self._services, self._pods, self._pods_changed)

    async def sync(self, key: ObjectKey) -> None:
        service = self._services.objects.get(key)
        if service is None:
            self._triggers.forget(key)  # its slices follow it through garbage collection
            self._batching.counted(key, 0)
            return
        if not services.wants_endpoints(service) or service.metadata.deletionTimestamp:
            return
        pods = [
            pod
            for pod in self._pods.by_index(BY_NAMESPACE, key[0])
            if services.selects(service, pod.metadata.labels)
        ]
        self._batching.counted(key, len(pods))
        slices = [s for s in self._slices.by_index(_BY_SERVICE, key) if s.metadata.deletionTimestamp is None]
        trigger = self._triggers.changed(service, pods)
        families = address_types(service, pods)
        obsolete = [s for s in slices if s.addressType not in families]
        plans = [Plan(delete=obsolete)] if obsolete else []
        homeless = []
        for family in families:
            desired = endpoints_of(service, pods, family, self._node)
            of_family = [s for s in slices if s.addressType == family]
            plans.append(plan(service, family, of_family, desired, self._maximum))
            homeless += desired.without_node
        try:
            for each in plans:
                await self._carry_out(key, service, each, trigger)
        except ApiError as error:
            if not error.is_namespace_terminating and not error.is_conflict:
                self.events.event(
                    service,
                    "Warning",
                    "FailedToUpdateEndpointSlices",
                    f"Error updating Endpoint Slices for Service {key[0]}/{key[1]}: {error}",
                )
            raise
        if homeless:
            self.log.debug("pods on unknown nodes left out", service="/".join(key), pods=len(homeless))
            self.queue.add_rate_limited(key)

    async def _carry_out(self, key: ObjectKey, service: Service, wanted: Plan, trigger: str | None) -> None:
        if wanted.empty:
            return
        # Endpoints that move between slices are added first, so that no watcher misses them in between.
        for each in wanted.create:
            _set_trigger(each, trigger)
            self._remember(key, await self.client.create(each))
        for each in wanted.update:
            _set_trigger(each, trigger)
            self._remember(key, await self.client.update(each))
        for each in wanted.delete:
            meta = each.metadata
            self._own_deletes.add(meta.uid)
            try:
                await self.client.delete(EndpointSlice, meta.name, meta.namespace, uid=meta.uid)
            except ApiError as error:
                self._own_deletes.discard(meta.uid)
                if not (error.is_not_found or error.is_conflict):
                    raise
        self.log.info(
            "endpointslices written",
            service=f"{service.metadata.namespace}/{service.metadata.name}",
            created=len(wanted.create),
            updated=len(wanted.update),
            deleted=len(wanted.delete),
        )

    def _remember(self, key: ObjectKey, written: EndpointSlice) -> None:
        self._own_writes[written.metadata.uid] = written.metadata.resourceVersion
        self.wrote(key, self._slices, written)

    def _node(self, name: str) -> Node | None:
        return self._nodes.get("", name)

    def _pods_changed(self, key: ObjectKey) -> None:
        self.queue.add_after(key, self._batching.seconds(key))

    def _service_changed(self, old: Service | None, new: Service | None) -> None:
        service = new or old
        if service is not None:
            self.queue.add(key_of(service))

    def _slice_changed(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        """Put right what others did to our slices."""
        if new is not None and self._own_writes.get(new.metadata.uid) == new.metadata.resourceVersion:
            return
        if new is None and old is not None:
            self._own_writes.pop(old.metadata.uid, None)
            if old.metadata.uid in self._own_deletes:
                self._own_deletes.discard(old.metadata.uid)
                return
        for each in (old, new):
            for key in _service_of(each) if each is not None else ():
                self.queue.add(key)

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        """A node that comes up late, or moves to another zone, changes the endpoints on it."""
        if new is None or (old is not None and _zone(old) == _zone(new)):
            return
        for pod in self._pods.by_index("node", new.metadata.name):
            for service in self._services.by_index(BY_NAMESPACE, pod.metadata.namespace):
                if services.wants_endpoints(service) and services.selects(service, pod.metadata.labels):
                    self.queue.add(key_of(service))


def _service_of(each: EndpointSlice) -> tuple[ObjectKey, ...]:
    """The Service whose slice this is, if we manage it."""
    labels = each.metadata.labels
    name = labels.get(SERVICE_NAME)
    return ((each.metadata.namespace, name),) if name and labels.get(MANAGED_BY) == MANAGER else ()


def _zone(node: Node) -> str | None:
    return node.metadata.labels.get(ZONE)


def _set_trigger(each: EndpointSlice, trigger: str | None) -> None:
    if trigger is None:
        each.metadata.annotations.pop(services.LAST_CHANGE_TRIGGER_TIME, None)
    else:
        each.metadata.annotations[services.LAST_CHANGE_TRIGGER_TIME] = trigger
