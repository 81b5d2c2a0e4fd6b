"""What RoleBindings and ClusterRoleBindings share: a role, and who gets it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clusterip.objects import names
from clusterip.objects.base import Struct, always
from clusterip.objects.errors import (
    ErrorList,
    Path,
    go_struct,
    invalid,
    invalid_each,
    not_supported,
    required,
)
from clusterip.objects.rbac.rules import GROUP
from clusterip.objects.registry import Column
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN, wide

USER, USERS_GROUP, SERVICE_ACCOUNT = "User", "Group", "ServiceAccount"


class RoleRef(Struct):
    """The role that is given, which never changes."""

    owned_whole = True

    apiGroup: str = always("")
    kind: str = always("")
    name: str = always("")


class Subject(Struct):
    """Who gets the role: a user, a group or a ServiceAccount."""

    owned_whole = True

    kind: str = always("")
    apiGroup: str = ""
    name: str = always("")
    namespace: str = ""


COLUMNS = (
    NAME_COLUMN,
    Column("Role", description="The role that is given."),
    AGE_COLUMN,
    wide("Users", "The users who get it."),
    wide("Groups", "The groups whose members get it."),
    wide("ServiceAccounts", "The ServiceAccounts that get it."),
)


def set_binding_defaults(role: RoleRef, subjects: Sequence[Subject]) -> None:
    role.apiGroup = role.apiGroup or GROUP
    for subject in subjects:
        if subject.kind in (USER, USERS_GROUP):
            subject.apiGroup = subject.apiGroup or GROUP


def validate_binding(
    role: RoleRef, subjects: Sequence[Subject], roles: Sequence[str], *, namespaced: bool
) -> ErrorList:
    """Errors of a binding to one of the kinds of ``roles``."""
    path = Path("roleRef")
    errors: ErrorList = []
    if role.apiGroup != GROUP:
        errors.append(not_supported(path.child("apiGroup"), role.apiGroup, [GROUP]))
    if role.kind not in roles:
        errors.append(not_supported(path.child("kind"), role.kind, roles))
    if not role.name:
        errors.append(required(path.child("name")))
    else:
        errors += invalid_each(path.child("name"), role.name, names.path_segment(role.name))
    for i, subject in enumerate(subjects):
        errors += _validate_subject(subject, namespaced, Path("subjects").item(i))
    return errors


def _validate_subject(subject: Subject, namespaced: bool, path: Path) -> ErrorList:
    errors: ErrorList = [] if subject.name else [required(path.child("name"))]
    if subject.kind == SERVICE_ACCOUNT:
        if subject.name:
            errors += invalid_each(path.child("name"), subject.name, names.dns_subdomain(subject.name))
        if subject.apiGroup:
            errors.append(not_supported(path.child("apiGroup"), subject.apiGroup, [""]))
        if not namespaced and not subject.namespace:
            errors.append(required(path.child("namespace")))
    elif subject.kind in (USER, USERS_GROUP):
        if subject.apiGroup != GROUP:
            errors.append(not_supported(path.child("apiGroup"), subject.apiGroup, [GROUP]))
    else:
        kinds = (SERVICE_ACCOUNT, USER, USERS_GROUP)
        errors.append(not_supported(path.child("kind"), subject.kind, kinds))
    return errors


def same_role(new: RoleRef, old: RoleRef) -> ErrorList:
    """An error if a binding would give another role than it did."""
    if new == old:
        return []
    shown = go_struct(APIGroup=new.apiGroup, Kind=new.kind, Name=new.name)
    return [invalid("roleRef", shown, "cannot change roleRef")]


def subject_cells(subjects: Sequence[Subject]) -> list[Any]:
    """The cells of users, groups and ServiceAccounts."""
    users = [subject.name for subject in subjects if subject.kind == USER]
    groups = [subject.name for subject in subjects if subject.kind == USERS_GROUP]
    accounts = [f"{s.namespace}/{s.name}" for s in subjects if s.kind == SERVICE_ACCOUNT]
    return [", ".join(users), ", ".join(groups), ", ".join(accounts)]
