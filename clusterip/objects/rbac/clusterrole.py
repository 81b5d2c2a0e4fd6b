"""ClusterRole: what may be done in all namespaces, outside of them, or wherever a RoleBinding says."""

from __future__ import annotations

from typing import Any

from clusterip.objects import names
from clusterip.objects.base import Struct, always_list
from clusterip.objects.errors import ErrorList, Path, invalid, required
from clusterip.objects.meta import LabelSelector, Object
from clusterip.objects.metadata import (
    validate_label_selector,
    validate_object_meta,
    validate_object_meta_update,
)
from clusterip.objects.rbac.role import CREATED_AT
from clusterip.objects.rbac.rules import GROUP, PolicyRule, validate_rules
from clusterip.objects.registry import Resource, register
from clusterip.objects.selectors import SelectorError, from_label_selector
from clusterip.objects.tables import NAME_COLUMN


class AggregationRule(Struct):
    """Which other ClusterRoles' rules this one has too."""

    clusterRoleSelectors: list[LabelSelector] = []


class ClusterRole(Object):
    rules: list[PolicyRule] = always_list()
    aggregationRule: AggregationRule | None = None


def _validate(role: ClusterRole) -> ErrorList:
    errors = validate_object_meta(role.metadata, namespaced=False, name_rule=names.path_segment)
    return errors + validate_rules(role.rules, namespaced=False) + _validate_aggregation(role.aggregationRule)


def _validate_aggregation(aggregation: AggregationRule | None) -> ErrorList:
    if aggregation is None:
        return []
    path = Path("aggregationRule").child("clusterRoleSelectors")
    if not aggregation.clusterRoleSelectors:
        return [required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil")]
    errors: ErrorList = []
    for i, selector in enumerate(aggregation.clusterRoleSelectors):
        errors += validate_label_selector(selector, path.item(i))
        try:
            from_label_selector(selector)
        except SelectorError:
            errors.append(invalid(path.item(i), None, "invalid label selector."))
    return errors


def _validate_update(new: ClusterRole, old: ClusterRole) -> ErrorList:
    return _validate(new) + validate_object_meta_update(new.metadata, old.metadata)


def _row(role: ClusterRole) -> list[Any]:
    return [role.metadata.name, role.metadata.creationTimestamp]


CLUSTERROLES = register(
    Resource(
        type=ClusterRole,
        group=GROUP,
        version="v1",
        plural="clusterroles",
        namespaced=False,
        singular="clusterrole",
        validate=_validate,
        validate_update=_validate_update,
        columns=(NAME_COLUMN, CREATED_AT),
        row=_row,
    )
)
