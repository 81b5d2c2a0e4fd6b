"""RoleBinding: who has a role within a namespace."""

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

_ROLES = ("Role", "ClusterRole")


class RoleBinding(Object):
    subjects: list[Subject] = []
    roleRef: RoleRef = msgspec.field(default_factory=RoleRef)


def _set_defaults(binding: RoleBinding) -> None:
    set_binding_defaults(binding.roleRef, binding.subjects)


def _validate(binding: RoleBinding) -> ErrorList:
    errors = validate_object_meta(binding.metadata, namespaced=True, name_rule=names.path_segment)
    return errors + validate_binding(binding.roleRef, binding.subjects, _ROLES, namespaced=True)


def _validate_update(new: RoleBinding, old: RoleBinding) -> ErrorList:
    return (
        _validate(new)
        + validate_object_meta_update(new.metadata, old.metadata)
        + same_role(new.roleRef, old.roleRef)
    )


def _row(binding: RoleBinding) -> list[Any]:
    meta, role = binding.metadata, binding.roleRef
    age = times.age(meta.creationTimestamp)
    return [meta.name, f"{role.kind}/{role.name}", age, *subject_cells(binding.subjects)]


ROLEBINDINGS = register(
    Resource(
        type=RoleBinding,
        group=GROUP,
        version="v1",
        plural="rolebindings",
        namespaced=True,
        singular="rolebinding",
        set_defaults=_set_defaults,
        validate=_validate,
        validate_update=_validate_update,
        columns=COLUMNS,
        row=_row,
    )
)
