"""What creating, changing and deleting a Service takes from the cluster and gives back.

As upstream's ``pkg/registry/core/service/storage``, except that all of it is part of the transaction
that writes the Service: there is nothing to undo and nothing can leak.
"""

from __future__ import annotations

from clusterip.apiserver import status
from clusterip.apiserver.allocation.addresses import AddressAllocator, AllocationError
from clusterip.apiserver.allocation.families import keeps_dual_stack, settle_families
from clusterip.apiserver.allocation.ports import PortAllocator
from clusterip.apiserver.cache import WatchCache, key_of
from clusterip.apiserver.transaction import Transaction
from clusterip.objects.core.endpoints import ENDPOINTS
from clusterip.objects.core.service import SERVICES, Service
from clusterip.objects.core.service import predicates as service_is
from clusterip.objects.errors import Path, invalid

_CLUSTER_IPS = Path("spec").child("clusterIPs")
_PORTS = Path("spec").child("ports")


class ServiceHooks:
    def __init__(self, cache: WatchCache, addresses: AddressAllocator, ports: PortAllocator) -> None:
        self._cache = cache
        self._addresses = addresses
        self._ports = ports

    def create(self, obj: Service, transaction: Transaction) -> None:
        settle_families(obj, None, self._addresses.families)
        self._allocate_addresses(obj, transaction)
        self._allocate_ports(obj, set(), transaction)

    def update(self, new: Service, old: Service, transaction: Transaction) -> None:
        settle_families(new, old, self._addresses.families)
        if not keeps_dual_stack(new, old):
            self._update_addresses(new, old, transaction)
        self._update_ports(new, old, transaction)

    def delete(self, obj: Service, transaction: Transaction) -> None:
        for address in _addresses(obj):
            self._addresses.release(obj, address, transaction)
        for port in _all_ports(obj):
            self._ports.release(port, transaction)
        # As upstream: a new Service of this name must not find the endpoints of the old one.
        meta = obj.metadata
        if self._cache.of(ENDPOINTS).get(meta.namespace, meta.name) is not None:
            transaction.delete(key_of(ENDPOINTS, meta.namespace, meta.name))

    def _allocate_addresses(self, service: Service, transaction: Transaction) -> None:
        """An address for each family that has none yet."""
        spec = service.spec
        if spec.type == service_is.EXTERNAL_NAME or service_is.is_headless(service):
            return
        wanted = spec.clusterIPs + [""] * (len(spec.ipFamilies) - len(spec.clusterIPs))
        asked = list(spec.clusterIPs)
        got = [
            self._take_address(service, family, address, asked, transaction)
            for family, address in zip(spec.ipFamilies, wanted, strict=False)
        ]
        spec.clusterIPs = got
        spec.clusterIP = got[0]

    def _take_address(
        self, service: Service, family: str, wanted: str, asked: list[str], transaction: Transaction
    ) -> str:
        name = service.metadata.name
        try:
            return self._addresses.allocate(service, family, wanted, transaction)
        except AllocationError as error:
            if error.full:
                message = f'failed to allocate a serviceIP for Service "{name}": {error}'
                raise status.internal(message) from None
            which = (
                f"failed to allocate IP {wanted}: {error}" if wanted else f"failed to allocate IP: {error}"
            )
            raise status.invalid(SERVICES, name, [invalid(_CLUSTER_IPS, asked, which)]) from None

    def _update_addresses(self, new: Service, old: Service, transaction: Transaction) -> None:
        was_external = old.spec.type == service_is.EXTERNAL_NAME
        is_external = new.spec.type == service_is.EXTERNAL_NAME
        if was_external and not is_external:
            self._allocate_addresses(new, transaction)
            return
        if service_is.is_headless(old) or was_external:
            return
        if is_external:
            for address in _addresses(old):
                self._addresses.release(old, address, transaction)
            return
        before, after = len(old.spec.ipFamilies), len(new.spec.ipFamilies)
        if (before, after) == (1, 2):
            family = new.spec.ipFamilies[1]
            wanted = new.spec.clusterIPs[1] if len(new.spec.clusterIPs) > 1 else ""
            asked = list(new.spec.clusterIPs)
            address = self._take_address(new, family, wanted, asked, transaction)
            new.spec.clusterIPs = [*new.spec.clusterIPs[:1], address]
        elif (before, after) == (2, 1):
            self._addresses.release(old, old.spec.clusterIPs[1], transaction)

    def _allocate_ports(self, service: Service, held: set[int], transaction: Transaction) -> None:
        """Node ports for those ports that are to have one; ``held`` are already the Service's own."""
        taken = set(held)
        owners: dict[int, int] = {}  # node ports that were taken here -> the ports they are for
        if service_is.needs_node_ports(service):
            by_port = {port.port: port.nodePort for port in reversed(service.spec.ports) if port.nodePort}
            for i, port in enumerate(service.spec.ports):
                if not port.nodePort:
                    if not service_is.wants_node_ports(service):
                        continue
                    # Ports of one number but different protocols share their node port.
                    port.nodePort = 0 if held else by_port.get(port.port, 0)
                elif owners.get(port.nodePort, port.port) != port.port:
                    problem = "provided port is already allocated"  # by another port of this very Service
                    where = _PORTS.item(i).child("nodePort")
                    raise status.invalid(
                        SERVICES, service.metadata.name, [invalid(where, port.nodePort, problem)]
                    )
                if port.nodePort not in taken:
                    port.nodePort = self._take_port(service, port.nodePort, i, transaction)
                    taken.add(port.nodePort)
                    owners[port.nodePort] = port.port
                by_port.setdefault(port.port, port.nodePort)
        if service_is.needs_health_check_node_port(service):
            self._allocate_health_check_port(service, held, transaction)

    def _take_port(self, service: Service, wanted: int, index: int, transaction: Transaction) -> int:
        try:
            return self._ports.allocate(service, wanted, transaction)
        except AllocationError as error:
            if error.full:
                raise status.internal(f"failed to allocate a nodePort: {error}") from None
            problem = invalid(_PORTS.item(index).child("nodePort"), wanted, str(error))
            raise status.invalid(SERVICES, service.metadata.name, [problem]) from None

    def _allocate_health_check_port(self, service: Service, held: set[int], transaction: Transaction) -> None:
        spec = service.spec
        if spec.healthCheckNodePort and spec.healthCheckNodePort in held:
            return
        wanted = spec.healthCheckNodePort
        try:
            spec.healthCheckNodePort = self._ports.allocate(service, wanted, transaction)
        except AllocationError as error:
            what = (
                f"requested HealthCheck NodePort {wanted}" if wanted else f"a HealthCheck NodePort {wanted}"
            )
            raise status.internal(f"failed to allocate {what}: {error}") from None

    def _update_ports(self, new: Service, old: Service, transaction: Transaction) -> None:
        held = _all_ports(old)
        _refuse_duplicates(new)
        self._allocate_ports(new, held, transaction)
        for port in sorted(held - _all_ports(new)):
            self._ports.release(port, transaction)


def _refuse_duplicates(service: Service) -> None:
    """Raises StatusError (500, as upstream) if a changed Service names a node port twice for a protocol."""
    seen: set[tuple[str, int]] = set()
    for port in service.spec.ports:
        which = (port.protocol, port.nodePort)
        if port.nodePort and which in seen and service_is.needs_node_ports(service):
            raise status.failure(500, "", f"duplicate nodePort: {{{port.protocol} {port.nodePort}}}")
        seen.add(which)


def _addresses(service: Service) -> list[str]:
    if service.spec.type == service_is.EXTERNAL_NAME or service_is.is_headless(service):
        return []
    return service.spec.clusterIPs


def _all_ports(service: Service) -> set[int]:
    ports = service_is.node_ports(service)
    if service_is.needs_health_check_node_port(service) and service.spec.healthCheckNodePort:
        ports.add(service.spec.healthCheckNodePort)
    return ports
