"""Which addresses a Service of type LoadBalancer gets. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from clusterip.controllers.loadbalancer.pools import Address, Pool
from clusterip.objects.core.service import Service

CLASS = "clusterip.local/pool"
POOL = "clusterip.local/address-pool"
ADDRESSES = "clusterip.local/load-balancer-ips"
SHARING = "clusterip.local/allow-shared-ip"

_VERSIONS = {"IPv4": 4, "IPv6": 6}

Holders = Callable[[Address], Iterable[Service]]
"""The Services that have an address now."""


class NoAddress(Exception):
    """There is none to be had; the text says why, for an Event."""


@dataclass(frozen=True)
class Wish:
    """What a Service asks for: families, and which pool or addresses if it says so."""

    versions: tuple[int, ...]
    all_versions: bool
    pool: str
    addresses: tuple[Address, ...]


def is_ours(service: Service) -> bool:
    """Whether the Service is to have addresses of ours: another class is another program's."""
    return service.spec.type == "LoadBalancer" and service.spec.loadBalancerClass in (None, CLASS)


def allocate(service: Service, pools: Sequence[Pool], holders: Holders) -> list[str]:
    """The addresses, one a family; those it has as far as they still fit.

    Raises:
        NoAddress: no pool has what it asks for.
    """
    wish = _wish(service)
    usable = [pool for pool in pools if pool.serves(service.metadata.namespace)]
    if wish.pool:
        usable = [pool for pool in usable if pool.name == wish.pool]
        if not usable:
            raise NoAddress(f'there is no pool "{wish.pool}" for namespace {service.metadata.namespace}')
    if wish.addresses:
        return [_granted(service, address, usable, holders) for address in wish.addresses]
    if not wish.pool:
        usable = [pool for pool in usable if pool.auto_assign]
    current = [ip_address(each.ip) for each in service.status.loadBalancer.ingress if each.ip]
    found, lacking = [], []
    for version in wish.versions:
        address = _kept(service, version, current, usable, holders)
        address = address or _free(service, version, usable, holders)
        if address is not None:
            found.append(str(address))
        else:
            lacking.append(f"IPv{version}")
    if not found or (lacking and wish.all_versions):
        raise NoAddress(f"no free {' or '.join(lacking)} address in {_names(usable)}")
    return found


def may_share(service: Service, other: Service) -> bool:
    """Whether two Services may have one address: both say so by the same key, and no port is of both.

    Under ``externalTrafficPolicy: Local`` one node announces for all, so they must have the same Pods.
    """
    key = service.metadata.annotations.get(SHARING)
    if not key or other.metadata.annotations.get(SHARING) != key:
        return False
    ports = {(port.protocol or "TCP", port.port) for port in service.spec.ports}
    if any((port.protocol or "TCP", port.port) in ports for port in other.spec.ports):
        return False
    local = "Local" in (service.spec.externalTrafficPolicy, other.spec.externalTrafficPolicy)
    return not local or service.spec.selector == other.spec.selector


def _wish(service: Service) -> Wish:
    spec = service.spec
    texts = service.metadata.annotations.get(ADDRESSES, spec.loadBalancerIP)
    try:
        addresses = tuple(ip_address(text.strip()) for text in texts.split(",") if text.strip())
    except ValueError as error:
        raise NoAddress(str(error)) from None
    families = spec.ipFamilies or ["IPv4"]
    return Wish(
        versions=tuple(_VERSIONS[family] for family in families if family in _VERSIONS),
        all_versions=spec.ipFamilyPolicy != "PreferDualStack",
        pool=service.metadata.annotations.get(POOL, ""),
        addresses=addresses,
    )


def _granted(service: Service, address: Address, pools: Sequence[Pool], holders: Holders) -> str:
    if not any(address in pool for pool in pools):
        raise NoAddress(f"{address} is in none of the pools for namespace {service.metadata.namespace}")
    others = [each for each in holders(address) if not _same(service, each)]
    for other in others:
        if not may_share(service, other):
            meta = other.metadata
            raise NoAddress(
                f"{address} is that of Service {meta.namespace}/{meta.name}; to share it both need the same"
                f" annotation {SHARING} and different ports"
            )
    return str(address)


def _kept(
    service: Service, version: int, current: Iterable[Address], pools: Sequence[Pool], holders: Holders
) -> Address | None:
    for address in current:
        fits = address.version == version and any(address in pool for pool in pools)
        if fits and _available(service, address, holders):
            return address
    return None


def _free(service: Service, version: int, pools: Sequence[Pool], holders: Holders) -> Address | None:
    # Who may share does so, which is what the annotation is for; else the first that nobody has.
    free = None
    for pool in pools:
        for address in pool.addresses(version):
            if _is_end_of_network(address):
                continue
            taken = [each for each in holders(address) if not _same(service, each)]
            if taken and all(may_share(service, each) for each in taken):
                return address
            if not taken and free is None:
                free = address
                if SHARING not in service.metadata.annotations:
                    return free
            elif not taken and free is not None:
                break  # beyond the addresses in use
    return free


def _available(service: Service, address: Address, holders: Holders) -> bool:
    return all(_same(service, each) or may_share(service, each) for each in holders(address))


def _is_end_of_network(address: Address) -> bool:
    """Whether it ends in .0 or .255, which some devices still take for a network's own."""
    return address.version == 4 and int(address) & 0xFF in (0, 255)


def _same(service: Service, other: Service) -> bool:
    return service.metadata.uid == other.metadata.uid


def _names(pools: Sequence[Pool]) -> str:
    if not pools:
        return "any pool that gives addresses by itself"
    return "pool " + ", ".join(pool.name for pool in pools)
