"""The policy that every cluster begins with: upstream's default ClusterRoles and their bindings.

As ``plugin/pkg/auth/authorizer/rbac/bootstrappolicy``, as far as there are such resources and parts here.
"""

from __future__ import annotations

import asyncio
from typing import Any

from clusterip.apiserver.authz.policy import components, controllers, users
from clusterip.apiserver.authz.policy.rules import RBAC_GROUP, DefaultRole
from clusterip.apiserver.generic import Objects
from clusterip.apiserver.status import StatusError
from clusterip.objects.meta import LabelSelector, ObjectMeta
from clusterip.objects.rbac.clusterrole import CLUSTERROLES, AggregationRule, ClusterRole
from clusterip.objects.rbac.clusterrolebinding import CLUSTERROLEBINDINGS, ClusterRoleBinding
from clusterip.objects.rbac.rules import PolicyRule
from clusterip.objects.rbac.subjects import SERVICE_ACCOUNT, USER, USERS_GROUP, RoleRef, Subject
from clusterip.objects.registry import Resource

_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_ANNOTATIONS = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
_SYSTEM = "kube-system"

DEFAULTS: list[DefaultRole] = [*users.ROLES, *components.ROLES, *controllers.ROLES]


async def bootstrap_policy(objects: Objects) -> None:
    """Create the default roles and bindings that are missing, all at once."""
    await objects.cache.current()
    missing = []
    for default in DEFAULTS:
        for resource, obj in _objects_of(default):
            if objects.cache.of(resource).get("", obj.metadata.name) is None:
                missing.append(_create(objects, resource, obj))
    await asyncio.gather(*missing)


async def _create(objects: Objects, resource: Resource[Any], obj: Any) -> None:
    try:
        await objects.create(resource, "", obj)
    except StatusError as error:
        if error.status.reason != "AlreadyExists":  # another server may do the same just now
            raise


def _objects_of(default: DefaultRole) -> list[tuple[Resource[Any], Any]]:
    found: list[tuple[Resource[Any], Any]] = [(CLUSTERROLES, _role(default))]
    if default.users or default.groups or default.accounts:
        found.append((CLUSTERROLEBINDINGS, _binding(default)))
    return found


def _role(default: DefaultRole) -> ClusterRole:
    aggregation = None
    if default.aggregates:
        selectors = [LabelSelector(matchLabels={label: "true"}) for label in default.aggregates]
        aggregation = AggregationRule(clusterRoleSelectors=selectors)
    return ClusterRole(
        kind=CLUSTERROLES.kind,
        apiVersion=CLUSTERROLES.api_version,
        metadata=_metadata(default, default.labels),
        rules=default.rules or _aggregated_rules(default),
        aggregationRule=aggregation,
    )


def _binding(default: DefaultRole) -> ClusterRoleBinding:
    subjects = [Subject(kind=USER, apiGroup=RBAC_GROUP, name=user) for user in default.users]
    subjects += [Subject(kind=USERS_GROUP, apiGroup=RBAC_GROUP, name=group) for group in default.groups]
    subjects += [Subject(kind=SERVICE_ACCOUNT, name=name, namespace=_SYSTEM) for name in default.accounts]
    return ClusterRoleBinding(
        kind=CLUSTERROLEBINDINGS.kind,
        apiVersion=CLUSTERROLEBINDINGS.api_version,
        metadata=_metadata(default, {}),
        subjects=subjects,
        roleRef=RoleRef(apiGroup=RBAC_GROUP, kind=CLUSTERROLES.kind, name=default.name),
    )


def _metadata(default: DefaultRole, labels: dict[str, str]) -> ObjectMeta:
    return ObjectMeta(name=default.name, labels={**_LABELS, **labels}, annotations=dict(_ANNOTATIONS))


def _aggregated_rules(default: DefaultRole) -> list[PolicyRule]:
    """What is aggregated from the other defaults, so that it can be read in the role itself."""
    rules: list[PolicyRule] = []
    for other in DEFAULTS:
        if other is not default and any(other.labels.get(label) for label in default.aggregates):
            rules += other.rules or _aggregated_rules(other)
    return rules
