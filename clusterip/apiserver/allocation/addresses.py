"""ClusterIPs: each is an IPAddress object, created and deleted with the Service that has it.

The IPAddress' key must not exist when the transaction is done, so two API servers that pick the same
address at the same time cannot both get it: one of them picks again.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from clusterip.apiserver.allocation.ranges import Network, Range, address_range
from clusterip.apiserver.cache import WatchCache, key_of
from clusterip.apiserver.transaction import Transaction
from clusterip.apiserver.uids import new_uid
from clusterip.objects import times
from clusterip.objects.codec import encode
from clusterip.objects.core.service import Service
from clusterip.objects.meta import ObjectMeta
from clusterip.objects.networking.ipaddress import IPADDRESSES, IPAddress, IPAddressSpec, ParentReference
from clusterip.objects.networking.servicecidr import SERVICECIDRS, ServiceCIDR

FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family"
MANAGED_BY_LABEL = "ipaddress.kubernetes.io/managed-by"
MANAGER = "ipallocator.k8s.io"


class AllocationError(Exception):
    """Why an address or port could not be taken, in upstream's words; ``full`` if none is left."""

    def __init__(self, message: str, *, full: bool = False) -> None:
        super().__init__(message)
        self.full = full


class AddressAllocator:
    """Takes addresses for Services and gives them back.

    ``configured`` are the server's own ranges; ServiceCIDR objects add more of the same families.
    """

    def __init__(self, cache: WatchCache, configured: Sequence[Network]) -> None:
        self._cache = cache
        self.families = tuple("IPv6" if network.version == 6 else "IPv4" for network in configured)
        self._configured = {str(network): network for network in configured}
        self._ranges: dict[str, Range] = {}
        self._reserved: set[str] = set()

    def allocate(self, service: Service, family: str, wanted: str, transaction: Transaction) -> str:
        """Take ``wanted``, or any address of ``family`` if it is empty.

        Raises:
            AllocationError: it is taken or outside all ranges, or there is none left.
        """
        address = self._check(wanted) if wanted else self._pick(family)
        self._reserved.add(address)
        transaction.on_end(lambda: self._reserved.discard(address))
        if not transaction.dry_run:
            key = key_of(IPADDRESSES, "", address)
            transaction.create(key, encode(_object(address, family, service)))
        return address

    def release(self, service: Service, address: str, transaction: Transaction) -> None:
        """Give an address back, if it is this Service that has it."""
        entry = self._cache.of(IPADDRESSES).get("", _canonical(address))
        if entry is None or transaction.dry_run:
            return
        owner = entry.decode().spec.parentRef
        meta = service.metadata
        if owner is not None and (owner.namespace, owner.name) == (meta.namespace, meta.name):
            # Only as seen: somebody may delete it by hand, and another Service may have it by then.
            transaction.delete(key_of(IPADDRESSES, "", entry.name), entry.revision)

    def _check(self, wanted: str) -> str:
        address = ipaddress.ip_address(wanted)
        networks = [network for network in self._networks() if address in network]
        # The first and the last address of an IPv4 range count as outside of it.
        if not any(int(address) in self._range(network) for network in networks):
            raise AllocationError("the provided network does not match the current range")
        canonical = str(address)
        if not self._is_free(canonical):
            raise AllocationError("provided IP is already allocated")
        return canonical

    def _pick(self, family: str) -> str:
        version = 6 if family == "IPv6" else 4
        for network in self._networks():
            if network.version != version:
                continue
            of = type(network.network_address)
            chosen = self._range(network).pick(lambda value, of=of: self._is_free(str(of(value))))  # type: ignore[misc]
            if chosen is not None:
                return str(of(chosen))
        raise AllocationError("range is full", full=True)

    def _is_free(self, address: str) -> bool:
        return address not in self._reserved and self._cache.of(IPADDRESSES).get("", address) is None

    def _networks(self) -> list[Network]:
        """All ranges that may be used now; those on their way out serve no new Services."""
        networks = dict(self._configured)
        if len(cidrs := self._cache.of(SERVICECIDRS)) > 1:
            for entry in cidrs:
                cidr: ServiceCIDR = entry.decode()
                for text in cidr.spec.cidrs:
                    if cidr.metadata.deletionTimestamp is None:
                        networks.setdefault(text, ipaddress.ip_network(text))
                    else:
                        networks.pop(text, None)
        return list(networks.values())

    def _range(self, network: Network) -> Range:
        text = str(network)
        known = self._ranges.get(text)
        if known is None:
            known = self._ranges[text] = address_range(network)
        return known


def _canonical(address: str) -> str:
    return str(ipaddress.ip_address(address))


def _object(address: str, family: str, service: Service) -> IPAddress:
    meta = service.metadata
    return IPAddress(
        kind="IPAddress",
        apiVersion=IPADDRESSES.api_version,
        metadata=ObjectMeta(
            name=address,
            uid=new_uid(),
            creationTimestamp=times.now(),
            labels={FAMILY_LABEL: family, MANAGED_BY_LABEL: MANAGER},
        ),
        spec=IPAddressSpec(
            parentRef=ParentReference(resource="services", namespace=meta.namespace, name=meta.name)
        ),
    )
