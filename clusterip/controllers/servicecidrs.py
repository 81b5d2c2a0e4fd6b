"""Protects the ranges of ClusterIPs that are in use, and says which are ready.

As ``pkg/controller/servicecidrs``: a ServiceCIDR goes only when no address of it would be left outside of
all ranges.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from clusterip.client.errors import ApiError
from clusterip.controllers.context import Context
from clusterip.controllers.controller import Controller
from clusterip.controllers.copying import deep_copy
from clusterip.controllers.moments import unix_time
from clusterip.objects import times
from clusterip.objects.meta import Condition
from clusterip.objects.networking.ipaddress import IPADDRESSES, IPAddress
from clusterip.objects.networking.servicecidr import SERVICECIDRS, ServiceCIDR

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
READY = "Ready"

_GRACE_SECONDS = 10.0
"""How long a range stays after its deletion: API servers may not know of it yet and give addresses of it."""
_MANAGED_BY, _MANAGER = "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io"
_IN_USE = (
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"
)

Network = IPv4Network | IPv6Network


class ServiceCIDRController(Controller[str]):
    name = "service-cidr-controller"
    component = "service-cidr-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._ranges = self.informer(SERVICECIDRS)
        self._addresses = self.informer(IPADDRESSES)
        self._ranges.on_change(self._range_changed)
        self._addresses.on_change(self._address_changed)

    async def sync(self, key: str) -> None:
        found = self._ranges.get("", key)
        if found is None:
            return
        meta = found.metadata
        if meta.deletionTimestamp is None:
            if FINALIZER not in meta.finalizers:
                body = {"metadata": {"finalizers": [FINALIZER]}}
                found = await self.client.patch(ServiceCIDR, key, "", body, kind="strategic")
                self.wrote(key, self._ranges, found)
            await self._tell(key, found, "True", "", "Kubernetes Service CIDR is ready")
            return
        if FINALIZER not in meta.finalizers:
            return
        if is_needed(found, self._ranges.objects.values(), self._addresses.objects.values()):
            await self._tell(key, found, "False", "Terminating", _IN_USE)
            return
        deleted = unix_time(meta.deletionTimestamp) or 0.0
        wait = deleted + _GRACE_SECONDS - times.parse(times.now_micro()).timestamp()
        if wait > 0:
            self.queue.add_after(key, wait)
            return
        await self._release(key, found)

    async def _release(self, key: str, found: ServiceCIDR) -> None:
        changed = deep_copy(found)
        changed.metadata.finalizers.remove(FINALIZER)
        try:
            await self.client.update(changed)
        except ApiError as error:
            if not error.is_not_found:
                raise
        self.log.info("range given up", servicecidr=key, cidrs=",".join(found.spec.cidrs))

    async def _tell(self, key: str, found: ServiceCIDR, status: str, reason: str, message: str) -> None:
        known = next((each for each in found.status.conditions if each.type == READY), None)
        if known is not None and (known.status, known.reason, known.message) == (status, reason, message):
            return
        since = known.lastTransitionTime if known is not None and known.status == status else times.now()
        condition = Condition(
            type=READY, status=status, reason=reason, message=message, lastTransitionTime=since
        )
        changed = deep_copy(found)
        others = [each for each in changed.status.conditions if each.type != READY]
        changed.status.conditions = [*others, condition]
        await self.write_status(key, self._ranges, changed)

    def _range_changed(self, old: ServiceCIDR | None, new: ServiceCIDR | None) -> None:
        changed = new or old
        if changed is None:
            return
        self.queue.add(changed.metadata.name)
        if old is None or new is None:
            self._ask_those_that_wait()  # a range that came may hold what another one's deletion waits for

    def _address_changed(self, old: IPAddress | None, new: IPAddress | None) -> None:
        if new is None:
            self._ask_those_that_wait()

    def _ask_those_that_wait(self) -> None:
        for found in self._ranges.objects.values():
            if found.metadata.deletionTimestamp is not None:
                self.queue.add(found.metadata.name)


def is_needed(found: ServiceCIDR, ranges: Iterable[ServiceCIDR], addresses: Iterable[IPAddress]) -> bool:
    """Whether an address in use would be in no range at all without this one."""
    own = _networks(found)
    others = [
        network for each in ranges if each.metadata.uid != found.metadata.uid for network in _networks(each)
    ]
    alone = [network for network in own if not _holds(others, network)]
    if not alone:
        return False
    for each in addresses:
        if each.metadata.labels.get(_MANAGED_BY) != _MANAGER:
            continue
        address = ip_address(each.metadata.name)
        inside = any(address in network for network in alone if network.version == address.version)
        if inside and not any(address in other for other in others if other.version == address.version):
            return True
    return False


def _networks(service_cidr: ServiceCIDR) -> list[Network]:
    return [ip_network(cidr) for cidr in service_cidr.spec.cidrs]


def _holds(networks: Sequence[Network], network: Network) -> bool:
    return any(
        other.version == network.version
        and other.prefixlen <= network.prefixlen
        and network.network_address in other
        for other in networks
    )
