"""From an Endpoints object to the slices that say the same, and to the writes that make them so. Pure.

One slice for each family and combination of ports (``pkg/controller/endpointslicemirroring``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from clusterip.controllers import services
from clusterip.controllers.copying import deep_copy
from clusterip.controllers.endpoints.subsets import repacked
from clusterip.controllers.endpointslice.desired import EndpointId, PortKey, endpoint_id, port_key
from clusterip.controllers.endpointslice.plan import MANAGED_BY, SERVICE_NAME, Plan, name_prefix
from clusterip.controllers.owners import controller_reference
from clusterip.objects.core.endpoints import EndpointAddress, Endpoints, EndpointSubset
from clusterip.objects.discovery.endpointslice import (
    Endpoint,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
)
from clusterip.objects.meta import ObjectMeta

MANAGER = "endpointslicemirroring-controller.k8s.io"

_NOT_COPIED = (services.LAST_CHANGE_TRIGGER_TIME, "kubectl.kubernetes.io/last-applied-configuration")

_SliceKey = tuple[str, PortKey]


@dataclass
class Mirror:
    """The writes, and how many addresses could not be mirrored and why."""

    plan: Plan = field(default_factory=Plan)
    invalid: int = 0
    too_many: int = 0


@dataclass
class _Wanted:
    ports: list[EndpointPort]
    endpoints: dict[EndpointId, Endpoint] = field(default_factory=dict)


def mirror(endpoints: Endpoints, existing: Iterable[EndpointSlice], maximum: int = 1000) -> Mirror:
    """What to write so that ``existing``, the slices mirrored so far, say what ``endpoints`` says.

    ``maximum`` is how many addresses of a subset are mirrored.
    """
    result = Mirror()
    wanted: dict[_SliceKey, _Wanted] = {}
    for subset in repacked(endpoints.subsets):
        _add_subset(subset, maximum, wanted, result)
    found: dict[_SliceKey, list[EndpointSlice]] = {}
    for current in existing:
        found.setdefault((current.addressType, port_key(current.ports)), []).append(current)
    for key, group in wanted.items():
        _plan_slice(endpoints, key[0], found.pop(key, []), group, result.plan)
    for leftover in found.values():
        result.plan.delete += leftover
    _recycle(result.plan)
    return result


def _add_subset(
    subset: EndpointSubset, maximum: int, wanted: dict[_SliceKey, _Wanted], result: Mirror
) -> None:
    ports = [
        EndpointPort(name=p.name, port=p.port, protocol=p.protocol or "TCP", appProtocol=p.appProtocol)
        for p in subset.ports
    ]
    added = 0
    for ready, addresses in ((True, subset.addresses), (False, subset.notReadyAddresses)):
        for address in addresses:
            if added >= maximum:
                result.too_many += 1
                continue
            try:
                family, endpoint = _endpoint(address, ready)
            except ValueError:
                result.invalid += 1
                continue
            group = wanted.setdefault((family, port_key(ports)), _Wanted(ports))
            group.endpoints[endpoint_id(endpoint)] = endpoint
            added += 1


def _endpoint(address: EndpointAddress, ready: bool) -> tuple[str, Endpoint]:
    """Raises ValueError if it is no IP address."""
    ip = ip_address(address.ip)
    endpoint = Endpoint(
        addresses=[str(ip)],
        conditions=EndpointConditions(ready=ready),
        hostname=address.hostname or None,
        targetRef=address.targetRef,
        nodeName=address.nodeName,
    )
    return "IPv6" if isinstance(ip, IPv6Address) else "IPv4", endpoint


def _plan_slice(
    endpoints: Endpoints, family: str, existing: Sequence[EndpointSlice], wanted: _Wanted, plan: Plan
) -> None:
    fresh = _slice(endpoints, family, wanted)
    if not existing:
        plan.create.append(fresh)
        return
    current = existing[0]
    plan.delete += existing[1:]
    if _same(current, fresh):
        return
    plan.update.append(_in_place_of(current, fresh))


def _slice(endpoints: Endpoints, family: str, wanted: _Wanted) -> EndpointSlice:
    meta = endpoints.metadata
    return EndpointSlice(
        metadata=ObjectMeta(
            generateName=name_prefix(meta.name),
            namespace=meta.namespace,
            labels={**meta.labels, SERVICE_NAME: meta.name, MANAGED_BY: MANAGER},
            annotations={key: value for key, value in meta.annotations.items() if key not in _NOT_COPIED},
            ownerReferences=[controller_reference(endpoints)],
        ),
        addressType=family,
        endpoints=list(wanted.endpoints.values()),
        ports=wanted.ports,
    )


def _same(current: EndpointSlice, fresh: EndpointSlice) -> bool:
    return (
        {endpoint_id(e): e for e in current.endpoints} == {endpoint_id(e): e for e in fresh.endpoints}
        and current.metadata.labels == fresh.metadata.labels
        and current.metadata.annotations == fresh.metadata.annotations
        and current.metadata.ownerReferences == fresh.metadata.ownerReferences
    )


def _in_place_of(current: EndpointSlice, fresh: EndpointSlice) -> EndpointSlice:
    kept, wanted = deep_copy(current.metadata), fresh.metadata
    kept.labels, kept.annotations = wanted.labels, wanted.annotations
    kept.ownerReferences = wanted.ownerReferences
    fresh.metadata = kept
    return fresh


def _recycle(plan: Plan) -> None:
    """One update in place of a deletion and a creation; a slice's family cannot change."""
    for fresh in list(plan.create):
        obsolete = next((s for s in plan.delete if s.addressType == fresh.addressType), None)
        if obsolete is not None:
            plan.create.remove(fresh)
            plan.delete.remove(obsolete)
            plan.update.append(_in_place_of(obsolete, fresh))
