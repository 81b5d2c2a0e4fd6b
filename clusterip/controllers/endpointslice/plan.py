"""From the slices that are and the endpoints that should be to the fewest writes. Pure.

Every watcher in the cluster receives every slice that is written, so endpoints stay in the slice they
are in, and full slices are preferred over new ones (``k8s.io/endpointslice/reconciler.go``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from clusterip.controllers import services
from clusterip.controllers.copying import deep_copy
from clusterip.controllers.endpointslice.desired import Desired, EndpointId, Group, endpoint_id, port_key
from clusterip.controllers.owners import controller_of, controller_reference
from clusterip.objects import names
from clusterip.objects.core.service import Service
from clusterip.objects.discovery.endpointslice import Endpoint, EndpointSlice
from clusterip.objects.meta import ObjectMeta

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
SERVICE_NAME = "kubernetes.io/service-name"
MANAGER = "endpointslice-controller.k8s.io"

_RESERVED = (SERVICE_NAME, MANAGED_BY, services.HEADLESS)


@dataclass
class Plan:
    """The writes that make the slices right."""

    create: list[EndpointSlice] = field(default_factory=list)
    update: list[EndpointSlice] = field(default_factory=list)
    delete: list[EndpointSlice] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.create or self.update or self.delete)


def plan(
    service: Service,
    address_type: str,
    existing: Iterable[EndpointSlice],
    desired: Desired,
    maximum: int = 100,
) -> Plan:
    """What to write so that ``existing``, the Service's slices of one family, hold what is desired.

    ``maximum`` is how many endpoints a slice may have.
    """
    result = Plan()
    slices: dict[object, list[EndpointSlice]] = {}
    count = 0
    for current in existing:
        count += 1
        owner = controller_of(current.metadata)
        if owner is not None and owner.uid == service.metadata.uid:
            slices.setdefault(port_key(current.ports), []).append(current)
        else:
            result.delete.append(current)  # of an earlier Service of the same name
    for key, group in desired.groups.items():
        _plan_group(service, address_type, slices.pop(key, []), group, maximum, result)
    for leftover in slices.values():
        result.delete += leftover
    if count == len(result.delete) and not result.create:
        _keep_placeholder(service, address_type, result)
    _recycle(service, result)
    return result


def labels_of(service: Service) -> dict[str, str]:
    """A slice's labels: the Service's own and those that say whose and what it is."""
    labels = {key: value for key, value in service.metadata.labels.items() if key not in _RESERVED}
    if not services.is_ip_set(service):
        labels[services.HEADLESS] = ""
    return {**labels, SERVICE_NAME: service.metadata.name, MANAGED_BY: MANAGER}


def name_prefix(service: str) -> str:
    """What the names of a Service's slices begin with: the dash looks better, where there is room for it."""
    prefix = f"{service}-"
    return service if names.dns_subdomain(names.as_prefix(prefix)) else prefix


def _plan_group(
    service: Service,
    address_type: str,
    existing: list[EndpointSlice],
    group: Group,
    maximum: int,
    result: Plan,
) -> None:
    missing = dict(group.endpoints)
    labels = labels_of(service)
    unchanged: list[EndpointSlice] = []
    changed: list[EndpointSlice] = []
    for current in existing:
        kept, differs = _kept(current, missing)
        if differs and not kept:
            result.delete.append(current)
        elif differs or current.metadata.labels != labels:
            changed.append(_rewritten(current, kept, labels))
        else:
            unchanged.append(current)
    # What is written anyway takes in new endpoints first, the fullest before the others.
    for current in sorted(changed, key=lambda s: len(s.endpoints), reverse=True):
        _fill(current, missing, maximum)
    while missing:
        target = _roomiest_fit(unchanged, len(missing), maximum)
        if target is None:
            fresh = _new_slice(service, address_type, group, labels)
            _fill(fresh, missing, maximum)
            result.create.append(fresh)
        else:
            unchanged.remove(target)
            rewritten = _rewritten(target, list(target.endpoints), labels)
            _fill(rewritten, missing, maximum)
            changed.append(rewritten)
    result.update += changed


def _kept(current: EndpointSlice, missing: dict[EndpointId, Endpoint]) -> tuple[list[Endpoint], bool]:
    """The endpoints of a slice that are still wanted, as they should be now, and whether it changes.

    Takes what it finds out of ``missing``.
    """
    kept: list[Endpoint] = []
    differs = False
    for endpoint in current.endpoints:
        wanted = missing.pop(endpoint_id(endpoint), None)
        if wanted is None:
            differs = True
        else:
            differs = differs or wanted != endpoint
            kept.append(wanted)
    return kept, differs


def _fill(target: EndpointSlice, missing: dict[EndpointId, Endpoint], maximum: int) -> None:
    room = maximum - len(target.endpoints)
    for key in list(missing)[: max(room, 0)]:
        target.endpoints.append(missing.pop(key))


def _roomiest_fit(candidates: list[EndpointSlice], count: int, maximum: int) -> EndpointSlice | None:
    """The slice that takes ``count`` more endpoints and is the fullest after it, if one takes them all."""
    fitting = [s for s in candidates if len(s.endpoints) + count <= maximum]
    return max(fitting, key=lambda s: len(s.endpoints), default=None)


def _rewritten(current: EndpointSlice, endpoints: list[Endpoint], labels: dict[str, str]) -> EndpointSlice:
    copy = deep_copy(current)
    copy.endpoints = endpoints
    copy.metadata.labels = labels
    return copy


def _new_slice(service: Service, address_type: str, group: Group, labels: dict[str, str]) -> EndpointSlice:
    return EndpointSlice(
        metadata=ObjectMeta(
            generateName=name_prefix(service.metadata.name),
            namespace=service.metadata.namespace,
            labels=labels,
            ownerReferences=[controller_reference(service)],
        ),
        addressType=address_type,
        ports=group.ports,
    )


def _keep_placeholder(service: Service, address_type: str, result: Plan) -> None:
    """A Service without endpoints has one empty slice, which tells it from one not looked at yet."""
    placeholder = _new_slice(service, address_type, Group([]), labels_of(service))
    if len(result.delete) == 1:
        last = result.delete[0]
        same = (
            not last.endpoints
            and not last.ports
            and last.addressType == address_type
            and last.metadata.labels == placeholder.metadata.labels
            and last.metadata.ownerReferences == placeholder.metadata.ownerReferences
        )
        if same:
            result.delete.clear()
            return
    result.create.append(placeholder)


def _recycle(service: Service, result: Plan) -> None:
    """One update in place of a deletion and a creation: half the writes, and never a moment without."""
    for obsolete in list(result.delete):
        owner = controller_of(obsolete.metadata)
        if not result.create or owner is None or owner.uid != service.metadata.uid:
            continue
        successor = result.create.pop()
        fresh = successor.metadata
        successor.metadata = deep_copy(obsolete.metadata)
        successor.metadata.labels = fresh.labels
        result.delete.remove(obsolete)
        result.update.append(successor)
