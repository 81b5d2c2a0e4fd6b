"""Which IP families a Service gets, from what it asks for and what the cluster has.

As ``initIPFamilyFields`` in upstream's ``pkg/registry/core/service/storage/alloc.go``.
"""

from __future__ import annotations

from collections.abc import Sequence

from clusterip.apiserver import status
from clusterip.objects.addresses import family_of
from clusterip.objects.core.service import SERVICES, Service
from clusterip.objects.core.service import predicates as service_is
from clusterip.objects.core.service.cluster_ips import validate_cluster_ips
from clusterip.objects.errors import ErrorList, Path, invalid

_SPEC = Path("spec")
_POLICY = _SPEC.child("ipFamilyPolicy")
_CLUSTER_IPS = _SPEC.child("clusterIPs")
_FAMILIES = _SPEC.child("ipFamilies")
_OTHER = {"IPv4": "IPv6", "IPv6": "IPv4"}


def settle_families(service: Service, old: Service | None, families: Sequence[str]) -> None:
    """Fill in ``ipFamilyPolicy`` and ``ipFamilies``. ``families`` are the cluster's, the default first.

    Raises:
        StatusError: 422, what is asked for contradicts itself or the cluster.
    """
    spec = service.spec
    if spec.type == service_is.EXTERNAL_NAME or keeps_dual_stack(service, old):
        return
    selectorless = spec.clusterIP == service_is.HEADLESS and not spec.selector
    if spec.ipFamilyPolicy is None:
        if old is not None and old.spec.ipFamilyPolicy is not None:
            spec.ipFamilyPolicy = old.spec.ipFamilyPolicy
        else:
            # Whose endpoints are of which family nobody knows without a selector.
            spec.ipFamilyPolicy = service_is.REQUIRE_DUAL_STACK if selectorless else service_is.SINGLE_STACK
    _raise_if(service, validate_cluster_ips(service, old))
    errors = _shrink(service, old) if old is not None else []
    errors += _several_in_single_stack(service)
    errors += _infer_from_addresses(service, families)
    _raise_if(service, errors)
    if not selectorless:
        _raise_if(service, _not_in_cluster(service, families))
    if not spec.ipFamilies:
        spec.ipFamilies = [families[0]]
    if (
        spec.ipFamilyPolicy != service_is.SINGLE_STACK
        and len(spec.ipFamilies) == 1
        and (selectorless or len(families) == 2)
    ):
        spec.ipFamilies = [spec.ipFamilies[0], _OTHER[spec.ipFamilies[0]]]


def keeps_dual_stack(service: Service, old: Service | None) -> bool:
    """Whether an unchanged PreferDualStack Service is to stay as it is, whatever the cluster has now."""
    if old is None:
        return False
    new, before = service.spec, old.spec
    return (
        new.ipFamilyPolicy == service_is.PREFER_DUAL_STACK
        and before.ipFamilyPolicy in (None, service_is.PREFER_DUAL_STACK)
        and new.type == before.type != service_is.EXTERNAL_NAME
        and new.clusterIPs == before.clusterIPs
        and new.ipFamilies == before.ipFamilies
    )


def _raise_if(service: Service, errors: ErrorList) -> None:
    if errors:
        raise status.invalid(SERVICES, service.metadata.name, errors)


def _shrink(service: Service, old: Service) -> ErrorList:
    """Going back to one family is said by the policy, and then what is left out may be dropped."""
    new, before = service.spec, old.spec
    if new.ipFamilyPolicy == service_is.SINGLE_STACK:
        if new.clusterIPs == before.clusterIPs:
            new.clusterIPs = new.clusterIPs[:1]
        if new.ipFamilies == before.ipFamilies:
            new.ipFamilies = new.ipFamilies[:1]
        return []
    errors: ErrorList = []
    if new.clusterIPs and len(new.clusterIPs) < len(before.clusterIPs):
        message = "must be 'SingleStack' to release the secondary cluster IP"
        errors.append(invalid(_POLICY, new.ipFamilyPolicy, message))
    if new.ipFamilies and len(new.ipFamilies) < len(before.ipFamilies):
        message = "must be 'SingleStack' to release the secondary IP family"
        errors.append(invalid(_POLICY, new.ipFamilyPolicy, message))
    return errors


def _several_in_single_stack(service: Service) -> ErrorList:
    spec = service.spec
    if spec.ipFamilyPolicy != service_is.SINGLE_STACK:
        return []
    start = "must be 'RequireDualStack' or 'PreferDualStack' when multiple "
    errors: ErrorList = []
    if len(spec.clusterIPs) == 2:
        errors.append(invalid(_POLICY, spec.ipFamilyPolicy, start + "cluster IPs are specified"))
    if len(spec.ipFamilies) == 2:
        errors.append(invalid(_POLICY, spec.ipFamilyPolicy, start + "IP families are specified"))
    return errors


def _infer_from_addresses(service: Service, families: Sequence[str]) -> ErrorList:
    spec = service.spec
    errors: ErrorList = []
    for i, address in enumerate(spec.clusterIPs):
        if address == service_is.HEADLESS:
            break
        family = family_of(address)
        if i < len(spec.ipFamilies):
            continue
        if family in families:
            spec.ipFamilies = [*spec.ipFamilies, family]
        else:
            message = f"{family} is not configured on this cluster"
            errors.append(invalid(_CLUSTER_IPS.item(i), spec.clusterIPs, message))
    return errors


def _not_in_cluster(service: Service, families: Sequence[str]) -> ErrorList:
    spec = service.spec
    errors: ErrorList = []
    if spec.ipFamilyPolicy == service_is.REQUIRE_DUAL_STACK and len(families) < 2:
        message = "this cluster is not configured for dual-stack services"
        errors.append(invalid(_POLICY, spec.ipFamilyPolicy, message))
    for i, family in enumerate(spec.ipFamilies):
        if family not in families:
            errors.append(invalid(_FAMILIES.item(i), family, "not configured on this cluster"))
    return errors
