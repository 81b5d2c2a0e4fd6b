"""Defaults and validation of Nodes."""

from __future__ import annotations

from dataclasses import replace

from clusterip.objects import names
from clusterip.objects.addresses import is_ipv6, validate_cidr, warn_cidr
from clusterip.objects.core.node.types import Node, Taint
from clusterip.objects.errors import (
    ErrorList,
    Path,
    duplicate,
    forbidden,
    go_struct,
    invalid,
    invalid_each,
    not_supported,
    required,
)
from clusterip.objects.metadata import METADATA, validate_object_meta, validate_object_meta_update
from clusterip.objects.resources import canonicalize, validate_amount

TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")

_SPEC = Path("spec")
_STATUS = Path("status")


def set_defaults(node: Node) -> None:
    spec = node.spec
    # podCIDR is the older of the two and decides where they differ; clients that know only one get both.
    if spec.podCIDR and spec.podCIDRs[:1] != [spec.podCIDR]:
        spec.podCIDRs = [spec.podCIDR]
    elif spec.podCIDRs:
        spec.podCIDR = spec.podCIDRs[0]
    if node.status.capacity and not node.status.allocatable:
        node.status.allocatable = dict(node.status.capacity)
    canonicalize(node.status.capacity)
    canonicalize(node.status.allocatable)


def prepare_create(node: Node) -> None:
    # A kubelet registers its node with status, so unlike other kinds' it is kept.
    node.spec.configSource = None
    node.status.config = None


def validate(node: Node) -> ErrorList:
    errors = validate_object_meta(node.metadata, namespaced=False, name_rule=names.dns_subdomain)
    return errors + _validate_taints(node.spec.taints) + _validate_resources(node) + _validate_cidrs(node)


def validate_update(new: Node, old: Node) -> ErrorList:
    return validate_changes(new, old) + _validate_cidrs(new)


def validate_changes(new: Node, old: Node) -> ErrorList:
    """Errors of a changed Node, whichever of spec and status the change was for."""
    errors = validate_object_meta_update(new.metadata, old.metadata)
    errors += _validate_resources(new)
    for i, address in enumerate(new.status.addresses):
        if address in new.status.addresses[:i]:
            shown = go_struct(Type=address.type, Address=address.address)
            errors.append(duplicate(_STATUS.child("addresses").item(i), shown))
    if old.spec.podCIDRs and old.spec.podCIDRs != new.spec.podCIDRs:
        message = 'node updates may not change podCIDR except from "" to valid'
        errors.append(forbidden(_SPEC.child("podCIDRs"), message))
    if old.spec.providerID and old.spec.providerID != new.spec.providerID:
        message = 'node updates may not change providerID except from "" to valid'
        errors.append(forbidden(_SPEC.child("providerID"), message))
    errors += _validate_taints(new.spec.taints)
    if new.spec.externalID != old.spec.externalID:
        errors.append(forbidden(_SPEC.child("externalID"), "may not be updated"))
    return errors


def _validate_cidrs(node: Node) -> ErrorList:
    path, cidrs = _SPEC.child("podCIDRs"), node.spec.podCIDRs
    errors: ErrorList = []
    for i, cidr in enumerate(cidrs):
        errors += validate_cidr(path.item(i), cidr)
    families = {is_ipv6(cidr.partition("/")[0]) for cidr in cidrs}
    if len(cidrs) > 1 and (len(families) < 2 or len(cidrs) > 2):
        errors.append(invalid(path, cidrs, "may specify no more than one CIDR for each IP family"))
    return errors


def _validate_taints(taints: list[Taint]) -> ErrorList:
    errors: ErrorList = []
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate(taints):
        path = METADATA.child("taints").item(i)  # upstream's path, though taints are in spec
        errors += invalid_each(path.child("key"), taint.key, names.label_key(taint.key))
        if problems := names.label_value(taint.value):
            errors.append(invalid(path.child("value"), taint.value, ";".join(problems)))
        if not taint.effect:
            errors.append(required(path.child("effect")))
        elif taint.effect not in TAINT_EFFECTS:
            errors.append(not_supported(path.child("effect"), taint.effect, TAINT_EFFECTS))
        if (taint.key, taint.effect) in seen:
            error = duplicate(path, taint)
            body = f"{error.body}: taints must be unique by key and effect pair"
            errors.append(replace(error, body=body))
        seen.add((taint.key, taint.effect))
    return errors


def _validate_resources(node: Node) -> ErrorList:
    errors: ErrorList = []
    for name in ("capacity", "allocatable"):
        for resource, amount in getattr(node.status, name).items():
            errors += validate_amount(resource, amount, _STATUS.child(name, resource))
    return errors


def warnings(node: Node) -> list[str]:
    found: list[str] = []
    if node.spec.configSource is not None:
        found.append("spec.configSource: the feature is removed")
    if node.spec.externalID:
        found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    for i, cidr in enumerate(node.spec.podCIDRs):
        found += warn_cidr(f"spec.podCIDRs[{i}]", cidr)
    return found
