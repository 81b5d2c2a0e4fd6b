"""Says so when a Service's ClusterIP is not its own: not allocated, another's, or in no range.

The API server gives addresses in the transaction that creates the Service, so this happens only when
somebody deletes IPAddresses by hand or changes ranges under them. Reasons and texts are those of upstream's
``pkg/registry/core/service/ipallocator/controller/repairip.go``; nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from clusterip.controllers.context import Context
from clusterip.controllers.controller import Controller, ObjectKey, key_of
from clusterip.objects.core.service import SERVICES, Service
from clusterip.objects.networking.ipaddress import IPADDRESSES, IPAddress
from clusterip.objects.networking.servicecidr import SERVICECIDRS, ServiceCIDR

_GRACE_SECONDS = 3.0
"""Services, addresses and ranges are watched apart: what looks wrong may be only half of a change."""


class ServiceAddressController(Controller[ObjectKey]):
    name = "service-address-controller"
    component = "ipallocator-repair-controller"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._services = self.informer(SERVICES)
        self._addresses = self.informer(IPADDRESSES)
        self._ranges = self.informer(SERVICECIDRS)
        self._suspected: set[ObjectKey] = set()
        self._told: dict[ObjectKey, list[tuple[str, str]]] = {}
        self._services.on_change(self._service_changed)
        self._addresses.on_change(self._address_changed)
        self._ranges.on_change(self._range_changed)

    async def sync(self, key: ObjectKey) -> None:
        service = self._services.objects.get(key)
        problems = list(self._problems(service)) if service is not None else []
        if service is None or not problems:
            self._suspected.discard(key)
            self._told.pop(key, None)
            return
        if key not in self._suspected:
            self._suspected.add(key)
            self.queue.add_after(key, _GRACE_SECONDS)
            return
        for problem in problems:
            if problem not in self._told.get(key, ()):
                reason, message = problem
                self.events.event(service, "Warning", reason, message)
                self.log.warning(message, service="/".join(key))
        self._told[key] = problems

    def _problems(self, service: Service) -> Iterator[tuple[str, str]]:
        """Reason and message of each thing that is wrong."""
        spec = service.spec
        if spec.clusterIP in ("", "None") or spec.type == "ExternalName":
            return
        for text in spec.clusterIPs or [spec.clusterIP]:
            address = ip_address(text)
            what = f"Cluster IP [IPv{address.version}]:{address}"
            if not any(
                address in ip_network(cidr) for each in self._known_ranges() for cidr in each.spec.cidrs
            ):
                yield (
                    "ClusterIPOutOfRange",
                    f"{what} is not within any configured Service CIDR; please recreate service",
                )
                continue
            owner = self._addresses.get("", str(address))
            if owner is None:
                yield "ClusterIPNotAllocated", f"{what} is not allocated; please recreate service"
                continue
            parent = owner.spec.parentRef
            if parent is not None and (parent.namespace, parent.name) != key_of(service):
                yield (
                    "ClusterIPAlreadyAllocated",
                    f"{what} is assigned to the service {parent.namespace}/{parent.name} too; please"
                    " recreate service",
                )

    def _known_ranges(self) -> list[ServiceCIDR]:
        return list(self._ranges.objects.values())

    def _service_changed(self, old: Service | None, new: Service | None) -> None:
        service = new or old
        if service is not None and (old is None or new is None or old.spec != new.spec):
            self.queue.add(key_of(service))

    def _address_changed(self, old: IPAddress | None, new: IPAddress | None) -> None:
        for each in (old, new):
            parent = each.spec.parentRef if each is not None else None
            if parent is not None:
                self.queue.add((parent.namespace, parent.name))

    def _range_changed(self, old: ServiceCIDR | None, new: ServiceCIDR | None) -> None:
        if old is not None and new is not None and old.spec == new.spec:
            return
        for service in self._services.objects.values():
            self.queue.add(key_of(service))
