"""Gives Services of type LoadBalancer their addresses, and each address a node that announces it."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from clusterip.client.errors import ApiError
from clusterip.client.informer import Informer
from clusterip.controllers.context import Context
from clusterip.controllers.controller import Controller, ObjectKey, key_of
from clusterip.controllers.copying import deep_copy
from clusterip.controllers.loadbalancer import pools as pool_config
from clusterip.controllers.loadbalancer.allocation import NoAddress, allocate, is_ours
from clusterip.controllers.loadbalancer.announcing import ANNOUNCED_BY, announcer, can_announce
from clusterip.controllers.loadbalancer.pools import Address, Pool
from clusterip.objects.core.configmap import CONFIGMAPS, ConfigMap
from clusterip.objects.core.node import NODES, Node
from clusterip.objects.core.service import (
    SERVICES,
    LoadBalancerIngress,
    LoadBalancerStatus,
    Service,
)
from clusterip.objects.discovery.endpointslice import ENDPOINTSLICES, EndpointSlice

_BY_ADDRESS = "load balancer address"
_BY_SERVICE = "service"
_SERVICE_NAME = "kubernetes.io/service-name"


class LoadBalancerController(Controller[ObjectKey]):
    """Does nothing at all while there are no pools: the addresses may be a cloud's to give."""

    name = "service-lb-controller"
    component = "service-lb-controller"
    workers = 1  # an address is given once: one Service after the other

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._services = self.informer(SERVICES)
        self._services.add_index(_BY_ADDRESS, _addresses_of)
        self._nodes = self.informer(NODES)
        self._slices = self.informer(ENDPOINTSLICES)
        self._slices.add_index(_BY_SERVICE, _service_of)
        only = f"metadata.name={pool_config.NAME}"
        own: Informer[ConfigMap] = Informer(
            self.client, CONFIGMAPS, namespace=pool_config.NAMESPACE, field_selector=only
        )
        self._configs = self.wait_for(context.share("configmaps/load-balancer-pools", own))
        self._pools: list[Pool] = []
        self._given: dict[str, Service] = {}
        self._services.on_change(self._service_changed)
        self._nodes.on_change(self._node_changed)
        self._slices.on_change(self._slice_changed)
        self._configs.on_change(self._config_changed)

    async def sync(self, key: ObjectKey) -> None:
        service = self._services.objects.get(key)
        if service is None or service.metadata.deletionTimestamp is not None:
            return
        if not is_ours(service):
            await self._withdraw(key, service)
            return
        if not self._pools:
            return
        try:
            addresses = allocate(service, self._pools, self._holders)
        except NoAddress as error:
            self.events.event(service, "Warning", "AllocationFailed", f"Failed to allocate IP: {error}")
            addresses = []
        service = await self._give(key, service, addresses)
        node = None
        if addresses:
            slices = self._slices.by_index(_BY_SERVICE, key)
            node = announcer(service, addresses[0], self._nodes.objects.values(), slices)
        await self._announce(key, service, node)

    async def _give(self, key: ObjectKey, service: Service, addresses: list[str]) -> Service:
        ingress = [LoadBalancerIngress(ip=address, ipMode="VIP") for address in addresses]
        if [each.ip for each in service.status.loadBalancer.ingress] == addresses:
            return service
        changed = deep_copy(service)
        changed.status.loadBalancer = LoadBalancerStatus(ingress=ingress)
        written = await self.client.update_status(changed)
        self.wrote(key, self._services, written)
        self._given[written.metadata.uid] = written
        if addresses:
            message = f"Assigned IP {addresses}".replace("'", '"')
            self.events.event(service, "Normal", "IPAllocated", message)
        return written

    async def _announce(self, key: ObjectKey, service: Service, node: str | None) -> None:
        if service.metadata.labels.get(ANNOUNCED_BY) == node:
            return
        body = {"metadata": {"uid": service.metadata.uid, "labels": {ANNOUNCED_BY: node}}}
        try:
            written = await self.client.patch(Service, key[1], key[0], body)
        except ApiError as error:
            if error.is_not_found or error.is_conflict:
                return  # deleted meanwhile
            raise
        self.wrote(key, self._services, written)
        if node is not None:
            self.events.event(service, "Normal", "NodeAssigned", f'announcing from node "{node}"')

    async def _withdraw(self, key: ObjectKey, service: Service) -> None:
        """The Service is no load balancer any more; its status the API server has cleared."""
        if ANNOUNCED_BY in service.metadata.labels:
            await self._announce(key, service, None)

    def _holders(self, address: Address) -> list[Service]:
        """Who has an address: by what the informer shows, and by what was given since."""
        found = {each.metadata.uid: each for each in self._services.by_index(_BY_ADDRESS, str(address))}
        for uid, given in self._given.items():
            if str(address) in _addresses_of(given):
                found[uid] = given
            else:
                found.pop(uid, None)
        return list(found.values())

    def _all(self) -> None:
        for service in self._services.objects.values():
            if is_ours(service):
                self.queue.add(key_of(service))

    def _service_changed(self, old: Service | None, new: Service | None) -> None:
        service = new or old
        if service is None:
            return
        given = self._given.get(service.metadata.uid)
        if given is not None and (
            new is None or _number(new.metadata.resourceVersion) >= _number(given.metadata.resourceVersion)
        ):
            del self._given[service.metadata.uid]
        if new is not None and (is_ours(new) or ANNOUNCED_BY in new.metadata.labels):
            self.queue.add(key_of(new))
        if old is not None and _addresses_of(old) and (new is None or not is_ours(new)):
            self._all()  # somebody may wait for the address

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        before = old is not None and can_announce(old)
        if before != (new is not None and can_announce(new)):
            self._all()

    def _slice_changed(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        for each in (old, new):
            for key in _service_of(each) if each is not None else ():
                service = self._services.objects.get(key)
                if service is not None and service.spec.externalTrafficPolicy == "Local" and is_ours(service):
                    self.queue.add(key)

    def _config_changed(self, old: ConfigMap | None, new: ConfigMap | None) -> None:
        self._pools, complaints = pool_config.parse(new.data) if new is not None else ([], [])
        for complaint in complaints:
            self.log.error("address pool not understood", error=complaint)
            if new is not None:
                self.events.event(new, "Warning", "PoolNotUnderstood", complaint)
        self._all()


def _addresses_of(service: Service) -> Iterable[str]:
    if service.spec.type != "LoadBalancer":
        return ()
    return [str(ip_address(each.ip)) for each in service.status.loadBalancer.ingress if each.ip]


def _service_of(each: EndpointSlice) -> tuple[ObjectKey, ...]:
    name = each.metadata.labels.get(_SERVICE_NAME)
    return ((each.metadata.namespace, name),) if name else ()


def _number(version: str) -> int:
    return int(version) if version.isdecimal() else 0
