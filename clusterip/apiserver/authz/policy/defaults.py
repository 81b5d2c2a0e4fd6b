"""The default policy as objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clusterip.apiserver.authz.policy import components, controllers, namespaces, users
from clusterip.apiserver.authz.policy.rules import RBAC_GROUP, DefaultRole
from clusterip.objects.meta import LabelSelector, ObjectMeta
from clusterip.objects.rbac.clusterrole import CLUSTERROLES, AggregationRule, ClusterRole
from clusterip.objects.rbac.clusterrolebinding import CLUSTERROLEBINDINGS, ClusterRoleBinding
from clusterip.objects.rbac.role import ROLES, Role
from clusterip.objects.rbac.rolebinding import ROLEBINDINGS, RoleBinding
from clusterip.objects.rbac.rules import PolicyRule
from clusterip.objects.rbac.subjects import SERVICE_ACCOUNT, USER, USERS_GROUP, RoleRef, Subject
from clusterip.objects.registry import Resource

_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_ANNOTATIONS = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
_SYSTEM = "kube-system"

CLUSTER_WIDE: list[DefaultRole] = [
    *users.ROLES,
    *components.ROLES,
    *controllers.ROLES,
    *components.OWN_ROLES,
]
NAMESPACED: list[DefaultRole] = namespaces.ROLES


def default_objects() -> Iterator[tuple[Resource[Any], Any]]:
    """Every default role and binding, new ones each time."""
    for default in CLUSTER_WIDE:
        yield CLUSTERROLES, cluster_role(default)
        if default.is_bound:
            yield CLUSTERROLEBINDINGS, _cluster_role_binding(default)
    for default in NAMESPACED:
        yield ROLES, _role(default)
        yield ROLEBINDINGS, _role_binding(default)


def cluster_role(default: DefaultRole) -> ClusterRole:
    aggregation = None
    if default.aggregates:
        selectors = [LabelSelector(matchLabels={label: "true"}) for label in default.aggregates]
        aggregation = AggregationRule(clusterRoleSelectors=selectors)
    return ClusterRole(
        kind=CLUSTERROLES.kind,
        apiVersion=CLUSTERROLES.api_version,
        metadata=_metadata(default, default.name, default.labels),
        rules=default.rules or aggregated_rules(default),
        aggregationRule=aggregation,
    )


def aggregated_rules(default: DefaultRole) -> list[PolicyRule]:
    """What is aggregated from the other defaults: the controller that does it may not run yet, or at all."""
    rules: list[PolicyRule] = []
    for other in CLUSTER_WIDE:
        if other is not default and any(other.labels.get(label) for label in default.aggregates):
            rules += other.rules or aggregated_rules(other)
    return rules


def _role(default: DefaultRole) -> Role:
    return Role(
        kind=ROLES.kind,
        apiVersion=ROLES.api_version,
        metadata=_metadata(default, default.name),
        rules=default.rules,
    )


def _cluster_role_binding(default: DefaultRole) -> ClusterRoleBinding:
    return ClusterRoleBinding(
        kind=CLUSTERROLEBINDINGS.kind,
        apiVersion=CLUSTERROLEBINDINGS.api_version,
        metadata=_metadata(default, default.name),
        subjects=_subjects(default),
        roleRef=RoleRef(apiGroup=RBAC_GROUP, kind=CLUSTERROLES.kind, name=default.name),
    )


def _role_binding(default: DefaultRole) -> RoleBinding:
    return RoleBinding(
        kind=ROLEBINDINGS.kind,
        apiVersion=ROLEBINDINGS.api_version,
        metadata=_metadata(default, default.binding or default.name),
        subjects=_subjects(default),
        roleRef=RoleRef(apiGroup=RBAC_GROUP, kind=ROLES.kind, name=default.name),
    )


def _subjects(default: DefaultRole) -> list[Subject]:
    subjects = [Subject(kind=USER, apiGroup=RBAC_GROUP, name=user) for user in default.users]
    subjects += [Subject(kind=USERS_GROUP, apiGroup=RBAC_GROUP, name=group) for group in default.groups]
    subjects += [Subject(kind=SERVICE_ACCOUNT, name=name, namespace=_SYSTEM) for name in default.accounts]
    return subjects


def _metadata(default: DefaultRole, name: str, labels: dict[str, str] | None = None) -> ObjectMeta:
    return ObjectMeta(
        name=name,
        namespace=default.namespace,
        labels={**_LABELS, **(labels or {})},
        annotations=dict(_ANNOTATIONS),
    )
