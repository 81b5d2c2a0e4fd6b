"""Policy rules: what a Role lets its subjects do."""

from __future__ import annotations

from clusterip.objects.base import Struct, always_list
from clusterip.objects.errors import ErrorList, Path, invalid, required

GROUP = "rbac.authorization.k8s.io"


class PolicyRule(Struct):
    """Verbs on resources, or on paths outside of them; ``*`` stands for all."""

    verbs: list[str] = always_list()
    apiGroups: list[str] = []
    resources: list[str] = []
    resourceNames: list[str] = []
    nonResourceURLs: list[str] = []


def validate_rules(rules: list[PolicyRule], *, namespaced: bool) -> ErrorList:
    """Errors of the rules of a Role (``namespaced``) or a ClusterRole."""
    errors: ErrorList = []
    for i, rule in enumerate(rules):
        errors += _validate_rule(rule, namespaced, Path("rules").item(i))
    return errors


def _validate_rule(rule: PolicyRule, namespaced: bool, path: Path) -> ErrorList:
    errors: ErrorList = []
    if not rule.verbs:
        errors.append(required(path.child("verbs"), "verbs must contain at least one value"))
    if rule.nonResourceURLs:
        where = path.child("nonResourceURLs")
        if namespaced:
            message = "namespaced rules cannot apply to non-resource URLs"
            errors.append(invalid(where, rule.nonResourceURLs, message))
        if rule.apiGroups or rule.resources or rule.resourceNames:
            message = "rules cannot apply to both regular resources and non-resource URLs"
            errors.append(invalid(where, rule.nonResourceURLs, message))
        return errors
    if not rule.apiGroups:
        message = "resource rules must supply at least one api group"
        errors.append(required(path.child("apiGroups"), message))
    if not rule.resources:
        message = "resource rules must supply at least one resource"
        errors.append(required(path.child("resources"), message))
    return errors
