"""ClusterRoleBinding: who has a role everywhere."""

from __future__ import annotations

from typing import Any

import msgspec

from clusterip.objects import names, times
from clusterip.objects.errors import ErrorList
from clusterip.objects.meta import Object
from clusterip.objects.metadata import validate_object_meta, validate_object_meta_update
from clusterip.objects.rbac.rules import GROUP
from clusterip.objects.rbac.subjects import (
    COLUMNS,
    RoleRef,
    Subject,
    same_role,
    set_binding_defaults,
    subject_cells,
    validate_binding,
)
from clusterip.objects.registry import Resource, register

_ROLES = ("ClusterRole",)


class ClusterRoleBinding(Object):
    subjects: list[Subject] = []
    roleRef: RoleRef = msgspec.field(default_factory=RoleRef)


def _set_defaults(binding: ClusterRoleBinding) -> None:
    set_binding_defaults(binding.roleRef, binding.subjects)


def _validate(binding: ClusterRoleBinding) -> ErrorList:
    errors = validate_object_meta(binding.metadata, namespaced=False, name_rule=names.path_segment)
    return errors + validate_binding(binding.roleRef, binding.subjects, _ROLES, namespaced=False)


def _validate_update(new: ClusterRoleBinding, old: ClusterRoleBinding) -> ErrorList:
    return (
        _validate(new)
        + validate_object_meta_update(new.metadata, old.metadata)
        + same_role(new.roleRef, old.roleRef)
    )


def _row(binding: ClusterRoleBinding) -> list[Any]:
    meta, role = binding.metadata, binding.roleRef
    age = times.age(meta.creationTimestamp)
    return [meta.name, f"{role.kind}/{role.name}", age, *subject_cells(binding.subjects)]


CLUSTERROLEBINDINGS = register(
    Resource(
        type=ClusterRoleBinding,
        group=GROUP,
        version="v1",
        plural="clusterrolebindings",
        namespaced=False,
        singular="clusterrolebinding",
        set_defaults=_set_defaults,
        validate=_validate,
        validate_update=_validate_update,
        columns=COLUMNS,
        row=_row,
    )
)
