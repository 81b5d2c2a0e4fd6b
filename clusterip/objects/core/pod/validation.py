"""Validation of Pods: a new one, an update of its few changeable fields, and of its status."""

from __future__ import annotations

from clusterip.objects import names
from clusterip.objects.addresses import is_dual_stack, validate_ip
from clusterip.objects.codec import copy
from clusterip.objects.core.containers import Container
from clusterip.objects.core.pod.containers import validate_image_spaces
from clusterip.objects.core.pod.spec import validate_spec
from clusterip.objects.core.pod.types import ContainerStatus, Pod
from clusterip.objects.core.pod_spec import PodSpec
from clusterip.objects.core.scheduling import Toleration
from clusterip.objects.errors import ErrorList, Path, forbidden, invalid, invalid_each
from clusterip.objects.metadata import (
    immutable,
    validate_object_meta,
    validate_object_meta_update,
)
from clusterip.objects.rules import not_negative

CHANGEABLE = (
    "`spec.containers[*].image`",
    "`spec.initContainers[*].image`",
    "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
)

_SPEC = Path("spec")
_STATUS = Path("status")
_SYSTEM_CONDITIONS = ("PodScheduled", "Ready", "Initialized")


def validate(pod: Pod) -> ErrorList:
    """Errors of a new Pod."""
    errors = validate_object_meta(pod.metadata, namespaced=True, name_rule=names.dns_subdomain)
    errors += validate_pod_spec(pod)
    if pod.spec.ephemeralContainers:
        errors.append(forbidden(_SPEC.child("ephemeralContainers"), "cannot be set on create"))
    if pod.spec.nodeName and pod.spec.schedulingGates:
        message = "cannot be set until all schedulingGates have been cleared"
        errors.append(forbidden(_SPEC.child("nodeName"), message))
    return errors


def validate_pod_spec(pod: Pod) -> ErrorList:
    """Errors of a Pod's spec, whether the Pod is new or not."""
    errors = validate_spec(pod.spec, _SPEC, in_pod=True)
    if not pod.spec.serviceAccountName:  # which admission gives every new Pod
        errors += _validate_no_tokens(pod.spec)
    for name in ("containers", "initContainers"):
        for i, container in enumerate(getattr(pod.spec, name)):
            errors += validate_image_spaces(container, _SPEC.child(name).item(i))
    return errors


def _validate_no_tokens(spec: PodSpec) -> ErrorList:
    """Errors of tokens for a service account that is not named."""
    errors: ErrorList = []
    for i, volume in enumerate(spec.volumes):
        for j, source in enumerate(volume.projected.sources if volume.projected is not None else ()):
            if source.serviceAccountToken is not None:
                where = _SPEC.child("volumes").item(i).child("projected", "sources").item(j)
                message = "must not be specified when serviceAccountName is not set"
                errors.append(forbidden(where.child("serviceAccountToken"), message))
    return errors


def validate_update(new: Pod, old: Pod) -> ErrorList:
    """Errors of a changed Pod, of whose spec hardly anything may change."""
    errors = validate_object_meta_update(new.metadata, old.metadata)
    if new.spec == old.spec:
        # What was valid by older rules may stay as it is.
        return errors
    errors += validate_pod_spec(new)
    for name in ("containers", "initContainers"):
        if len(getattr(new.spec, name)) != len(getattr(old.spec, name)):
            message = "pod updates may not add or remove containers"
            return [*errors, forbidden(_SPEC.child(name), message)]
    errors += _validate_deadline(new.spec, old.spec)
    errors += _validate_tolerations(new.spec.tolerations, old.spec.tolerations)
    errors += _validate_scheduling_gates(new.spec, old.spec)
    return errors + _validate_rest(new.spec, old.spec)


def _validate_deadline(new: PodSpec, old: PodSpec) -> ErrorList:
    where = _SPEC.child("activeDeadlineSeconds")
    after, before = new.activeDeadlineSeconds, old.activeDeadlineSeconds
    if after is None:
        message = "must not update from a positive integer to nil value"
        return [] if before is None else [invalid(where, None, message)]
    if before is not None and before < after:
        return [invalid(where, after, "must be less than or equal to previous value")]
    return []


def _validate_tolerations(new: list[Toleration], old: list[Toleration]) -> ErrorList:
    kept = [_without_seconds(toleration) for toleration in new]
    if all(_without_seconds(toleration) in kept for toleration in old):
        return []
    message = "existing toleration can not be modified except its tolerationSeconds"
    return [forbidden(_SPEC.child("tolerations"), message)]


def _without_seconds(toleration: Toleration) -> tuple[str, str, str, str]:
    return toleration.key, toleration.operator, toleration.value, toleration.effect


def _validate_scheduling_gates(new: PodSpec, old: PodSpec) -> ErrorList:
    known = {gate.name for gate in old.schedulingGates}
    errors: ErrorList = []
    for i, gate in enumerate(new.schedulingGates):
        if gate.name not in known:
            message = f"only deletion is allowed, but found new scheduling gate '{gate.name}'"
            errors.append(forbidden(_SPEC.child("schedulingGates").item(i).child("name"), message))
    return errors


def _validate_rest(new: PodSpec, old: PodSpec) -> ErrorList:
    """An error if anything beside the changeable fields, which are judged by now, differs."""
    rest = copy(new)
    _take_images(rest.containers, old.containers)
    _take_images(rest.initContainers, old.initContainers)
    rest.activeDeadlineSeconds = old.activeDeadlineSeconds
    rest.schedulingGates = old.schedulingGates
    rest.tolerations = old.tolerations
    if (old.terminationGracePeriodSeconds or 0) < 0 and rest.terminationGracePeriodSeconds == 1:
        rest.terminationGracePeriodSeconds = old.terminationGracePeriodSeconds
    if rest == old:
        return []
    fields = [name for name in rest.__struct_fields__ if getattr(rest, name) != getattr(old, name)]
    changed = "\n".join(f"  spec.{name} differs" for name in fields)
    message = f"pod updates may not change fields other than {','.join(CHANGEABLE)}\n{changed}"
    return [forbidden(_SPEC, message)]


def _take_images(containers: list[Container], source: list[Container]) -> None:
    for container, other in zip(containers, source, strict=True):
        container.image = other.image


def validate_status_update(new: Pod, old: Pod) -> ErrorList:
    """Errors of what a node reports of a Pod."""
    errors = validate_object_meta_update(new.metadata, old.metadata)
    for i, condition in enumerate(new.status.conditions):
        where = _STATUS.child("conditions").item(i)
        errors += not_negative(where.child("observedGeneration"), condition.observedGeneration)
        if condition.type not in _SYSTEM_CONDITIONS:
            errors += invalid_each(where.child("Type"), condition.type, names.label_key(condition.type))
    nominated = new.status.nominatedNodeName
    if nominated and nominated != old.status.nominatedNodeName:
        where = _STATUS.child("nominatedNodeName")
        errors += invalid_each(where, nominated, names.dns_subdomain(nominated))
    errors += immutable(new.status.qosClass, old.status.qosClass, _STATUS.child("qosClass"))
    errors += _validate_transitions(new, old)
    return errors + _validate_addresses(new, old)


def _validate_transitions(new: Pod, old: Pod) -> ErrorList:
    """A container that ended for good does not run again."""
    errors: ErrorList = []
    after = {status.name: status for status in new.status.containerStatuses}
    for i, status in enumerate(old.status.containerStatuses):
        now = after.get(status.name)
        if now is None or now.state.terminated is not None or _may_restart(status, old.spec):
            continue
        where = _STATUS.child("containerStatuses").item(i).child("state")
        errors.append(forbidden(where, "may not be transitioned to non-terminated state"))
    return errors


def _may_restart(status: ContainerStatus, spec: PodSpec) -> bool:
    terminated = status.state.terminated
    if terminated is None:
        return True
    container = next((c for c in spec.containers if c.name == status.name), None)
    if container is not None and container.restartPolicyRules:
        return True
    policy = (container.restartPolicy if container is not None else None) or spec.restartPolicy
    return policy == "Always" or (policy == "OnFailure" and terminated.exitCode != 0)


def _validate_addresses(new: Pod, old: Pod) -> ErrorList:
    errors: ErrorList = []
    if new.status.hostIPs and new.status.hostIP != new.status.hostIPs[0].ip:
        where = _STATUS.child("hostIPs").item(0).child("ip")
        errors.append(invalid(where, new.status.hostIPs[0].ip, "must be equal to `hostIP`"))
    for name in ("podIPs", "hostIPs"):
        where = _STATUS.child(name)
        addresses = [entry.ip for entry in getattr(new.status, name)]
        keep = [entry.ip for entry in getattr(old.status, name)]
        for i, address in enumerate(addresses):
            errors += validate_ip(where.item(i), address, keep)
        if len(addresses) > 2 or (len(addresses) == 2 and not is_dual_stack(addresses)):
            message = "may specify no more than one IP for each IP family"
            errors.append(invalid(where, getattr(new.status, name), message))
    return errors
