"""Role: what may be done within a namespace."""

from __future__ import annotations

from typing import Any

from clusterip.objects import names
from clusterip.objects.base import always_list
from clusterip.objects.errors import ErrorList
from clusterip.objects.meta import Object
from clusterip.objects.metadata import validate_object_meta, validate_object_meta_update
from clusterip.objects.rbac.rules import GROUP, PolicyRule, validate_rules
from clusterip.objects.registry import Column, Resource, register
from clusterip.objects.tables import NAME_COLUMN

CREATED_AT = Column("Created At", format="date-time", description="When it was created.")


class Role(Object):
    rules: list[PolicyRule] = always_list()


def _validate(role: Role) -> ErrorList:
    errors = validate_object_meta(role.metadata, namespaced=True, name_rule=names.path_segment)
    return errors + validate_rules(role.rules, namespaced=True)


def _validate_update(new: Role, old: Role) -> ErrorList:
    return _validate(new) + validate_object_meta_update(new.metadata, old.metadata)


def _row(role: Role) -> list[Any]:
    return [role.metadata.name, role.metadata.creationTimestamp]


ROLES = register(
    Resource(
        type=Role,
        group=GROUP,
        version="v1",
        plural="roles",
        namespaced=True,
        singular="role",
        validate=_validate,
        validate_update=_validate_update,
        columns=(NAME_COLUMN, CREATED_AT),
        row=_row,
    )
)
