"""Whether some rules allow all that others do.

As ``k8s.io/component-helpers/auth/rbac/validation`` and ``pkg/registry/rbac/validation/policy_compact.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from clusterip.objects.rbac.rules import PolicyRule

ALL = "*"


def missing(owned: Iterable[PolicyRule], wanted: Iterable[PolicyRule]) -> list[PolicyRule]:
    """What of ``wanted`` the ``owned`` rules do not allow, as rules of one verb on one thing each."""
    owned = list(owned)
    return [
        single
        for rule in wanted
        for single in _singles(rule)
        if not any(_covers(other, single) for other in owned)
    ]


def compact(rules: Iterable[PolicyRule]) -> list[PolicyRule]:
    """The same with rules that differ only in their verb made one."""
    others: list[PolicyRule] = []
    joined: dict[Any, PolicyRule] = {}
    for rule in rules:
        single = len(rule.apiGroups) == 1 and len(rule.resources) == 1 and len(rule.resourceNames) <= 1
        if rule.nonResourceURLs or not single:
            others.append(rule)
            continue
        key = rule.apiGroups[0], rule.resources[0], tuple(rule.resourceNames)
        if key in joined:
            joined[key].verbs += rule.verbs
        else:
            joined[key] = PolicyRule(
                verbs=list(rule.verbs),
                apiGroups=rule.apiGroups,
                resources=rule.resources,
                resourceNames=rule.resourceNames,
            )
    return [*others, *joined.values()]


def _singles(rule: PolicyRule) -> Iterator[PolicyRule]:
    for group in rule.apiGroups:
        for resource in rule.resources:
            for verb in rule.verbs:
                for names in [[name] for name in rule.resourceNames] or [[]]:
                    yield PolicyRule(
                        verbs=[verb], apiGroups=[group], resources=[resource], resourceNames=names
                    )
    for url in rule.nonResourceURLs:
        for verb in rule.verbs:
            yield PolicyRule(verbs=[verb], nonResourceURLs=[url])


def _covers(owner: PolicyRule, single: PolicyRule) -> bool:
    return (
        _has(owner.verbs, single.verbs)
        and _has(owner.apiGroups, single.apiGroups)
        and all(_has_resource(owner.resources, each) for each in single.resources)
        and all(
            any(_is_url(pattern, url) for pattern in owner.nonResourceURLs) for url in single.nonResourceURLs
        )
        and (
            not owner.resourceNames
            or (bool(single.resourceNames) and set(single.resourceNames) <= set(owner.resourceNames))
        )
    )


def _has(owned: list[str], wanted: list[str]) -> bool:
    return ALL in owned or set(wanted) <= set(owned)


def _has_resource(owned: list[str], wanted: str) -> bool:
    if ALL in owned or wanted in owned:
        return True
    _, slash, subresource = wanted.partition("/")
    return bool(slash) and f"*/{subresource}" in owned


def _is_url(pattern: str, url: str) -> bool:
    return pattern == url or (pattern.endswith(ALL) and url.startswith(pattern.rstrip(ALL)))
