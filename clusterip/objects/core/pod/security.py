"""Validation of security contexts."""

from __future__ import annotations

import re

from clusterip.objects import names
from clusterip.objects.core.security import PodSecurityContext, SeccompProfile, SecurityContext, Sysctl
from clusterip.objects.errors import (
    ErrorList,
    Path,
    duplicate,
    forbidden,
    invalid,
    invalid_each,
    not_supported,
    required,
)
from clusterip.objects.rules import descending_path

MAX_ID = 2**31 - 1
FS_GROUP_CHANGE_POLICIES = ("Always", "OnRootMismatch")
SECCOMP_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
PROC_MOUNTS = ("Default", "Unmasked")
_SYSCTL = r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"


def validate_security_context(context: SecurityContext | None, path: Path, host_users: bool) -> ErrorList:
    """Errors of one container's security context."""
    if context is None:
        return []
    errors = _validate_id(path.child("runAsUser"), context.runAsUser)
    errors += _validate_id(path.child("runAsGroup"), context.runAsGroup)
    if context.procMount is not None:
        where = path.child("procMount")
        if context.procMount not in PROC_MOUNTS:
            errors.append(not_supported(where, context.procMount, PROC_MOUNTS))
        elif context.procMount == "Unmasked" and host_users:
            message = "`hostUsers` must be false to use `Unmasked`"
            errors.append(invalid(where, context.procMount, message))
    errors += _validate_seccomp(context.seccompProfile, path.child("seccompProfile"))
    if context.allowPrivilegeEscalation is False:
        refused = "cannot set `allowPrivilegeEscalation` to false and"
        if context.privileged:
            errors.append(invalid(path, context, f"{refused} `privileged` to true"))
        if context.capabilities is not None and "CAP_SYS_ADMIN" in context.capabilities.add:
            errors.append(invalid(path, context, f"{refused} `capabilities.Add` CAP_SYS_ADMIN"))
    return errors


def validate_pod_security_context(
    context: PodSecurityContext | None, path: Path, *, host_pid: bool, shared_pid: bool
) -> ErrorList:
    """Errors of the security context that all of a Pod's containers inherit."""
    if context is None:
        return []
    errors: ErrorList = []
    for name in ("fsGroup", "runAsUser", "runAsGroup"):
        errors += _validate_id(path.child(name), getattr(context, name))
    for i, group in enumerate(context.supplementalGroups):
        errors += _validate_id(path.child("supplementalGroups").item(i), group)
    if host_pid and shared_pid:
        message = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(invalid(path.child("shareProcessNamespace"), True, message))
    policy = context.fsGroupChangePolicy
    if policy is not None and policy not in FS_GROUP_CHANGE_POLICIES:
        errors.append(not_supported(path.child("fsGroupChangePolicy"), policy, FS_GROUP_CHANGE_POLICIES))
    errors += _validate_sysctls(context.sysctls, path.child("sysctls"))
    return errors + _validate_seccomp(context.seccompProfile, path.child("seccompProfile"))


def _validate_sysctls(sysctls: list[Sysctl], path: Path) -> ErrorList:
    errors: ErrorList = []
    seen: set[str] = set()
    for i, sysctl in enumerate(sysctls):
        where = path.item(i).child("name")
        if not sysctl.name:
            errors.append(required(where))
        elif len(sysctl.name) > 253 or not re.fullmatch(_SYSCTL, sysctl.name):
            message = f"must have at most 253 characters and match regex ^{_SYSCTL}$"
            errors.append(invalid(where, sysctl.name, message))
        elif sysctl.name.replace("/", ".") in seen:
            errors.append(duplicate(where, sysctl.name))
        seen.add(sysctl.name.replace("/", "."))
    return errors


def _validate_id(path: Path, value: int | None) -> ErrorList:
    return [] if value is None else invalid_each(path, value, names.in_range(value, 0, MAX_ID))


def _validate_seccomp(profile: SeccompProfile | None, path: Path) -> ErrorList:
    if profile is None:
        return []
    if not profile.type:
        return [required(path.child("type"), "type is required when seccompProfile is set")]
    if profile.type not in SECCOMP_TYPES:
        return [not_supported(path.child("type"), profile.type, SECCOMP_TYPES)]
    where = path.child("localhostProfile")
    if profile.type == "Localhost":
        if profile.localhostProfile is None:
            return [required(where, "must be set when seccomp type is Localhost")]
        return descending_path(where, profile.localhostProfile)
    if profile.localhostProfile is not None:
        return [forbidden(where, "can only be set when seccomp type is Localhost")]
    return []
