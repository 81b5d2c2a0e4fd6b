"""Nobody grants what they do not have: checks on whoever writes a role or a binding.

As ``pkg/registry/rbac/*/policybased``. To write a role one needs every permission in it, or the verb
``escalate`` on it; to bind a role, every permission of that role, or the verb ``bind`` on it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from clusterip.apiserver.admission.attributes import Attributes
from clusterip.apiserver.authn import User
from clusterip.apiserver.authz.covering import compact, missing
from clusterip.apiserver.authz.decision import Authorizer
from clusterip.apiserver.authz.rbac import Resolver, UnknownRole
from clusterip.apiserver.authz.simple import MASTERS
from clusterip.apiserver.cache import WatchCache
from clusterip.apiserver.router import RequestInfo
from clusterip.objects.codec import encode
from clusterip.objects.rbac.clusterrole import CLUSTERROLES, ClusterRole
from clusterip.objects.rbac.clusterrolebinding import CLUSTERROLEBINDINGS
from clusterip.objects.rbac.role import ROLES
from clusterip.objects.rbac.rolebinding import ROLEBINDINGS
from clusterip.objects.rbac.rules import PolicyRule
from clusterip.objects.rbac.subjects import RoleRef

_ROLES = (ROLES, CLUSTERROLES)
_BINDINGS = (ROLEBINDINGS, CLUSTERROLEBINDINGS)
_EVERYTHING = [
    PolicyRule(verbs=["*"], apiGroups=["*"], resources=["*"]),
    PolicyRule(verbs=["*"], nonResourceURLs=["*"]),
]


class EscalationCheck:
    def __init__(self, cache: WatchCache, authorizer: Authorizer) -> None:
        self._authorizer = authorizer
        self._resolver = Resolver(cache)

    def check(self, attributes: Attributes) -> None:
        """Raises StatusError (403) if the write would grant more than the user has, 404 if there is no
        such role to bind."""
        resource = attributes.resource
        if attributes.operation == "DELETE" or resource not in (*_ROLES, *_BINDINGS):
            return
        if MASTERS in attributes.user.groups:
            return
        if resource in _ROLES:
            self._check_role(attributes)
        else:
            self._check_binding(attributes)

    def _check_role(self, attributes: Attributes) -> None:
        if self._may_escalate(attributes) or _changes_only_ownership(attributes):
            return
        self._check_rules(attributes, attributes.obj.rules)
        if _aggregates(attributes.obj) or _aggregates(attributes.old):
            # It can gather any permission, and keep it from being taken away.
            owned = self._resolver.rules(attributes.user, attributes.namespace)[0]
            if missing(owned, _EVERYTHING):
                raise attributes.forbidden("must have cluster-admin privileges to use the aggregationRule")

    def _check_binding(self, attributes: Attributes) -> None:
        if _changes_only_ownership(attributes):
            return
        role: RoleRef = attributes.obj.roleRef
        if self._may_bind(attributes.user, role, attributes.namespace):
            return
        try:
            rules = self._resolver.rules_of(role, attributes.namespace)
        except UnknownRole as error:
            raise error.answer(attributes.resource) from None
        self._check_rules(attributes, rules)

    def _check_rules(self, attributes: Attributes, rules: list[PolicyRule]) -> None:
        user = attributes.user
        owned, errors = self._resolver.rules(user, attributes.namespace)
        lacking = missing(owned, rules)
        if not lacking:
            return
        shown = "\n".join(sorted({describe(rule) for rule in compact(lacking)}))
        message = (
            f"user {_quoted(user.name)} (groups={_quoted_list(user.groups)}) is attempting to grant RBAC "
            f"permissions not currently held:\n{shown}"
        )
        if errors:
            shown = _aggregate([str(error.answer(attributes.resource)) for error in errors])
            message += f"; resolution errors: [{shown}]"
        raise attributes.forbidden(message)

    def _may_escalate(self, attributes: Attributes) -> bool:
        wanted = RequestInfo("escalate", "", {})
        wanted.group, wanted.version = attributes.resource.group, "*"
        wanted.plural, wanted.namespace = attributes.resource.plural, attributes.namespace
        wanted.name = attributes.name if attributes.named else ""
        return self._authorizer.decide(attributes.user, wanted).allowed

    def _may_bind(self, user: User, role: RoleRef, namespace: str) -> bool:
        plurals = {each.kind: each.plural for each in _ROLES}
        if role.kind not in plurals:
            return False
        wanted = RequestInfo("bind", "", {})
        wanted.group, wanted.version = role.apiGroup, "*"
        wanted.plural, wanted.name, wanted.namespace = plurals[role.kind], role.name, namespace
        return self._authorizer.decide(user, wanted).allowed


def describe(rule: PolicyRule) -> str:
    """A rule as messages show it (upstream's ``CompactString``)."""
    parts = [
        f"{label}:{_quoted_list(values)}"
        for label, values in (
            ("APIGroups", rule.apiGroups),
            ("Resources", rule.resources),
            ("NonResourceURLs", rule.nonResourceURLs),
            ("ResourceNames", rule.resourceNames),
            ("Verbs", rule.verbs),
        )
        if values
    ]
    return f"{{{', '.join(parts)}}}"


def _aggregates(role: ClusterRole | None) -> bool:
    rule = getattr(role, "aggregationRule", None)
    return rule is not None and bool(rule.clusterRoleSelectors)


def _changes_only_ownership(attributes: Attributes) -> bool:
    """Whether only what garbage collection works with changes: owners and finalizers."""
    return attributes.old is not None and _without_ownership(attributes.obj) == _without_ownership(
        attributes.old
    )


def _without_ownership(obj: Any) -> bytes:
    meta = obj.metadata
    kept = meta.ownerReferences, meta.finalizers, meta.managedFields, meta.selfLink
    meta.ownerReferences, meta.finalizers, meta.managedFields, meta.selfLink = [], [], [], ""
    try:
        return encode(obj)
    finally:
        meta.ownerReferences, meta.finalizers, meta.managedFields, meta.selfLink = kept


def _aggregate(errors: list[str]) -> str:
    unique = list(dict.fromkeys(errors))
    return unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _quoted_list(texts: Iterable[str]) -> str:
    return f"[{' '.join(map(_quoted, texts))}]"
