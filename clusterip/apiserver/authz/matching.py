"""Whether a policy rule covers a request, as ``pkg/apis/rbac/v1/evaluation_helpers.go``."""

from __future__ import annotations

from collections.abc import Iterable

from clusterip.apiserver.router import RequestInfo
from clusterip.objects.rbac.rules import PolicyRule
from clusterip.objects.selectors import parse_field_selector

ALL = "*"
_SELECTING = frozenset(("list", "watch", "deletecollection"))


def covers(rule: PolicyRule, info: RequestInfo) -> bool:
    if not _has(rule.verbs, info.verb):
        return False
    if not info.plural:
        return any(_is_url(pattern, info.path) for pattern in rule.nonResourceURLs)
    return (
        _has(rule.apiGroups, info.group)
        and _has_resource(rule.resources, info.plural, info.subresource)
        and (not rule.resourceNames or object_name(info) in rule.resourceNames)
    )


def any_covers(rules: Iterable[PolicyRule], info: RequestInfo) -> bool:
    return any(covers(rule, info) for rule in rules)


def object_name(info: RequestInfo) -> str:
    """The one object that a request is about: that of its path, or that which its selector names."""
    return info.name or selected_value(info, "metadata.name")


def selected_value(info: RequestInfo, field: str) -> str:
    """What a list, watch or deletecollection insists that ``field`` is; empty if on nothing."""
    text = info.query.get("fieldSelector", "")
    if info.verb not in _SELECTING or field not in text:
        return ""
    try:
        return parse_field_selector(text).exact(field) or ""
    except ValueError:
        return ""  # the request will fail for it


def _has(allowed: list[str], value: str) -> bool:
    return ALL in allowed or value in allowed


def _has_resource(allowed: list[str], plural: str, subresource: str) -> bool:
    if ALL in allowed:
        return True
    if not subresource:
        return plural in allowed
    return f"{plural}/{subresource}" in allowed or f"*/{subresource}" in allowed


def _is_url(pattern: str, path: str) -> bool:
    if pattern.endswith(ALL):
        return path.startswith(pattern.rstrip(ALL))
    return pattern == path
