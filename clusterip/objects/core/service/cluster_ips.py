"""Validation of ``clusterIP``, ``clusterIPs``, ``ipFamilies`` and ``ipFamilyPolicy``."""

from __future__ import annotations

from clusterip.objects.addresses import is_dual_stack, is_ipv6, validate_ip
from clusterip.objects.core.service import predicates
from clusterip.objects.core.service.types import Service
from clusterip.objects.errors import ErrorList, Path, duplicate, invalid, not_supported, required

IP_FAMILIES = ("IPv4", "IPv6")
IP_FAMILY_POLICIES = (
    predicates.PREFER_DUAL_STACK,
    predicates.REQUIRE_DUAL_STACK,
    predicates.SINGLE_STACK,
)

_SPEC = Path("spec")
_CLUSTER_IPS = _SPEC.child("clusterIPs")
_IP_FAMILIES = _SPEC.child("ipFamilies")
_IP_FAMILY_POLICY = _SPEC.child("ipFamilyPolicy")
_UNCHANGEABLE = "may not change once set"


def validate_cluster_ips(service: Service, old: Service | None) -> ErrorList:
    """Errors of these fields by themselves and among each other; addresses of ``old`` may stay.

    Allocation asks too (upstream's ``ValidateServiceClusterIPsRelatedFields``), before it adds to them.
    """
    if service.spec.type == predicates.EXTERNAL_NAME:
        return []
    errors = _agreement(service) + _families(service)
    address_errors = _addresses(service, old.spec.clusterIPs if old is not None else [])
    errors += address_errors
    if len(service.spec.clusterIPs) > 2:
        errors.append(invalid(_CLUSTER_IPS, service.spec.clusterIPs, "may only hold up to 2 values"))
    # What follows compares families, which says nothing useful of addresses that are none.
    return errors if address_errors else errors + _stacks(service)


def _agreement(service: Service) -> ErrorList:
    spec = service.spec
    if spec.clusterIP:
        if not spec.clusterIPs:
            return [required(_CLUSTER_IPS)]
        if spec.clusterIPs[0] != spec.clusterIP:
            return [invalid(_CLUSTER_IPS, spec.clusterIPs, "first value must match `clusterIP`")]
    elif spec.clusterIPs:
        message = "must be empty when `clusterIP` is not specified"
        return [invalid(_CLUSTER_IPS, spec.clusterIPs, message)]
    return []


def _families(service: Service) -> ErrorList:
    errors: ErrorList = []
    seen: set[str] = set()
    for i, family in enumerate(service.spec.ipFamilies):
        if family not in IP_FAMILIES:
            errors.append(not_supported(_IP_FAMILIES.item(i), family, IP_FAMILIES))
        if family in seen:
            errors.append(duplicate(_IP_FAMILIES.item(i), family))
        seen.add(family)
    policy = service.spec.ipFamilyPolicy
    if policy is not None and policy not in IP_FAMILY_POLICIES:
        errors.append(not_supported(_IP_FAMILY_POLICY, policy, IP_FAMILY_POLICIES))
    return errors


def _addresses(service: Service, keep: list[str]) -> ErrorList:
    errors: ErrorList = []
    for i, address in enumerate(service.spec.clusterIPs):
        if i == 0 and address == predicates.HEADLESS:
            if len(service.spec.clusterIPs) > 1:
                message = "'None' must be the first and only value"
                errors.append(invalid(_CLUSTER_IPS, service.spec.clusterIPs, message))
            continue
        errors += validate_ip(_CLUSTER_IPS.item(i), address, keep)
    return errors


def _stacks(service: Service) -> ErrorList:
    spec = service.spec
    errors: ErrorList = []
    if len(spec.clusterIPs) > 1 and not is_dual_stack(spec.clusterIPs):
        message = "may specify no more than one IP for each IP family"
        errors.append(invalid(_CLUSTER_IPS, spec.clusterIPs, message))
    if predicates.is_headless(service):
        return errors
    for i, (address, family) in enumerate(zip(spec.clusterIPs, spec.ipFamilies, strict=False)):
        actual = "IPv6" if is_ipv6(address) else "IPv4"
        if family in IP_FAMILIES and family != actual:
            message = f"expected an {family} value as indicated by `ipFamilies[{i}]`"
            errors.append(invalid(_CLUSTER_IPS.item(i), address, message))
    return errors


def validate_cluster_ips_update(new: Service, old: Service) -> ErrorList:
    """Errors of changed addresses and families: a second one may come and go, the first one stays.

    A change from, to or between Services without address of their own (ExternalName, headless) is free.
    """
    if predicates.EXTERNAL_NAME in (new.spec.type, old.spec.type):
        return []
    headless = predicates.is_headless(new), predicates.is_headless(old)
    errors = [] if all(headless) else _address_changes(new, old)
    return errors if any(headless) else errors + _family_changes(new, old)


def _address_changes(new: Service, old: Service) -> ErrorList:
    before, after = old.spec.clusterIPs, new.spec.clusterIPs
    shown = after or None
    if len(before) == len(after):
        return [
            invalid(_CLUSTER_IPS.item(i), shown, _UNCHANGEABLE)
            for i, (a, b) in enumerate(zip(before, after, strict=True))
            if a != b
        ]
    errors: ErrorList = []
    first = _CLUSTER_IPS.item(0)
    if not after:
        errors.append(invalid(first, shown, "primary clusterIP can not be unset"))
    elif before and before[0] != after[0]:
        errors.append(invalid(first, shown, _UNCHANGEABLE))
    if len(before) > len(after) == 1 and new.spec.ipFamilyPolicy != predicates.SINGLE_STACK:
        message = "must be set to 'SingleStack' when releasing the secondary clusterIP"
        errors.append(invalid(_IP_FAMILY_POLICY, new.spec.ipFamilyPolicy, message))
    return errors


def _family_changes(new: Service, old: Service) -> ErrorList:
    before, after = old.spec.ipFamilies, new.spec.ipFamilies
    first = _IP_FAMILIES.item(0)
    if len(before) == len(after):
        return [invalid(first, after, _UNCHANGEABLE) for a, b in zip(before, after, strict=True) if a != b]
    errors: ErrorList = []
    if len(before) > len(after) and not new.spec.clusterIPs:
        errors.append(invalid(first, after or None, "primary ipFamily can not be unset"))
    if before and after and before[0] != after[0]:
        # Upstream shows the addresses here, not the families.
        errors.append(invalid(first, new.spec.clusterIPs or None, _UNCHANGEABLE))
    if len(before) > len(after) == 1 and new.spec.ipFamilyPolicy != predicates.SINGLE_STACK:
        message = "must be set to 'SingleStack' when releasing the secondary ipFamily"
        errors.append(invalid(_IP_FAMILY_POLICY, new.spec.ipFamilyPolicy, message))
    return errors
